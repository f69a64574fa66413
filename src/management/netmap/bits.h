// A set of small numbers: peers by their dense index.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace nb::netmap {

/// Grows on insertion; sets of different capacity compare and combine by content.
class Bits {
 public:
  static constexpr std::size_t kWordBits = 64;
  using Word = std::uint64_t;

  Bits() = default;

  [[nodiscard]] bool test(std::uint32_t index) const {
    const std::size_t at = index / kWordBits;
    return at < words_.size() && ((words_[at] >> (index % kWordBits)) & 1U) != 0;
  }
  void set(std::uint32_t index) {
    const std::size_t at = index / kWordBits;
    if (at >= words_.size()) words_.resize(at + 1);
    words_[at] |= Word{1} << (index % kWordBits);
  }
  void reset(std::uint32_t index) {
    const std::size_t at = index / kWordBits;
    if (at < words_.size()) words_[at] &= ~(Word{1} << (index % kWordBits));
  }
  void clear() { words_.clear(); }

  Bits& operator|=(const Bits& other) {
    if (other.words_.size() > words_.size()) words_.resize(other.words_.size());
    for (std::size_t i = 0; i < other.words_.size(); ++i) words_[i] |= other.words_[i];
    return *this;
  }
  Bits& operator&=(const Bits& other) {
    if (words_.size() > other.words_.size()) words_.resize(other.words_.size());
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= other.words_[i];
    return *this;
  }
  Bits& operator-=(const Bits& other) {
    for (std::size_t i = 0; i < words_.size() && i < other.words_.size(); ++i)
      words_[i] &= ~other.words_[i];
    return *this;
  }
  /// What is in one and not in the other.
  Bits& operator^=(const Bits& other) {
    if (other.words_.size() > words_.size()) words_.resize(other.words_.size());
    for (std::size_t i = 0; i < other.words_.size(); ++i) words_[i] ^= other.words_[i];
    return *this;
  }
  friend Bits operator|(Bits left, const Bits& right) { return left |= right; }
  friend Bits operator&(Bits left, const Bits& right) { return left &= right; }
  friend Bits operator-(Bits left, const Bits& right) { return left -= right; }
  friend Bits operator^(Bits left, const Bits& right) { return left ^= right; }
  friend bool operator==(const Bits& left, const Bits& right) {
    const auto& small = left.words_.size() < right.words_.size() ? left.words_ : right.words_;
    const auto& large = left.words_.size() < right.words_.size() ? right.words_ : left.words_;
    for (std::size_t i = 0; i < large.size(); ++i)
      if (large[i] != (i < small.size() ? small[i] : 0)) return false;
    return true;
  }

  [[nodiscard]] bool intersects(const Bits& other) const {
    for (std::size_t i = 0; i < words_.size() && i < other.words_.size(); ++i)
      if ((words_[i] & other.words_[i]) != 0) return true;
    return false;
  }
  [[nodiscard]] bool none() const {
    for (const Word word : words_)
      if (word != 0) return false;
    return true;
  }
  [[nodiscard]] std::size_t count() const {
    std::size_t total = 0;
    for (const Word word : words_) total += static_cast<std::size_t>(std::popcount(word));
    return total;
  }
  [[nodiscard]] std::size_t word_count() const { return words_.size(); }
  [[nodiscard]] Word word(std::size_t at) const { return at < words_.size() ? words_[at] : 0; }

  /// Ascending.
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::size_t i = 0; i < words_.size(); ++i)
      for (Word left = words_[i]; left != 0; left &= left - 1)
        visit(static_cast<std::uint32_t>(i * kWordBits +
                                         static_cast<std::size_t>(std::countr_zero(left))));
  }

 private:
  std::vector<Word> words_;
};

}  // namespace nb::netmap
