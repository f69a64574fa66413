// Tokens and key sets of strangers: what is accepted is written back the same, and nothing verifies
// that was not signed.
#include "base/assert.h"
#include "crypto/encoding.h"
#include "crypto/jose.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {
using namespace nb::crypto;

const SigningKey& key() {
  static const SigningKey made = *SigningKey::generate(JwsAlg::kEs256);
  return made;
}

void token(std::string_view text) {
  const auto jws = Jws::parse(text);
  if (!jws) return;
  const std::string again = jws->signing_input + "." + to_base64(jws->signature, Base64::kUrlRaw);
  NB_ASSERT(again == text);
  NB_ASSERT(!verify(*jws, key().public_key()));
}

void key_set(std::string_view text) {
  const auto set = JwkSet::parse(text);
  if (!set) return;
  const auto again = JwkSet::parse(set->json());
  NB_ASSERT(again && again->json() == set->json());
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  token(text);
  key_set(text);
  nb::ignore(SigningKey::from_jwk(nb::Secret(std::string(text))), "must only not crash");
  return 0;
}
