#include "crypto/password.h"

#include "base/assert.h"
#include "crypto/hash.h"

#include <crypt.h>
#include <sodium.h>

#include <array>
#include <memory>

namespace nb::crypto {
namespace {

// OWASP's second choice of parameters: the memory of a burst of logins stays small.
constexpr unsigned long long kPasses = 2;
constexpr std::size_t kMemory = 19 * 1024 * 1024;
constexpr int kCostMin = 4;
constexpr int kCostMax = 14;  // beyond, one attempt costs seconds (auth-idp T25)
constexpr std::size_t kBcryptSize = 60;
constexpr std::size_t kBcryptPasswordMax = 72;

bool is_argon2(std::string_view text) {
  return text.starts_with("$argon2id$") && text.size() < crypto_pwhash_STRBYTES;
}

bool is_bcrypt(std::string_view text) {
  if (text.size() != kBcryptSize || !text.starts_with("$2") || text[3] != '$' || text[6] != '$')
    return false;
  if (text[2] != 'a' && text[2] != 'b' && text[2] != 'y') return false;
  if (text[4] < '0' || text[4] > '9' || text[5] < '0' || text[5] > '9') return false;
  const int cost = (text[4] - '0') * 10 + (text[5] - '0');
  return cost >= kCostMin && cost <= kCostMax;
}

bool verify_bcrypt(std::string_view stored, std::string_view password) {
  if (password.size() > kBcryptPasswordMax) return false;
  // The three prefixes mean the same algorithm; libxcrypt treats $2a$ with a work-around for a bug
  // that other implementations never had.
  std::string setting(stored);
  setting[2] = 'b';
  std::string phrase(password);
  const auto data = std::make_unique<crypt_data>();
  const char* out = crypt_rn(phrase.c_str(), setting.c_str(), data.get(), sizeof(crypt_data));
  const bool good = out != nullptr && equal_secrets(std::string_view(out), setting);
  sodium_memzero(data.get(), sizeof(crypt_data));
  sodium_memzero(phrase.data(), phrase.size());
  return good;
}

}  // namespace

Result<std::string> hash_password(const Secret& password) {
  NB_ASSERT(sodium_init() >= 0);
  std::array<char, crypto_pwhash_STRBYTES> out{};
  const std::string_view text = password.reveal();
  if (crypto_pwhash_str_alg(out.data(), text.data(), text.size(), kPasses, kMemory,
                            crypto_pwhash_ALG_ARGON2ID13) != 0)
    return fail(Code::kResourceExhausted, "password hash: no memory");
  return std::string(out.data());
}

bool verify_password(std::string_view stored, const Secret& password) {
  const std::string_view text = password.reveal();
  if (text.find('\0') != std::string_view::npos) return false;
  if (is_bcrypt(stored)) return verify_bcrypt(stored, text);
  if (!is_argon2(stored)) return false;
  NB_ASSERT(sodium_init() >= 0);
  std::array<char, crypto_pwhash_STRBYTES> padded{};
  stored.copy(padded.data(), stored.size());
  return crypto_pwhash_str_verify(padded.data(), text.data(), text.size()) == 0;
}

bool password_outdated(std::string_view stored) {
  if (!is_argon2(stored)) return true;
  std::array<char, crypto_pwhash_STRBYTES> padded{};
  stored.copy(padded.data(), stored.size());
  return crypto_pwhash_str_needs_rehash(padded.data(), kPasses, kMemory) != 0;
}

bool is_password_hash(std::string_view text) {
  return is_bcrypt(text) || is_argon2(text);
}

}  // namespace nb::crypto
