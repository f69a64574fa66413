// xid: the 20-character ids of accounts, groups, peers and most other rows.
//
// Form     4 bytes Unix seconds, 3 bytes machine, 2 bytes process, 3 bytes counter, big-endian,
//          in lower-case base32hex without padding.
// Source   contract/network-map.md §1.1
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "crypto/random.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace nb::crypto {

using XidBytes = std::array<std::uint8_t, 12>;

/// Thread-safe. Machine and process parts are random, so that two containers with one host name
/// and process 1 do not collide; 2^24 ids per second and generator.
class XidGenerator {
 public:
  XidGenerator(const Clock& clock, RandomSource& random);
  [[nodiscard]] std::string next();

 private:
  const Clock& clock_;
  std::array<std::uint8_t, 5> origin_;
  std::atomic<std::uint32_t> counter_;
};

[[nodiscard]] std::string xid_text(const XidBytes& bytes);
/// Errors   kInvalidArgument: not 20 canonical characters.
[[nodiscard]] Result<XidBytes> parse_xid(std::string_view text);
[[nodiscard]] std::chrono::sys_seconds xid_time(const XidBytes& bytes);

}  // namespace nb::crypto
