#include "crypto/hash.h"

#include "base/assert.h"
#include "crypto/encoding.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <sodium.h>
#include <zlib.h>

namespace nb::crypto {

Digest32 sha256(std::string_view data) {
  // Fetched once: a look-up per digest costs more than hashing a short text.
  static const EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  Digest32 digest;
  NB_ASSERT(EVP_Digest(data.data(), data.size(), digest.data(), nullptr, kSha256, nullptr) == 1);
  return digest;
}

std::string sha256_base64(std::string_view data) {
  return to_base64(sha256(data));
}

Digest32 hmac_sha256(std::string_view key, std::string_view data) {
  Digest32 digest;
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, as_bytes(key).data(), key.size());
  crypto_auth_hmacsha256_update(&state, as_bytes(data).data(), data.size());
  crypto_auth_hmacsha256_final(&state, digest.data());
  sodium_memzero(&state, sizeof state);
  return digest;
}

Digest20 hmac_sha1(std::string_view key, std::string_view data) {
  Digest20 digest;
  unsigned size = 0;
  NB_ASSERT(HMAC(EVP_sha1(), key.data(), static_cast<int>(key.size()), as_bytes(data).data(),
                 data.size(), digest.data(), &size) != nullptr);
  NB_ASSERT(size == digest.size());
  return digest;
}

Digest32 hkdf_sha256(std::string_view secret, std::string_view purpose) {
  Digest32 key;
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr);
  std::size_t size = key.size();
  NB_ASSERT(context != nullptr && EVP_PKEY_derive_init(context) == 1 &&
            EVP_PKEY_CTX_set_hkdf_md(context, EVP_sha256()) == 1 &&
            EVP_PKEY_CTX_set1_hkdf_key(context, as_bytes(secret).data(),
                                       static_cast<int>(secret.size())) == 1 &&
            EVP_PKEY_CTX_add1_hkdf_info(context, as_bytes(purpose).data(),
                                        static_cast<int>(purpose.size())) == 1 &&
            EVP_PKEY_derive(context, key.data(), &size) == 1);
  EVP_PKEY_CTX_free(context);
  NB_ASSERT(size == key.size());
  return key;
}

Digest16 ssh_user_hash(std::string_view user_id) {
  Digest16 digest;
  crypto_generichash_blake2b(digest.data(), digest.size(), as_bytes(user_id).data(), user_id.size(),
                             nullptr, 0);
  return digest;
}

std::uint32_t crc32(std::string_view data) {
  return static_cast<std::uint32_t>(::crc32_z(0, as_bytes(data).data(), data.size()));
}

bool equal_secrets(std::string_view a, std::string_view b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool equal_secrets(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  return equal_secrets(as_text(a), as_text(b));
}

}  // namespace nb::crypto
