// Credentials management hands to agents for relays and TURN servers, and the relay's peer ids.
#pragma once

#include "base/result.h"
#include "base/secret.h"
#include "crypto/hash.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nb::crypto {

/// Payload: the expiry in decimal Unix seconds; signature: 32 raw bytes.
struct RelayToken {
  std::string payload;
  Digest32 signature{};
  /// RelayConfig.tokenSignature.
  [[nodiscard]] std::string signature_base64() const;
};

/// Makes and checks relay tokens: HMAC-SHA256 under SHA-256(secret).
/// Source   contract/signal-relay-ops.md §3.3
class RelayTokens {
 public:
  /// The first secret signs, every one is accepted, so that they can be rotated. At least one.
  explicit RelayTokens(const std::vector<Secret>& secrets);
  ~RelayTokens();
  RelayTokens(const RelayTokens&) = default;
  RelayTokens& operator=(const RelayTokens&) = default;

  [[nodiscard]] RelayToken make(std::chrono::sys_seconds expiry) const;
  /// A token is good up to and including its second of expiry.
  /// Errors   kUnauthenticated: payload under 10 bytes or no number, signature, expired.
  [[nodiscard]] Result<> check(std::string_view payload, std::span<const std::uint8_t> signature,
                               std::chrono::sys_seconds now) const;

 private:
  std::vector<Digest32> keys_;
};

/// coturn's REST scheme; the secret is used as it is written.
/// Source   contract/signal-relay-ops.md §4.2
struct TurnCredentials {
  std::string username;  // decimal Unix expiry
  std::string password;
};
[[nodiscard]] TurnCredentials make_turn_credentials(const Secret& secret,
                                                    std::chrono::sys_seconds expiry);

/// "sha-" and SHA-256 over the 44-character text of a key.
/// Source   contract/signal-relay-ops.md §3.2
using RelayPeerId = std::array<std::uint8_t, 36>;
[[nodiscard]] RelayPeerId relay_peer_id(std::string_view key_text);
/// "sha-" and base64 of the hash.
[[nodiscard]] std::string printable(const RelayPeerId& id);

}  // namespace nb::crypto
