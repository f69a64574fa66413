// What became of every message of one traffic phase; shared by the generator's threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace nb::bench {

class Ledger {
 public:
  explicit Ledger(std::size_t capacity)
      : capacity_(capacity), flags_(std::make_unique<std::atomic<std::uint8_t>[]>(capacity)) {}

  /// A new message, or none once the capacity (the bound on every run) is used up.
  std::optional<std::uint64_t> next() {
    const std::uint64_t i = sent_.fetch_add(1, std::memory_order_relaxed);
    if (i < capacity_) return i;
    sent_.fetch_sub(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  void accepted(std::uint64_t i) { mark(i, kAccepted, accepted_); }
  void refused(std::uint64_t i) { mark(i, kRefused, refused_); }
  void delivered(std::uint64_t i) {
    if (i >= capacity_) return;
    if ((flags_[i].fetch_or(kDelivered, std::memory_order_relaxed) & kDelivered) != 0)
      duplicates_.fetch_add(1, std::memory_order_relaxed);
    else
      delivered_.fetch_add(1, std::memory_order_relaxed);
  }
  void misdelivered() { misdelivered_.fetch_add(1, std::memory_order_relaxed); }

  [[nodiscard]] std::uint64_t sent() const { return sent_.load(); }
  [[nodiscard]] std::uint64_t answered() const { return accepted_.load() + refused_.load(); }
  [[nodiscard]] std::uint64_t accepted() const { return accepted_.load(); }
  [[nodiscard]] std::uint64_t refused() const { return refused_.load(); }
  [[nodiscard]] std::uint64_t delivered() const { return delivered_.load(); }
  [[nodiscard]] std::uint64_t duplicates() const { return duplicates_.load(); }
  [[nodiscard]] std::uint64_t misdelivered_count() const { return misdelivered_.load(); }
  /// Answered OK and yet not delivered.
  [[nodiscard]] std::uint64_t lost_silently() const {
    std::uint64_t count = 0;
    for (std::uint64_t i = 0; i < sent(); ++i) count += flags_[i].load() == kAccepted ? 1U : 0U;
    return count;
  }

 private:
  static constexpr std::uint8_t kAccepted = 1;
  static constexpr std::uint8_t kRefused = 2;
  static constexpr std::uint8_t kDelivered = 4;
  void mark(std::uint64_t i, std::uint8_t flag, std::atomic<std::uint64_t>& counter) {
    if (i >= capacity_) return;
    flags_[i].fetch_or(flag, std::memory_order_relaxed);
    counter.fetch_add(1, std::memory_order_relaxed);
  }
  std::size_t capacity_;
  std::unique_ptr<std::atomic<std::uint8_t>[]> flags_;
  std::atomic<std::uint64_t> sent_{0}, accepted_{0}, refused_{0}, delivered_{0}, duplicates_{0},
      misdelivered_{0};
};

}  // namespace nb::bench
