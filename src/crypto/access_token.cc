#include "crypto/access_token.h"

#include "crypto/hash.h"

#include <algorithm>

namespace nb::crypto {

namespace {

constexpr std::string_view kBase62 =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::size_t kPrefixSize = 4;
constexpr std::size_t kSecretSize = 30;
constexpr std::size_t kChecksumSize = 6;

std::string_view prefix(TokenKind kind) {
  switch (kind) {
    case TokenKind::kPersonal:
      return "nbp_";
    case TokenKind::kInvite:
      return "nbi_";
    case TokenKind::kProxy:
      break;
  }
  return "nbx_";
}

bool is_base62(char c) {
  return kBase62.find(c) != std::string_view::npos;
}

}  // namespace

std::string token_checksum(std::string_view secret_part) {
  std::string text(kChecksumSize, '0');
  // 62^6 > 2^32: six digits always suffice.
  std::uint32_t rest = crc32(secret_part);
  for (auto digit = text.rbegin(); digit != text.rend(); ++digit) {
    *digit = kBase62[rest % kBase62.size()];
    rest = static_cast<std::uint32_t>(rest / kBase62.size());
  }
  return text;
}

Secret generate_token(TokenKind kind, RandomSource& random) {
  std::string secret_part(kSecretSize, '0');
  for (char& c : secret_part) c = kBase62[random.below(kBase62.size())];
  std::string token(prefix(kind));
  token += secret_part;
  token += token_checksum(secret_part);
  return Secret(std::move(token));
}

Result<> check_token(TokenKind kind, std::string_view token) {
  const auto invalid = [] { return fail(Code::kUnauthenticated, "token invalid"); };
  if (token.size() != kPrefixSize + kSecretSize + kChecksumSize) return invalid();
  if (!token.starts_with(prefix(kind))) return invalid();
  const auto secret_part = token.substr(kPrefixSize, kSecretSize);
  if (!std::all_of(secret_part.begin(), secret_part.end(), is_base62)) return invalid();
  if (token.substr(kPrefixSize + kSecretSize) != token_checksum(secret_part)) return invalid();
  return {};
}

std::string hash_token(std::string_view token) {
  return sha256_base64(token);
}

}  // namespace nb::crypto
