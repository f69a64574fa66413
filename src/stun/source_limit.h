// A rate per source address in a fixed amount of memory.
#pragma once

#include "base/clock.h"

#include <netinet/in.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace nb::stun {

/// Token buckets in a table of fixed size: sources that fall into one place share its bucket. The
/// hash is keyed anew in each process, so that nobody can aim at another one's place. Whoever
/// forges ever new addresses costs no memory. One per loop.
class SourceLimit {
 public:
  /// `per_second` 0: no limit.
  SourceLimit(std::uint32_t per_second, std::uint32_t burst);
  /// An IPv4 address (as ::ffff:a.b.c.d) counts alone, an IPv6 address with its /64.
  bool take(const in6_addr& source, Instant now);

 private:
  static constexpr std::size_t kPlaces = 16'384;
  struct Bucket {
    Instant at{};
    float tokens = 0;
    bool used = false;
  };
  [[nodiscard]] std::size_t place(const in6_addr& source) const;

  const float per_second_;
  const float burst_;
  std::array<std::uint64_t, 2> keys_{};
  std::vector<Bucket> buckets_;
};

}  // namespace nb::stun
