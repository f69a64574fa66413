// Encrypted columns, as the store's statements see them.
// Source   contract/schema/README.md "Encrypted fields".
#pragma once

#include "base/result.h"
#include "crypto/field_cipher.h"

#include <string>
#include <string_view>

namespace nb::management {

/// Without a cipher values are kept as they are, as upstream does without a DataStoreEncryptionKey.
/// Thread-safe, as its parts are.
class FieldCodec {
 public:
  FieldCodec(const crypto::FieldCipher* cipher, crypto::RandomSource& random)
      : cipher_(cipher), random_(random) {}

  [[nodiscard]] bool has_key() const { return cipher_ != nullptr; }
  [[nodiscard]] std::string seal(std::string_view plain, crypto::FieldPlace place) const;
  /// Errors   kDataLoss: does not open with the configured key, or there is none.
  [[nodiscard]] Result<std::string> open(std::string_view stored, crypto::FieldPlace place) const;
  /// For names and mails: what does not open was written before a key was configured, and is shown
  /// as it is unless it looks like a sealed value (then: empty).
  [[nodiscard]] std::string open_or_plain(std::string_view stored, crypto::FieldPlace place) const;

 private:
  const crypto::FieldCipher* cipher_;
  crypto::RandomSource& random_;
};

/// Base64 of at least nonce and tag.
[[nodiscard]] bool looks_sealed(std::string_view stored);

}  // namespace nb::management
