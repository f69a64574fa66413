// Between jose.cc and jwk.cc: OpenSSL's handles. Private to crypto/.
#pragma once

#include "crypto/jose.h"

#include <openssl/bn.h>
#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

namespace nb::crypto::jose {

inline EVP_PKEY* key_of(const std::shared_ptr<void>& key) {
  return static_cast<EVP_PKEY*>(key.get());
}
/// Takes ownership.
std::shared_ptr<void> own(EVP_PKEY* key);

struct BnFree {
  void operator()(BIGNUM* number) const { BN_clear_free(number); }
};
using Bn = std::unique_ptr<BIGNUM, BnFree>;

/// Kind and strength of a key as far as algorithms care.
enum class Kind : std::uint8_t { kOther, kRsa, kP256, kP384, kP521, kEd25519 };
[[nodiscard]] Kind kind_of(const EVP_PKEY* key);
/// A kind we use, RSA within 2048..8192 bits and a sane exponent.
Result<> check_strength(const EVP_PKEY* key);
[[nodiscard]] bool fits(Kind kind, JwsAlg alg);
[[nodiscard]] std::size_t coordinate_bytes(Kind kind);
[[nodiscard]] const EVP_MD* digest_of(JwsAlg alg);

}  // namespace nb::crypto::jose
