// Ed25519 key pairs for services that sign sessions themselves (reverse proxies).
#pragma once

#include "base/secret.h"
#include "crypto/random.h"

#include <string>

namespace nb::crypto {

struct SignKeyPair {
  Secret private_key;      // standard base64 of seed and public key, 64 bytes, as Go has it
  std::string public_key;  // standard base64 of 32 bytes
};

[[nodiscard]] SignKeyPair generate_sign_key(RandomSource& random);

}  // namespace nb::crypto
