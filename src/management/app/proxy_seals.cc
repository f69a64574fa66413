#include "management/app/proxy_seals.h"

#include "base/assert.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"

#include <optional>

namespace nb::management::app {
namespace {

using crypto::Base64;

constexpr std::size_t kRandomBytes = 16;
constexpr std::size_t kNonceBytes = kRandomBytes + 8;
constexpr std::size_t kMacBytes = 32;
constexpr std::size_t kTextMax = 8 * 1024;
constexpr std::string_view kTokens = "netbird proxy one-time tokens";
constexpr std::string_view kStates = "netbird proxy sign-in states";
constexpr std::string_view kVerifiers = "netbird proxy sign-in verifiers";

Error refused(std::string_view why) {
  return fail(Code::kUnauthenticated, "{}", why);
}

std::string mac(const Secret& secret, std::string_view purpose, std::string_view text) {
  const crypto::Digest32 key = crypto::hkdf_sha256(secret.reveal(), purpose);
  const crypto::Digest32 sum = crypto::hmac_sha256(crypto::as_text(key), text);
  return std::string(crypto::as_text(sum));
}

/// Parts with their lengths: no two lists give one text.
std::string joined(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const std::string_view part : parts) out.append(fmt::format("{}:{};", part.size(), part));
  return out;
}

WallTime end_of(std::string_view nonce) {
  std::uint64_t seconds = 0;
  for (const char c : nonce.substr(kRandomBytes))
    seconds = seconds << 8U | static_cast<unsigned char>(c);
  // Whoever forges a time beyond what the clock can say fails at the MAC; it must not overflow
  // here.
  constexpr std::uint64_t kFarAway = 9'000'000'000;
  return WallTime(std::chrono::seconds(static_cast<std::int64_t>(std::min(seconds, kFarAway))));
}

std::string state_text(std::string_view url, std::string_view nonce) {
  return joined({url, nonce});
}

struct StateParts {
  std::string url;
  std::string_view nonce;
  std::string_view mac;
};

/// Nothing for any other spelling of what state() makes: spaces, empty parts, loose base64.
std::optional<StateParts> parts_of(std::string_view state) {
  const std::size_t first = state.find('|');
  const std::size_t second = first == state.npos ? first : state.find('|', first + 1);
  if (second == state.npos) return std::nullopt;
  const std::string_view address = state.substr(0, first);
  auto url = crypto::from_base64(address, Base64::kUrl);
  if (!url || crypto::to_base64(*url, Base64::kUrl) != address) return std::nullopt;
  return StateParts{*std::move(url), state.substr(first + 1, second - first - 1),
                    state.substr(second + 1)};
}

}  // namespace

std::string ProxySeals::nonce(WallTime ends) const {
  const auto bytes = random_.bytes<kRandomBytes>();
  std::string out(crypto::as_text(bytes));
  const auto seconds = static_cast<std::uint64_t>(
      std::chrono::floor<std::chrono::seconds>(ends).time_since_epoch().count());
  for (int shift = 56; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(seconds >> static_cast<unsigned>(shift) & 0xFFU));
  return out;
}

std::string ProxySeals::token(std::string_view account, std::string_view service,
                              WallTime now) const {
  const std::string fresh = nonce(now + kTokenLife);
  const std::vector<Secret> secrets = secrets_();
  NB_ASSERT(!secrets.empty());
  return crypto::to_base64(fresh + mac(secrets.front(), kTokens, joined({account, service, fresh})),
                           Base64::kUrlRaw);
}

Result<ProxySeals::Opened> ProxySeals::open_token(std::string_view token, std::string_view account,
                                                  std::string_view service, WallTime now) const {
  if (token.size() > kTextMax) return refused("invalid token");
  const auto bytes = crypto::from_base64(token, Base64::kUrlRaw);
  if (!bytes || bytes->size() != kNonceBytes + kMacBytes ||
      crypto::to_base64(*bytes, Base64::kUrlRaw) != token)
    return refused("invalid token");
  const std::string_view all = *bytes;
  const std::string_view fresh = all.substr(0, kNonceBytes);
  bool ours = false;
  for (const Secret& secret : secrets_())
    ours = crypto::equal_secrets(mac(secret, kTokens, joined({account, service, fresh})),
                                 all.substr(kNonceBytes)) ||
           ours;
  if (!ours) return refused("invalid token");
  const Opened out{crypto::sha256_base64(token), end_of(fresh)};
  if (out.ends <= now) return refused("expired token");
  return out;
}

std::string ProxySeals::state(std::string_view url, WallTime now) const {
  const std::string fresh = crypto::to_base64(nonce(now + kStateLife), Base64::kUrl);
  const std::vector<Secret> secrets = secrets_();
  NB_ASSERT(!secrets.empty());
  return crypto::to_base64(url, Base64::kUrl) + "|" + fresh + "|" +
         crypto::to_hex(mac(secrets.front(), kStates, state_text(url, fresh)));
}

Result<ProxySeals::OpenedState> ProxySeals::open_state(std::string_view state, WallTime now) const {
  if (state.size() > kTextMax) return refused("invalid state");
  auto parts = parts_of(state);
  if (!parts) return refused("invalid state");
  const auto fresh = crypto::from_base64(parts->nonce, Base64::kUrl);
  if (!fresh || fresh->size() != kNonceBytes) return refused("invalid state");
  bool ours = false;
  for (const Secret& secret : secrets_())
    ours = crypto::equal_secrets(
               crypto::to_hex(mac(secret, kStates, state_text(parts->url, parts->nonce))),
               parts->mac) ||
           ours;
  if (!ours) return refused("invalid state");
  OpenedState out{std::move(parts->url), {crypto::sha256_base64(state), end_of(*fresh)}};
  if (out.once.ends <= now) return refused("expired state");
  return out;
}

Result<std::string> ProxySeals::verifier(std::string_view state) const {
  const auto parts = parts_of(state);
  if (!parts) return refused("invalid state");
  for (const Secret& secret : secrets_()) {
    const std::string sum =
        crypto::to_hex(mac(secret, kStates, state_text(parts->url, parts->nonce)));
    if (crypto::equal_secrets(sum, parts->mac))
      return crypto::to_base64(mac(secret, kVerifiers, state), Base64::kUrlRaw);
  }
  return refused("invalid state");
}

}  // namespace nb::management::app
