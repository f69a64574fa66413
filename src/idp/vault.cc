#include "idp/vault.h"

#include "base/text.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"

namespace nb::idp {
namespace {

constexpr std::array<std::string_view, 5> kInfo = {"nb idp signing keys", "nb idp connectors",
                                                   "nb idp second factors", "nb idp personal data",
                                                   "nb idp login flows"};

}  // namespace

Result<Vault> Vault::make(const std::vector<Secret>& data_keys, crypto::RandomSource& random) {
  std::vector<std::string> raw;
  for (const Secret& key : data_keys) {
    NB_LET(std::string bytes, crypto::from_base64(key.reveal()));
    raw.push_back(std::move(bytes));
  }
  if (raw.empty()) return fail(Code::kInvalidArgument, "identity provider: no encryption key");
  std::vector<crypto::FieldCipher> ciphers;
  for (const std::string_view info : kInfo) {
    std::vector<Secret> derived;
    for (const std::string& key : raw)
      derived.emplace_back(crypto::to_base64(crypto::hkdf_sha256(key, info)));
    NB_LET(auto cipher, crypto::FieldCipher::create(derived, crypto::FieldCipher::Form::kBound));
    ciphers.push_back(std::move(cipher));
  }
  const auto index = crypto::hkdf_sha256(raw.front(), "nb idp address index");
  return Vault(std::move(ciphers), std::string(crypto::as_text(index)), random);
}

std::string Vault::seal(Purpose purpose, std::string_view plain, crypto::FieldPlace place) const {
  return ciphers_[static_cast<std::size_t>(purpose)].seal(plain, place, *random_);
}

Result<std::string> Vault::open(Purpose purpose, std::string_view stored,
                                crypto::FieldPlace place) const {
  if (stored.empty()) return std::string();
  return ciphers_[static_cast<std::size_t>(purpose)].open(stored, place);
}

std::string Vault::email_key(std::string_view email) const {
  return crypto::to_base64(crypto::hmac_sha256(index_key_, lower(email)), crypto::Base64::kUrlRaw);
}

std::string random_token(crypto::RandomSource& random) {
  return crypto::to_base64(random.bytes<32>(), crypto::Base64::kUrlRaw);
}

std::string hash_of(std::string_view token) {
  return crypto::to_base64(crypto::sha256(token), crypto::Base64::kUrlRaw);
}

}  // namespace nb::idp
