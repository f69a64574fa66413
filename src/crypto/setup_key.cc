#include "crypto/setup_key.h"

#include "crypto/hash.h"

#include <algorithm>

namespace nb::crypto {

namespace {
constexpr std::size_t kHintSize = 5;

std::string to_upper(std::string_view text) {
  std::string upper(text);
  std::transform(upper.begin(), upper.end(), upper.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return upper;
}
}  // namespace

Secret generate_setup_key(RandomSource& random) {
  return Secret(to_upper(make_uuid(random)));
}

std::string hash_setup_key(std::string_view plain) {
  return sha256_base64(to_upper(plain));
}

std::string setup_key_hint(std::string_view plain) {
  return std::string(plain.substr(0, kHintSize)) + "****";
}

}  // namespace nb::crypto
