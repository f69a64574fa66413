// The envelope of management and signal bodies: NaCl box between two WireGuard keys.
//
// Wire     nonce (24) ‖ tag (16) ‖ ciphertext, as libsodium's crypto_box_easy with the nonce first.
// Source   contract/management-grpc.md §2; contract/signal-relay-ops.md §1.1
#pragma once

#include "base/result.h"
#include "base/secret.h"
#include "crypto/random.h"

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

namespace nb::crypto {

/// A WireGuard (Curve25519) public key.
class PublicKey {
 public:
  using Bytes = std::array<std::uint8_t, 32>;
  PublicKey() = default;
  explicit PublicKey(const Bytes& bytes) : bytes_(bytes) {}
  /// 44 characters of standard base64. Stray bits in the last digit are accepted, as agents and
  /// upstream do; base64() then gives the one canonical spelling, which look-ups must use.
  /// Errors   kInvalidArgument, without the text.
  static Result<PublicKey> parse(std::string_view text);
  [[nodiscard]] std::string base64() const;
  [[nodiscard]] const Bytes& bytes() const { return bytes_; }
  [[nodiscard]] bool is_zero() const;
  friend auto operator<=>(const PublicKey&, const PublicKey&) = default;

 private:
  Bytes bytes_{};
};

struct PublicKeyHash {
  std::size_t operator()(const PublicKey& key) const;
};

/// Wiped when it goes. Cannot be formatted.
class PrivateKey {
 public:
  using Bytes = std::array<std::uint8_t, 32>;
  explicit PrivateKey(const Bytes& bytes) : bytes_(bytes) {}
  ~PrivateKey();
  PrivateKey(const PrivateKey&) = default;
  PrivateKey& operator=(const PrivateKey&) = default;
  /// As PublicKey::parse().
  static Result<PrivateKey> parse(std::string_view text);
  /// Clamped, as `wg genkey` prints them.
  static PrivateKey generate(RandomSource& random);
  [[nodiscard]] PublicKey public_key() const;
  [[nodiscard]] Secret base64() const;
  [[nodiscard]] const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

/// The shared key of one pair, computed once (about 50 µs) and then used for every message of a
/// stream, in both directions.
class BoxSession {
 public:
  static constexpr std::size_t kNonceBytes = 24;
  static constexpr std::size_t kTagBytes = 16;
  static constexpr std::size_t kOverhead = kNonceBytes + kTagBytes;
  static constexpr std::size_t kPlainBytesMax = 64 * 1024 * 1024;

  /// Errors   kInvalidArgument: `theirs` is one of the few points that give no shared secret.
  static Result<BoxSession> create(const PrivateKey& ours, const PublicKey& theirs);
  ~BoxSession();
  BoxSession(const BoxSession&) = default;
  BoxSession& operator=(const BoxSession&) = default;

  /// One allocation, of the result.
  [[nodiscard]] std::string seal(std::string_view plain, RandomSource& random) const;
  /// Behind what `out` holds already, reusing its capacity.
  void seal_onto(std::string& out, std::string_view plain, RandomSource& random) const {
    seal_onto(out, {plain}, random);
  }
  /// The same for a plain text in parts, one after the other: they are copied once and sealed where
  /// they are then.
  void seal_onto(std::string& out, std::initializer_list<std::string_view> plain,
                 RandomSource& random) const;
  /// Errors   kInvalidArgument "invalid request message": too short, wrong key or changed bytes.
  [[nodiscard]] Result<std::string> open(std::string_view sealed) const;
  /// Replaces `plain`, reusing its capacity; unspecified content on failure.
  Result<> open_into(std::string& plain, std::string_view sealed) const;

 private:
  BoxSession() = default;
  std::array<std::uint8_t, 32> shared_{};
};

}  // namespace nb::crypto
