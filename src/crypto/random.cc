#include "crypto/random.h"

#include "base/assert.h"

#include <fmt/format.h>
#include <sodium.h>

#include <cstring>
#include <iterator>

namespace nb::crypto {

std::uint64_t RandomSource::below(std::uint64_t bound) {
  NB_ASSERT(bound > 0);
  const std::uint64_t rest = (UINT64_MAX % bound + 1) % bound;  // 2^64 mod bound
  for (;;) {
    std::uint64_t value = 0;
    const auto raw = bytes<sizeof value>();
    std::memcpy(&value, raw.data(), raw.size());
    if (value <= UINT64_MAX - rest) return value % bound;
  }
}

double RandomSource::fraction() {
  constexpr std::uint64_t kSteps = 1ULL << 53;  // what a double holds exactly
  return static_cast<double>(below(kSteps)) / static_cast<double>(kSteps);
}

SystemRandom::SystemRandom() {
  NB_ASSERT(sodium_init() >= 0);
}

void SystemRandom::fill(std::span<std::uint8_t> out) {
  randombytes_buf(out.data(), out.size());
}

SeededRandom::SeededRandom(std::uint64_t seed) {
  std::memcpy(state_.data(), &seed, sizeof seed);
}

void SeededRandom::fill(std::span<std::uint8_t> out) {
  // Each call draws from a stream of its own, whose seed came from the call before.
  std::array<std::uint8_t, 32> stream{};
  std::array<std::uint8_t, 64> next{};
  randombytes_buf_deterministic(next.data(), next.size(), state_.data());
  std::memcpy(state_.data(), next.data(), state_.size());
  std::memcpy(stream.data(), next.data() + state_.size(), stream.size());
  randombytes_buf_deterministic(out.data(), out.size(), stream.data());
}

std::string make_uuid(RandomSource& random) {
  auto raw = random.bytes<16>();
  raw[6] = static_cast<std::uint8_t>((raw[6] & 0x0FU) | 0x40U);  // RFC 9562 §5.4: version
  raw[8] = static_cast<std::uint8_t>((raw[8] & 0x3FU) | 0x80U);  // and variant
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    fmt::format_to(std::back_inserter(text), "{:02x}", raw.at(i));
  }
  return text;
}

}  // namespace nb::crypto
