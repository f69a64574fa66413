// Looking into protobuf bytes without building messages: enough to count peers and read a serial.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace nb::bench {

struct WireField {
  std::uint32_t number = 0;
  std::uint64_t value = 0;      // varints
  std::string_view bytes = {};  // length-delimited
};

/// Takes one field off `in`; none at the end or when the bytes are no protobuf.
inline std::optional<WireField> take_field(std::string_view& in) {
  const auto varint = [&in]() -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !in.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(in.front());
      in.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 127U) << shift;
      if (byte < 128) return value;
    }
    return std::nullopt;
  };
  const auto tag = varint();
  if (!tag) return std::nullopt;
  WireField out;
  out.number = static_cast<std::uint32_t>(*tag >> 3);
  const auto skip = [&](std::size_t size) {
    if (size > in.size()) return false;
    out.bytes = in.substr(0, size);
    in.remove_prefix(size);
    return true;
  };
  switch (*tag & 7) {
    case 0: {
      const auto value = varint();
      if (!value) return std::nullopt;
      out.value = *value;
      return out;
    }
    case 1:
      return skip(8) ? std::optional(out) : std::nullopt;
    case 2: {
      const auto size = varint();
      if (!size || !skip(static_cast<std::size_t>(*size))) return std::nullopt;
      return out;
    }
    case 5:
      return skip(4) ? std::optional(out) : std::nullopt;
    default:
      return std::nullopt;
  }
}

}  // namespace nb::bench
