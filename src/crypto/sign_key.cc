#include "crypto/sign_key.h"

#include "base/assert.h"
#include "crypto/encoding.h"

#include <sodium.h>

namespace nb::crypto {

SignKeyPair generate_sign_key(RandomSource& random) {
  auto seed = random.bytes<crypto_sign_SEEDBYTES>();
  std::array<std::uint8_t, crypto_sign_SECRETKEYBYTES> secret;
  std::array<std::uint8_t, crypto_sign_PUBLICKEYBYTES> open;
  NB_ASSERT(crypto_sign_seed_keypair(open.data(), secret.data(), seed.data()) == 0);
  SignKeyPair out{Secret(to_base64(secret)), to_base64(open)};
  sodium_memzero(seed.data(), seed.size());
  sodium_memzero(secret.data(), secret.size());
  return out;
}

}  // namespace nb::crypto
