#include "crypto/encoding.h"

#include <sodium.h>

#include <algorithm>

namespace nb::crypto {

namespace {
int variant(Base64 form) {
  switch (form) {
    case Base64::kStd:
      return sodium_base64_VARIANT_ORIGINAL;
    case Base64::kStdRaw:
      return sodium_base64_VARIANT_ORIGINAL_NO_PADDING;
    case Base64::kUrl:
      return sodium_base64_VARIANT_URLSAFE;
    case Base64::kUrlRaw:
      break;
  }
  return sodium_base64_VARIANT_URLSAFE_NO_PADDING;
}
}  // namespace

std::string to_base64(std::span<const std::uint8_t> bytes, Base64 form) {
  std::string text(sodium_base64_encoded_len(bytes.size(), variant(form)), '\0');
  sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(), variant(form));
  text.pop_back();  // libsodium counts the terminating zero
  return text;
}

std::string to_base64(std::string_view bytes, Base64 form) {
  return to_base64(as_bytes(bytes), form);
}

Result<std::string> from_base64(std::string_view text, Base64 form) {
  const auto invalid = [&] {
    return fail(Code::kInvalidArgument, "{} characters are not valid base64", text.size());
  };
  // libsodium 1.0.18 takes some bytes above 127 for digits.
  const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  if (!std::all_of(text.begin(), text.end(), is_ascii)) return invalid();
  std::string bytes(text.size() / 4 * 3 + 3, '\0');
  std::size_t size = 0;
  const char* end = nullptr;
  const int bad = sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(),
                                    text.data(), text.size(), nullptr, &size, &end, variant(form));
  if (bad != 0 || end != text.data() + text.size()) return invalid();
  bytes.resize(size);
  return bytes;
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  std::string text(bytes.size() * 2 + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), bytes.data(), bytes.size());
  text.pop_back();
  return text;
}

std::string to_hex(std::string_view bytes) {
  return to_hex(as_bytes(bytes));
}

Result<std::string> from_hex(std::string_view text) {
  std::string bytes(text.size() / 2, '\0');
  std::size_t size = 0;
  const char* end = nullptr;
  const int bad = sodium_hex2bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(),
                                 text.data(), text.size(), nullptr, &size, &end);
  if (bad != 0 || text.size() % 2 != 0 || size != bytes.size() ||
      (end != nullptr && end != text.data() + text.size())) {
    return fail(Code::kInvalidArgument, "{} characters are not valid hexadecimal", text.size());
  }
  return bytes;
}

}  // namespace nb::crypto
