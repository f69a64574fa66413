#include "stun/source_limit.h"

#include "crypto/random.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace nb::stun {

SourceLimit::SourceLimit(std::uint32_t per_second, std::uint32_t burst)
    : per_second_(static_cast<float>(per_second)),
      burst_(static_cast<float>(std::max(burst, 1U))),
      buckets_(per_second == 0 ? 0 : kPlaces) {
  crypto::SystemRandom().fill({reinterpret_cast<std::uint8_t*>(keys_.data()), sizeof keys_});
}

std::size_t SourceLimit::place(const in6_addr& source) const {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  std::memcpy(&high, source.s6_addr, sizeof high);
  if (IN6_IS_ADDR_V4MAPPED(&source)) std::memcpy(&low, source.s6_addr + 8, sizeof low);
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(high ^ keys_[0]) * (low ^ keys_[1] ^ (high << 1 | 1));
  const std::uint64_t mixed =
      static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  return mixed % kPlaces;
}

bool SourceLimit::take(const in6_addr& source, Instant now) {
  if (buckets_.empty()) return true;
  Bucket& bucket = buckets_[place(source)];
  if (!bucket.used) {
    bucket = {.at = now, .tokens = burst_, .used = true};
  } else {
    const float gained = per_second_ * std::chrono::duration<float>(now - bucket.at).count();
    bucket.tokens = std::min(burst_, bucket.tokens + std::max(gained, 0.0F));
    bucket.at = now;
  }
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

}  // namespace nb::stun
