#include "crypto/relay_token.h"

#include "base/assert.h"
#include "crypto/encoding.h"

#include <sodium.h>

#include <algorithm>
#include <charconv>

namespace nb::crypto {

namespace {
constexpr std::size_t kPayloadBytesMin = 10;
constexpr std::string_view kPeerIdPrefix = "sha-";
}  // namespace

std::string RelayToken::signature_base64() const {
  return to_base64(signature);
}

RelayTokens::RelayTokens(const std::vector<Secret>& secrets) {
  NB_ASSERT(!secrets.empty());
  for (const Secret& secret : secrets) keys_.push_back(sha256(secret.reveal()));
}

RelayTokens::~RelayTokens() {
  for (Digest32& key : keys_) sodium_memzero(key.data(), key.size());
}

RelayToken RelayTokens::make(std::chrono::sys_seconds expiry) const {
  RelayToken token;
  token.payload = std::to_string(expiry.time_since_epoch().count());
  token.signature = hmac_sha256(as_text(keys_.front()), token.payload);
  return token;
}

Result<> RelayTokens::check(std::string_view payload, std::span<const std::uint8_t> signature,
                            std::chrono::sys_seconds now) const {
  if (payload.size() < kPayloadBytesMin) return fail(Code::kUnauthenticated, "token: too short");
  bool signed_by_us = false;
  for (const Digest32& key : keys_) {
    // Every key is tried, so that time does not tell which one fits.
    signed_by_us |= equal_secrets(hmac_sha256(as_text(key), payload), signature);
  }
  if (!signed_by_us) return fail(Code::kUnauthenticated, "token: wrong signature");
  std::int64_t expiry = 0;
  const auto [end, ec] = std::from_chars(payload.data(), payload.data() + payload.size(), expiry);
  if (ec != std::errc{} || end != payload.data() + payload.size()) {
    return fail(Code::kUnauthenticated, "token: expiry is not a number");
  }
  if (now.time_since_epoch().count() > expiry)
    return fail(Code::kUnauthenticated, "token: expired");
  return {};
}

TurnCredentials make_turn_credentials(const Secret& secret, std::chrono::sys_seconds expiry) {
  TurnCredentials credentials;
  credentials.username = std::to_string(expiry.time_since_epoch().count());
  credentials.password = to_base64(hmac_sha1(secret.reveal(), credentials.username));
  return credentials;
}

RelayPeerId relay_peer_id(std::string_view key_text) {
  RelayPeerId id;
  const Digest32 hash = sha256(key_text);
  std::copy(hash.begin(), hash.end(),
            std::copy(kPeerIdPrefix.begin(), kPeerIdPrefix.end(), id.begin()));
  return id;
}

std::string printable(const RelayPeerId& id) {
  return std::string(kPeerIdPrefix) + to_base64(std::span(id).subspan(kPeerIdPrefix.size()));
}

}  // namespace nb::crypto
