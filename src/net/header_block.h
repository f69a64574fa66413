// Request headers of one HTTP/2 block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nb::net {

struct HeaderField {
  std::string_view name;  // in lower case
  std::string_view value;
};

/// Request headers of the block being received; recycled, so that none is allocated per request.
class HeaderBlock {
 public:
  void clear();
  void add(std::string_view name, std::string_view value);
  /// As RFC 9113 §10.5.1 counts: 32 bytes more for each field.
  [[nodiscard]] std::size_t bytes() const { return text_.size() + 32 * spans_.size(); }
  [[nodiscard]] std::size_t size() const { return spans_.size(); }
  [[nodiscard]] HeaderField at(std::size_t index) const;
  /// First value, or empty.
  [[nodiscard]] std::string_view find(std::string_view name) const;
  /// Values of fields of the same name, joined by ", " (RFC 9110 §5.3).
  [[nodiscard]] std::string joined(std::string_view name) const;

  bool too_large = false;
  bool malformed = false;  // a name or value is none (RFC 9113 §8.2.1)

 private:
  struct Span {
    std::uint32_t at;
    std::uint32_t name;
    std::uint32_t value;
  };
  std::string text_;
  std::vector<Span> spans_;
};

}  // namespace nb::net
