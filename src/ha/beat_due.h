// When an instance says next that it lives.
#pragma once

#include "base/clock.h"

#include <algorithm>
#include <chrono>

namespace nb::ha {

/// After the interval, sooner where the last beat failed, at once when somebody asks for it, also
/// while a beat is on its way: that one does not have the news yet.
class BeatDue {
 public:
  BeatDue(std::chrono::milliseconds interval, std::chrono::milliseconds retry)
      : interval_(interval), retry_(std::min(retry, interval)) {}

  [[nodiscard]] bool due(Instant now) const { return now >= at_; }
  void soon() { at_ = Instant::min(); }
  void begun() { at_ = Instant::max(); }
  void ended(Instant now, bool well) { at_ = std::min(at_, now + (well ? interval_ : retry_)); }

 private:
  const std::chrono::milliseconds interval_;
  const std::chrono::milliseconds retry_;
  Instant at_ = Instant::min();  // the first at once
};

}  // namespace nb::ha
