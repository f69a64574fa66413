// What the exchange needs of the streams of its process.
#pragma once

#include "signal/mail.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace nb::signal {

/// Called on the exchange's home.
class ExchangeHost {
 public:
  virtual ~ExchangeHost() = default;
  /// Number of the peer's stream, if it is connected here.
  [[nodiscard]] virtual std::optional<std::uint64_t> stream_of(std::string_view peer) const = 0;
  /// Answer with DeliveredMail, unless the parcel has no sender. Only for peers connected here.
  virtual void deliver(Parcel parcel) = 0;
  virtual void reply(const ReplyMail& reply) = 0;
  virtual void end(EndMail end) = 0;
  /// Two instances hold streams of this peer in turn.
  virtual void flapped(std::string_view peer) = 0;
};

}  // namespace nb::signal
