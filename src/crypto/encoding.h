// Bytes as text. Bytes are std::string or std::string_view here, as they come from protobuf.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace nb::crypto {

enum class Base64 : std::uint8_t { kStd, kStdRaw, kUrl, kUrlRaw };  // Raw: without padding

[[nodiscard]] std::string to_base64(std::string_view bytes, Base64 form = Base64::kStd);
[[nodiscard]] std::string to_base64(std::span<const std::uint8_t> bytes,
                                    Base64 form = Base64::kStd);
/// Canonical only: the padding the form asks for, no spaces, no stray bits.
/// Errors   kInvalidArgument; the text does not repeat the input, which may be a secret.
[[nodiscard]] Result<std::string> from_base64(std::string_view text, Base64 form = Base64::kStd);

[[nodiscard]] std::string to_hex(std::string_view bytes);  // lower case
[[nodiscard]] std::string to_hex(std::span<const std::uint8_t> bytes);
/// Either case, even length.
[[nodiscard]] Result<std::string> from_hex(std::string_view text);

[[nodiscard]] inline std::string_view as_text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
[[nodiscard]] inline std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace nb::crypto
