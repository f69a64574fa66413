// What instances tell each other about one account, over whatever bus is up.
#pragma once

#include "base/result.h"
#include "management/app/fan_out.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace nb::management::app {

/// A committed change. Which peers it affects each instance works out by itself.
struct Changed {
  Serial serial = 0;
  friend bool operator==(const Changed&, const Changed&) = default;
};

/// A newer session of the peer was opened at `instance`; sessions with a lower epoch end.
struct Superseded {
  std::string peer;
  std::int64_t epoch = 0;
  friend bool operator==(const Superseded&, const Superseded&) = default;
};

/// The peer's streams end now, wherever they are.
struct Ended {
  std::string peer;
  EndReason reason = EndReason::kDeleted;
  friend bool operator==(const Ended&, const Ended&) = default;
};

/// The peer has a job for the Job stream that the receiver may hold.
struct JobWaiting {
  std::string peer;
  friend bool operator==(const JobWaiting&, const JobWaiting&) = default;
};

/// A newer Job stream of the peer exists; those with a lower epoch end.
struct JobSuperseded {
  std::string peer;
  std::int64_t epoch = 0;
  friend bool operator==(const JobSuperseded&, const JobSuperseded&) = default;
};

struct BusMessage {
  std::string account;
  std::string origin;  // instance and incarnation; the sender ignores its own
  std::variant<Changed, Superseded, Ended, JobWaiting, JobSuperseded> body;
  friend bool operator==(const BusMessage&, const BusMessage&) = default;
};

inline constexpr std::size_t kBusIdBytesMax = 128;

[[nodiscard]] std::string encode(const BusMessage& message);
/// Errors   kInvalidArgument: not ours (tests and operators publish `ping` and worse).
[[nodiscard]] Result<BusMessage> decode_bus_message(std::string_view bytes);

}  // namespace nb::management::app
