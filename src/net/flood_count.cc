#include "net/flood_count.h"

#include <algorithm>

namespace nb::net {

namespace {
constexpr auto kWindow = std::chrono::seconds(10);
}  // namespace

void FloodCount::count(Instant now) {
  if (now - window_began_ > kWindow) {
    window_began_ = now;
    resets_ = 0;
    control_ = std::min(control_, 0) / 2;
  }
  ++control_;
}

bool FloodCount::control_frame(Instant now, std::uint32_t control_frames_max) {
  count(now);
  return control_ <= static_cast<std::int32_t>(control_frames_max);
}

bool FloodCount::reset(Instant now, std::uint32_t resets_max) {
  count(now);
  return ++resets_ <= resets_max;
}

}  // namespace nb::net
