// Setup keys: the texts with which machines join an account.
//
// Source   contract/network-map.md §1.1, §1.5
#pragma once

#include "base/secret.h"
#include "crypto/random.h"

#include <string>
#include <string_view>

namespace nb::crypto {

/// An upper-case UUID, shown once.
[[nodiscard]] Secret generate_setup_key(RandomSource& random);
/// setup_keys.key: base64 of SHA-256 over the upper-cased text, so case does not matter.
[[nodiscard]] std::string hash_setup_key(std::string_view plain);
/// setup_keys.key_secret: the first five characters and "****".
[[nodiscard]] std::string setup_key_hint(std::string_view plain);

}  // namespace nb::crypto
