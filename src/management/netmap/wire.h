// The encoding of protocol messages, as far as maps need it: what is written here is byte for byte
// what the protocol library writes for the same message.
// Source   https://protobuf.dev/programming-guides/encoding
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace nb::netmap::wire {

inline void put_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

/// Takes a number off the front; of one that is cut off, what there is.
[[nodiscard]] inline std::uint64_t take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; !bytes.empty() && shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7FU} << shift;
    if (byte < 0x80) break;
  }
  return value;
}

[[nodiscard]] inline std::size_t varint_bytes(std::uint64_t value) {
  std::size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

/// Fields 1 to 15 have one-byte tags; maps use no others.
[[nodiscard]] constexpr char tag_of_bytes(unsigned field) {
  return static_cast<char>(field << 3 | 2);
}
[[nodiscard]] constexpr char tag_of_varint(unsigned field) {
  return static_cast<char>(field << 3);
}

/// A length-delimited field even when it is empty: elements of lists, messages.
inline void put_element(std::string& out, unsigned field, std::string_view bytes) {
  out.push_back(tag_of_bytes(field));
  put_varint(out, bytes.size());
  out.append(bytes);
}

/// A text or bytes field; nothing when empty.
inline void put_bytes(std::string& out, unsigned field, std::string_view bytes) {
  if (!bytes.empty()) put_element(out, field, bytes);
}

/// A number, flag or enum; nothing when zero.
inline void put_number(std::string& out, unsigned field, std::int64_t value) {
  if (value == 0) return;
  out.push_back(tag_of_varint(field));
  put_varint(out, static_cast<std::uint64_t>(value));
}

/// The head of a message whose `bytes` bytes follow.
inline void put_head(std::string& out, unsigned field, std::size_t bytes) {
  out.push_back(tag_of_bytes(field));
  put_varint(out, bytes);
}

}  // namespace nb::netmap::wire
