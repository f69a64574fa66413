// What loops of one process say to each other.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "signal/bus_codec.h"
#include "signal/router.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace nb::signal {

/// Who learns how a message ended: a waiting Send of this process, another instance, or nobody.
struct Sender {
  Ticket ticket = 0;
  Origin origin{};  // id 0: not from the bus
  [[nodiscard]] bool from_bus() const { return origin.id != 0; }
};

/// A message on its way to a peer's stream.
struct Parcel {
  std::string peer;
  std::string message;  // serialized EncryptedMessage, verbatim
  Sender sender{};
  Instant since{};
  std::uint8_t hops = 0;  // loops it has seen
};

enum class EndReason : std::uint8_t {
  kReplaced,    // the peer has a newer stream on this instance
  kSuperseded,  // … on another instance
  kDraining,
};

struct ReplyMail {
  Ticket ticket = 0;
  Code code = Code::kOk;
  std::string_view text{};  // static
};
struct EndMail {
  std::string peer;
  std::uint64_t stream = 0;
  EndReason reason = EndReason::kReplaced;
};
using ShardMail = std::variant<Parcel, ReplyMail, EndMail>;

struct AttachMail {
  std::string peer;
  std::uint64_t stream = 0;
};
struct DetachMail {
  std::string peer;
  std::uint64_t stream = 0;
};
struct DeliveredMail {
  Origin origin;
  std::string peer;
  Outcome outcome{};
};
using HomeMail = std::variant<Parcel, AttachMail, DetachMail, DeliveredMail>;

}  // namespace nb::signal
