// Texts of users and databases through the parsers of crypto/: keys, tokens, ids, encrypted fields.
#include "base/assert.h"
#include "crypto/crypto.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nb::crypto;
  const std::string_view text(reinterpret_cast<const char*>(data), size);

  if (const auto key = PublicKey::parse(text)) {
    const std::string canonical = key->base64();
    NB_ASSERT(canonical.size() == 44);
    NB_ASSERT(*PublicKey::parse(canonical) == *key);
  }
  if (const auto id = parse_xid(text)) NB_ASSERT(xid_text(*id) == text);
  for (const auto form : {Base64::kStd, Base64::kStdRaw, Base64::kUrl, Base64::kUrlRaw}) {
    if (const auto bytes = from_base64(text, form)) NB_ASSERT(to_base64(*bytes, form) == text);
    NB_ASSERT(*from_base64(to_base64(text, form), form) == text);
  }
  if (const auto bytes = from_hex(text)) NB_ASSERT(bytes->size() * 2 == text.size());
  NB_ASSERT(*from_hex(to_hex(text)) == text);
  for (const auto kind : {TokenKind::kPersonal, TokenKind::kInvite, TokenKind::kProxy}) {
    if (check_token(kind, text)) NB_ASSERT(token_checksum(text.substr(4, 30)) == text.substr(34));
  }
  NB_ASSERT(hash_setup_key(text).size() == 44);

  static const FieldCipher cipher = *FieldCipher::create(
      {nb::Secret("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")}, FieldCipher::Form::kBound);
  constexpr FieldPlace kPlace{"t", "c", "r"};
  nb::ignore(cipher.open(text, kPlace), "must only not crash");
  nb::ignore(cipher.open_legacy_cbc(text), "must only not crash");
  SeededRandom random(size);
  NB_ASSERT(*cipher.open(cipher.seal(text, kPlace, random), kPlace) == text);
  return 0;
}
