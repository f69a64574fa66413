// JOSE, as much as OpenID Connect needs: compact JWS and JWK, on OpenSSL's EVP interface.
//
// Purpose      read and verify tokens of any provider, sign our own, read and write key sets.
// Not here     claims (who may, until when): management/auth and idp; encryption (JWE): never.
// Start with   Jws::parse, JwkSet::parse, verify(); SigningKey to make tokens.
// Limits       token <= 16 KiB, key set <= 256 KiB and 64 keys, RSA 2048..8192 bits.
// Failure      every refusal is kInvalidArgument (not a token) or kUnauthenticated (no signature of
//              that key); texts never repeat a token.
// Source       RFC 7515, 7517, 7518, 7638, 8037; contract/auth-idp.md §2.1, §12
#pragma once

#include "base/result.h"
#include "base/secret.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::crypto {

/// What is accepted at all: "none" and the HMAC family have no name here and so cannot be asked
/// for by a token.
enum class JwsAlg : std::uint8_t {
  kRs256,
  kRs384,
  kRs512,
  kPs256,
  kPs384,
  kPs512,
  kEs256,
  kEs384,
  kEs512,
  kEdDsa,
};
[[nodiscard]] std::string_view name_of(JwsAlg alg);
[[nodiscard]] std::optional<JwsAlg> jws_alg(std::string_view name);

/// A token taken apart, not yet verified. Strict: unpadded canonical base64url, JSON without
/// duplicate names, no "crit"; "jku", "x5u", "jwk" and "x5c" in the header are ignored.
struct Jws {
  JwsAlg alg = JwsAlg::kRs256;
  std::string kid;            // empty: the header names none
  std::string typ;            // as sent, may be empty
  std::string payload;        // decoded; JSON is checked by whoever reads it
  std::string signing_input;  // header and payload as sent
  std::string signature;      // decoded
  static Result<Jws> parse(std::string_view compact);
};

/// A public key, bound to the algorithms that fit it. Immutable; cheap to copy; any thread.
class PublicJwk {
 public:
  /// One JSON object (RFC 7517). x5c[0] wins over n/e (contract §2.1). Padding in members is
  /// tolerated.
  /// Errors   kInvalidArgument: unusable here: use other than "sig", symmetric, unknown kind or
  ///          curve, point not on the curve, RSA outside 2048..8192 bits, alg that does not fit.
  static Result<PublicJwk> parse(std::string_view json);

  [[nodiscard]] const std::string& kid() const { return kid_; }
  /// The only algorithm this key may be used with, if it says so.
  [[nodiscard]] std::optional<JwsAlg> alg() const { return alg_; }
  /// The algorithm fits kind, curve and the key's own "alg".
  [[nodiscard]] bool fits(JwsAlg alg) const;
  /// {"kty":…,"use":"sig","kid":…,"alg":…,…}
  [[nodiscard]] std::string json() const;
  /// RFC 7638, SHA-256, unpadded base64url.
  [[nodiscard]] std::string thumbprint() const;
  /// SubjectPublicKeyInfo, for libraries that want PEM.
  [[nodiscard]] std::string pem() const;

 private:
  friend class SigningKey;
  friend Result<> verify(const Jws& jws, const PublicJwk& key);
  PublicJwk() = default;
  std::string kid_;
  std::optional<JwsAlg> alg_;
  std::shared_ptr<void> key_;  // EVP_PKEY
};

/// Checks the signature and nothing else. The algorithm comes from the token but must fit the key.
/// Errors   kUnauthenticated
Result<> verify(const Jws& jws, const PublicJwk& key);

/// The usable keys of a set; what is unusable (encryption keys, unknown kinds) is skipped.
class JwkSet {
 public:
  static constexpr std::size_t kKeysMax = 64;
  /// Errors   kInvalidArgument: not {"keys":[…]}, or more than kKeysMax.
  static Result<JwkSet> parse(std::string_view json);
  JwkSet() = default;
  explicit JwkSet(std::vector<PublicJwk> keys) : keys_(std::move(keys)) {}

  [[nodiscard]] const std::vector<PublicJwk>& keys() const { return keys_; }
  /// The key for this token: same kid and fitting; a token without kid only if the set has exactly
  /// one key and it fits. Null: none.
  [[nodiscard]] const PublicJwk* find(const Jws& jws) const;
  /// {"keys":[…]} in this order.
  [[nodiscard]] std::string json() const;

 private:
  std::vector<PublicJwk> keys_;
};

/// A private key that signs with one algorithm. Immutable; cheap to copy; any thread.
class SigningKey {
 public:
  /// Only kRs256 (2048 bits) and kEs256. RSA takes some 100 ms: not on a loop. kid = thumbprint.
  static Result<SigningKey> generate(JwsAlg alg);
  /// PKCS #8 PEM, as private_pem() writes it. An empty kid becomes the thumbprint.
  static Result<SigningKey> from_pem(const Secret& pem, JwsAlg alg, std::string kid = {});
  /// A private JWK (RSA or P-256), e.g. of an imported provider. Keeps its kid.
  static Result<SigningKey> from_jwk(const Secret& json);

  [[nodiscard]] const std::string& kid() const { return public_.kid(); }
  [[nodiscard]] JwsAlg alg() const { return alg_; }
  [[nodiscard]] const PublicJwk& public_key() const { return public_; }
  [[nodiscard]] Secret private_pem() const;
  /// Compact JWS with header {"alg":…,"kid":…,"typ":…} over the payload's bytes.
  [[nodiscard]] std::string sign(std::string_view payload, std::string_view typ) const;

 private:
  SigningKey() = default;
  JwsAlg alg_ = JwsAlg::kRs256;
  PublicJwk public_;
  std::shared_ptr<void> key_;  // EVP_PKEY
};

}  // namespace nb::crypto
