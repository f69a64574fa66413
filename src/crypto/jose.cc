#include "crypto/jose.h"

#include "base/assert.h"
#include "base/strict_json.h"
#include "crypto/encoding.h"
#include "crypto/jose_key.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include <array>
#include <utility>

namespace nb::crypto {
namespace {
namespace json = boost::json;
using jose::Kind;

constexpr std::size_t kTokenMax = 16 * 1024;

constexpr std::array<std::pair<JwsAlg, std::string_view>, 10> kNames = {{
    {JwsAlg::kRs256, "RS256"},
    {JwsAlg::kRs384, "RS384"},
    {JwsAlg::kRs512, "RS512"},
    {JwsAlg::kPs256, "PS256"},
    {JwsAlg::kPs384, "PS384"},
    {JwsAlg::kPs512, "PS512"},
    {JwsAlg::kEs256, "ES256"},
    {JwsAlg::kEs384, "ES384"},
    {JwsAlg::kEs512, "ES512"},
    {JwsAlg::kEdDsa, "EdDSA"},
}};

bool is_pss(JwsAlg alg) {
  return alg == JwsAlg::kPs256 || alg == JwsAlg::kPs384 || alg == JwsAlg::kPs512;
}
bool is_ec(JwsAlg alg) {
  return alg == JwsAlg::kEs256 || alg == JwsAlg::kEs384 || alg == JwsAlg::kEs512;
}

Error refused(std::string_view what) {
  return fail(Code::kInvalidArgument, "token: {}", what);
}

Result<std::string> text_member(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (value == nullptr) return std::string();
  if (!value->is_string()) return refused("a header member is not a text");
  return std::string(value->get_string());
}

struct SigFree {
  void operator()(ECDSA_SIG* signature) const { ECDSA_SIG_free(signature); }
};
using EcSignature = std::unique_ptr<ECDSA_SIG, SigFree>;
struct ContextFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, ContextFree>;

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// RFC 7518 §3.4: R and S side by side, each as long as the field; OpenSSL wants DER.
Result<std::string> to_der(std::string_view raw, std::size_t width) {
  if (raw.size() != 2 * width)
    return fail(Code::kUnauthenticated, "token: signature of the wrong length");
  const EcSignature signature(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(bytes(raw), static_cast<int>(width), nullptr);
  BIGNUM* s = BN_bin2bn(bytes(raw.substr(width)), static_cast<int>(width), nullptr);
  NB_ASSERT(signature && r != nullptr && s != nullptr &&
            ECDSA_SIG_set0(signature.get(), r, s) == 1);
  unsigned char* out = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &out);
  NB_ASSERT(size > 0);
  std::string der(reinterpret_cast<const char*>(out), static_cast<std::size_t>(size));
  OPENSSL_free(out);
  return der;
}

std::string from_der(std::string_view der, std::size_t width) {
  const unsigned char* at = bytes(der);
  const EcSignature signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  NB_ASSERT(signature != nullptr);
  std::string raw(2 * width, '\0');
  auto* out = reinterpret_cast<unsigned char*>(raw.data());
  NB_ASSERT(BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out, static_cast<int>(width)) > 0);
  NB_ASSERT(BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out + width, static_cast<int>(width)) >
            0);
  return raw;
}

bool set_padding(EVP_PKEY_CTX* context, JwsAlg alg) {
  if (!is_pss(alg)) return true;  // RSA: PKCS #1 v1.5 is the default
  // RFC 7518 §3.5: MGF1 with the same hash (the default), a salt as long as the hash.
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

}  // namespace

std::string_view name_of(JwsAlg alg) {
  for (const auto& [value, name] : kNames)
    if (value == alg) return name;
  return "";
}

std::optional<JwsAlg> jws_alg(std::string_view name) {
  for (const auto& [value, text] : kNames)
    if (text == name) return value;
  return std::nullopt;
}

Result<Jws> Jws::parse(std::string_view compact) {
  if (compact.size() > kTokenMax) return refused("longer than 16 KiB");
  const auto first = compact.find('.');
  const auto second = first == std::string_view::npos ? first : compact.find('.', first + 1);
  if (second == std::string_view::npos || compact.find('.', second + 1) != std::string_view::npos)
    return refused("not three parts");
  NB_LET(const std::string header, from_base64(compact.substr(0, first), Base64::kUrlRaw));
  const auto value = parse_strict_json(header, {.bytes_max = kTokenMax, .depth_max = 8});
  if (!value) return refused("header is not JSON");
  const auto* object = value->if_object();
  if (object == nullptr) return refused("header is not an object");
  // RFC 7515 §4.1.11: what must be understood is not understood here.
  if (object->contains("crit")) return refused("critical extension");
  if (object->contains("b64")) return refused("unencoded payload");
  Jws jws;
  NB_LET(const std::string alg_name, text_member(*object, "alg"));
  const auto alg = jws_alg(alg_name);
  if (!alg) return refused("algorithm not allowed");
  jws.alg = *alg;
  NB_LET(jws.kid, text_member(*object, "kid"));
  NB_LET(jws.typ, text_member(*object, "typ"));
  NB_LET(jws.payload, from_base64(compact.substr(first + 1, second - first - 1), Base64::kUrlRaw));
  NB_LET(jws.signature, from_base64(compact.substr(second + 1), Base64::kUrlRaw));
  if (jws.signature.empty()) return refused("no signature");
  jws.signing_input = compact.substr(0, second);
  return jws;
}

Result<> verify(const Jws& jws, const PublicJwk& key) {
  if (!key.fits(jws.alg))
    return fail(Code::kUnauthenticated, "token: {} does not fit the key", name_of(jws.alg));
  EVP_PKEY* pkey = jose::key_of(key.key_);
  std::string signature = jws.signature;
  if (is_ec(jws.alg)) {
    NB_LET(signature, to_der(jws.signature, jose::coordinate_bytes(jose::kind_of(pkey))));
  }
  const Context context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  const bool good = context &&
                    EVP_DigestVerifyInit(context.get(), &parameters, jose::digest_of(jws.alg),
                                         nullptr, pkey) == 1 &&
                    set_padding(parameters, jws.alg) &&
                    EVP_DigestVerify(context.get(), bytes(signature), signature.size(),
                                     bytes(jws.signing_input), jws.signing_input.size()) == 1;
  ERR_clear_error();
  if (!good) return fail(Code::kUnauthenticated, "token: signature does not verify");
  return {};
}

std::string SigningKey::sign(std::string_view payload, std::string_view typ) const {
  json::object header;
  header["alg"] = name_of(alg_);
  header["kid"] = kid();
  if (!typ.empty()) header["typ"] = typ;
  std::string token = to_base64(json::serialize(header), Base64::kUrlRaw);
  token += '.';
  token += to_base64(payload, Base64::kUrlRaw);
  EVP_PKEY* pkey = jose::key_of(key_);
  const Context context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  std::size_t size = 0;
  NB_ASSERT(context && EVP_DigestSignInit(context.get(), &parameters, jose::digest_of(alg_),
                                          nullptr, pkey) == 1);
  NB_ASSERT(set_padding(parameters, alg_));
  NB_ASSERT(EVP_DigestSign(context.get(), nullptr, &size, bytes(token), token.size()) == 1);
  std::string signature(size, '\0');
  NB_ASSERT(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                           bytes(token), token.size()) == 1);
  signature.resize(size);
  if (is_ec(alg_)) signature = from_der(signature, jose::coordinate_bytes(jose::kind_of(pkey)));
  token += '.';
  token += to_base64(signature, Base64::kUrlRaw);
  return token;
}

const PublicJwk* JwkSet::find(const Jws& jws) const {
  if (jws.kid.empty())
    return keys_.size() == 1 && keys_.front().fits(jws.alg) ? &keys_.front() : nullptr;
  for (const auto& key : keys_)
    if (key.kid() == jws.kid && key.fits(jws.alg)) return &key;
  return nullptr;
}

}  // namespace nb::crypto
