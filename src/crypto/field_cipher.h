// Encrypted columns: AES-256-GCM under the data-store key.
//
// Forms    upstream   base64( nonce (12) ‖ ciphertext ‖ tag (16) ), no additional data
//          bound      "nb1:" key id ":" the same, with table/column/row as additional data, so
//                     that a value copied to another row does not open; upstream cannot read it
// Source   contract/signal-relay-ops.md §6.8; contract/schema/README.md "Encodings"
#pragma once

#include "base/result.h"
#include "base/secret.h"
#include "crypto/random.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nb::crypto {

/// Where a value is stored; ids as text.
struct FieldPlace {
  std::string_view table;
  std::string_view column;
  std::string_view row;
};

/// Reads both forms under every key it was given; writes the form it was told under the first.
class FieldCipher {
 public:
  enum class Form : std::uint8_t { kUpstream, kBound };

  /// Keys: standard base64 of 32 bytes; the first is current, others open old values only.
  /// Errors   kInvalidArgument: no key, or not 32 bytes. The text never shows the key.
  static Result<FieldCipher> create(const std::vector<Secret>& keys, Form form = Form::kUpstream);
  ~FieldCipher();
  FieldCipher(const FieldCipher&) = default;
  FieldCipher& operator=(const FieldCipher&) = default;

  /// Empty text stays empty. A fresh nonce each time: equal texts differ.
  [[nodiscard]] std::string seal(std::string_view plain, FieldPlace place,
                                 RandomSource& random) const;
  /// Errors   kInvalidArgument: not one of the forms; kUnauthenticated: no key of ours opens it
  ///          (wrong key, changed bytes or, for bound values, another place).
  [[nodiscard]] Result<std::string> open(std::string_view stored, FieldPlace place) const;
  /// True if seal() would write `stored` under another key or in another form: rewrite it.
  [[nodiscard]] bool outdated(std::string_view stored, FieldPlace place) const;
  /// Old rows of deleted_users only: AES-256-CBC with a fixed IV. Read, then write with seal().
  [[nodiscard]] Result<std::string> open_legacy_cbc(std::string_view stored) const;

  /// A new key as configuration holds it.
  static Secret generate_key(RandomSource& random);

 private:
  struct Key {
    std::array<std::uint8_t, 32> bytes{};
    std::string id;  // 8 hex digits of its SHA-256
  };
  FieldCipher() = default;
  std::vector<Key> keys_;
  Form form_ = Form::kUpstream;
};

}  // namespace nb::crypto
