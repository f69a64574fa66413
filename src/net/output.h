// What one connection sends in one turn, collected in a buffer of the thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace nb::net {

class OutputBuffer {
 public:
  /// Past this producers stop until the socket has taken it; a single frame may exceed it.
  static constexpr std::size_t kSoftLimit = 256 * 1024;

  OutputBuffer() { bytes_.reserve(kSoftLimit + 32 * 1024); }
  void append(const void* data, std::size_t size) {
    const auto* from = static_cast<const std::uint8_t*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
  }
  void append(std::string_view text) { append(text.data(), text.size()); }
  [[nodiscard]] bool full() const { return bytes_.size() >= kSoftLimit; }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] std::span<const std::uint8_t> view() const { return bytes_; }
  void clear() { bytes_.clear(); }

 private:
  std::vector<std::uint8_t> bytes_;
};

}  // namespace nb::net
