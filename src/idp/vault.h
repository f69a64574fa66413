// Secrets at rest: one key per purpose, bound to the row they stand in (auth-idp T20).
#pragma once

#include "base/result.h"
#include "base/secret.h"
#include "crypto/field_cipher.h"
#include "crypto/random.h"

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace nb::idp {

enum class Purpose : std::uint8_t { kKeys, kConnectors, kMfa, kPersonal, kFlow };

/// Thread-safe.
class Vault {
 public:
  /// `data_keys`: DataStoreEncryptionKey, current first.
  /// Errors   kInvalidArgument
  static Result<Vault> make(const std::vector<Secret>& data_keys, crypto::RandomSource& random);

  [[nodiscard]] std::string seal(Purpose purpose, std::string_view plain,
                                 crypto::FieldPlace place) const;
  [[nodiscard]] Result<std::string> open(Purpose purpose, std::string_view stored,
                                         crypto::FieldPlace place) const;
  /// Finds an address without storing it in clear: keyed hash of its lower-case form.
  [[nodiscard]] std::string email_key(std::string_view email) const;

 private:
  Vault(std::vector<crypto::FieldCipher> ciphers, std::string index_key,
        crypto::RandomSource& random)
      : ciphers_(std::move(ciphers)), index_key_(std::move(index_key)), random_(&random) {}
  std::vector<crypto::FieldCipher> ciphers_;  // by purpose
  std::string index_key_;
  crypto::RandomSource* random_;
};

/// 256 random bits, base64url; only hash_of() of it is stored.
[[nodiscard]] std::string random_token(crypto::RandomSource& random);
[[nodiscard]] std::string hash_of(std::string_view token);

}  // namespace nb::idp
