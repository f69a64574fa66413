// Randomness as a port: production asks the kernel, tests replay a seed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace nb::crypto {

class RandomSource {
 public:
  virtual ~RandomSource() = default;
  virtual void fill(std::span<std::uint8_t> out) = 0;

  /// Uniform in [0, bound), bound > 0; no modulo bias.
  std::uint64_t below(std::uint64_t bound);
  /// Uniform in [0, 1), for jitter.
  double fraction();
  template <std::size_t N>
  std::array<std::uint8_t, N> bytes() {
    std::array<std::uint8_t, N> out;
    fill(out);
    return out;
  }
};

/// Cryptographic; one instance serves all threads.
class SystemRandom final : public RandomSource {
 public:
  SystemRandom();
  void fill(std::span<std::uint8_t> out) override;
};

/// The same bytes for the same seed; for tests and simulation only. One thread.
class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed);
  void fill(std::span<std::uint8_t> out) override;

 private:
  std::array<std::uint8_t, 32> state_{};
};

/// Version 4, lower case.
[[nodiscard]] std::string make_uuid(RandomSource& random);

}  // namespace nb::crypto
