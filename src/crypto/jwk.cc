#include "base/assert.h"
#include "base/strict_json.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "crypto/jose.h"
#include "crypto/jose_key.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <array>

namespace nb::crypto {
namespace jose {

std::shared_ptr<void> own(EVP_PKEY* key) {
  return {key, [](void* p) { EVP_PKEY_free(static_cast<EVP_PKEY*>(p)); }};
}

Kind kind_of(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA") == 1) return Kind::kRsa;
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return Kind::kEd25519;
  if (EVP_PKEY_is_a(key, "EC") != 1) return Kind::kOther;
  std::array<char, 64> group{};
  std::size_t size = 0;
  if (EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) != 1) return Kind::kOther;
  const std::string_view name(group.data(), size);
  if (name == "prime256v1" || name == "P-256") return Kind::kP256;
  if (name == "secp384r1" || name == "P-384") return Kind::kP384;
  if (name == "secp521r1" || name == "P-521") return Kind::kP521;
  return Kind::kOther;
}

Result<> check_strength(const EVP_PKEY* key) {
  const Kind kind = kind_of(key);
  if (kind == Kind::kOther) return fail(Code::kInvalidArgument, "key: kind or curve not supported");
  if (kind != Kind::kRsa) return {};
  if (const int bits = EVP_PKEY_get_bits(key); bits < 2048 || bits > 8192)
    return fail(Code::kInvalidArgument, "key: RSA of {} bits, outside 2048..8192", bits);
  BIGNUM* e = nullptr;
  const bool known = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1;
  const Bn exponent(e);
  // A huge exponent costs the verifier, a small even one is no RSA.
  if (!known || BN_is_odd(e) != 1 || BN_is_one(e) == 1 || BN_num_bits(e) > 64)
    return fail(Code::kInvalidArgument, "key: RSA exponent not usable");
  return {};
}

bool fits(Kind kind, JwsAlg alg) {
  switch (alg) {
    case JwsAlg::kEs256:
      return kind == Kind::kP256;
    case JwsAlg::kEs384:
      return kind == Kind::kP384;
    case JwsAlg::kEs512:
      return kind == Kind::kP521;
    case JwsAlg::kEdDsa:
      return kind == Kind::kEd25519;
    default:
      return kind == Kind::kRsa;
  }
}

std::size_t coordinate_bytes(Kind kind) {
  switch (kind) {
    case Kind::kP256:
      return 32;
    case Kind::kP384:
      return 48;
    case Kind::kP521:
      return 66;
    default:
      return 0;
  }
}

const EVP_MD* digest_of(JwsAlg alg) {
  switch (alg) {
    case JwsAlg::kRs384:
    case JwsAlg::kPs384:
    case JwsAlg::kEs384:
      return EVP_sha384();
    case JwsAlg::kRs512:
    case JwsAlg::kPs512:
    case JwsAlg::kEs512:
      return EVP_sha512();
    case JwsAlg::kEdDsa:
      return nullptr;
    default:
      return EVP_sha256();
  }
}

}  // namespace jose

namespace {
namespace json = boost::json;
using jose::Bn;
using jose::Kind;

constexpr std::size_t kX5cMax = 16 * 1024;

Error refused(std::string_view what) {
  return fail(Code::kInvalidArgument, "key: {}", what);
}

std::string_view text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_string()) return {};
  const auto& text = value->get_string();
  return {text.data(), text.size()};
}

Result<std::string> member_bytes(const json::object& object, std::string_view name) {
  std::string_view text = text_of(object, name);
  while (text.ends_with('=')) text.remove_suffix(1);  // some providers pad
  if (text.empty()) return refused("a member is missing");
  return from_base64(text, Base64::kUrlRaw);
}

// Collects parameters for EVP_PKEY_fromdata. A BN_ pushed here lives until finish().
class Builder {
 public:
  Builder() : build_(OSSL_PARAM_BLD_new()) { NB_ASSERT(build_ != nullptr); }
  ~Builder() { OSSL_PARAM_BLD_free(build_); }
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  void number(const char* name, const std::string& value) {
    Bn number(BN_secure_new());
    NB_ASSERT(number && BN_bin2bn(as_bytes(value).data(), static_cast<int>(value.size()),
                                  number.get()) != nullptr);
    NB_ASSERT(OSSL_PARAM_BLD_push_BN(build_, name, number.get()) == 1);
    numbers_.push_back(std::move(number));
  }
  void text(const char* name, const char* value) {
    NB_ASSERT(OSSL_PARAM_BLD_push_utf8_string(build_, name, value, 0) == 1);
  }
  void octets(const char* name, const std::string& value) {
    NB_ASSERT(OSSL_PARAM_BLD_push_octet_string(build_, name, value.data(), value.size()) == 1);
  }
  Result<std::shared_ptr<void>> finish(const char* type, int selection) {
    OSSL_PARAM* parameters = OSSL_PARAM_BLD_to_param(build_);
    EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr);
    EVP_PKEY* key = nullptr;
    const bool made = parameters != nullptr && context != nullptr &&
                      EVP_PKEY_fromdata_init(context) == 1 &&
                      EVP_PKEY_fromdata(context, &key, selection, parameters) == 1;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    ERR_clear_error();
    if (!made) return refused("numbers do not make a key");
    return jose::own(key);
  }

 private:
  OSSL_PARAM_BLD* build_;
  std::vector<Bn> numbers_;
};

Result<std::shared_ptr<void>> rsa_key(const json::object& object, bool secret) {
  Builder builder;
  const auto add = [&](const char* parameter, std::string_view name) -> Result<> {
    NB_LET(const std::string value, member_bytes(object, name));
    if (value.size() > 1024 + 1) return refused("number too long");
    builder.number(parameter, value);
    return {};
  };
  NB_TRY(add(OSSL_PKEY_PARAM_RSA_N, "n"));
  NB_TRY(add(OSSL_PKEY_PARAM_RSA_E, "e"));
  if (secret) {
    NB_TRY(add(OSSL_PKEY_PARAM_RSA_D, "d"));
    NB_TRY(add(OSSL_PKEY_PARAM_RSA_FACTOR1, "p"));
    NB_TRY(add(OSSL_PKEY_PARAM_RSA_FACTOR2, "q"));
    NB_TRY(add(OSSL_PKEY_PARAM_RSA_EXPONENT1, "dp"));
    NB_TRY(add(OSSL_PKEY_PARAM_RSA_EXPONENT2, "dq"));
    NB_TRY(add(OSSL_PKEY_PARAM_RSA_COEFFICIENT1, "qi"));
  }
  return builder.finish("RSA", secret ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY);
}

Result<std::shared_ptr<void>> ec_key(const json::object& object, bool secret) {
  struct Curve {
    std::string_view jwk;
    const char* group;
    std::size_t width;
  };
  constexpr std::array<Curve, 3> kCurves = {
      {{"P-256", "P-256", 32}, {"P-384", "P-384", 48}, {"P-521", "P-521", 66}}};
  const std::string_view name = text_of(object, "crv");
  for (const Curve& curve : kCurves) {
    if (curve.jwk != name) continue;
    NB_LET(const std::string x, member_bytes(object, "x"));
    NB_LET(const std::string y, member_bytes(object, "y"));
    // RFC 7518 §6.2.1.2: full width, leading zeros included; encoders that drop them exist.
    if (x.size() > curve.width || y.size() > curve.width) return refused("coordinate too long");
    std::string point("\x04");
    point.append(curve.width - x.size(), '\0').append(x);
    point.append(curve.width - y.size(), '\0').append(y);
    Builder builder;
    builder.text(OSSL_PKEY_PARAM_GROUP_NAME, curve.group);
    builder.octets(OSSL_PKEY_PARAM_PUB_KEY, point);
    if (secret) {
      NB_LET(const std::string d, member_bytes(object, "d"));
      if (d.size() > curve.width) return refused("number too long");
      builder.number(OSSL_PKEY_PARAM_PRIV_KEY, d);
    }
    return builder.finish("EC", secret ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY);
  }
  return refused("curve not supported");
}

Result<std::shared_ptr<void>> okp_key(const json::object& object) {
  if (text_of(object, "crv") != "Ed25519") return refused("curve not supported");
  NB_LET(const std::string x, member_bytes(object, "x"));
  if (x.size() != 32) return refused("Ed25519 keys have 32 bytes");
  EVP_PKEY* key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, as_bytes(x).data(), 32);
  if (key == nullptr) return refused("not an Ed25519 key");
  return jose::own(key);
}

Result<std::shared_ptr<void>> certificate_key(std::string_view text) {
  if (text.size() > kX5cMax) return refused("certificate too long");
  NB_LET(const std::string der, from_base64(text, Base64::kStd));
  const unsigned char* at = as_bytes(der).data();
  X509* certificate = d2i_X509(nullptr, &at, static_cast<long>(der.size()));
  EVP_PKEY* key = certificate == nullptr ? nullptr : X509_get_pubkey(certificate);
  X509_free(certificate);
  ERR_clear_error();
  if (key == nullptr) return refused("x5c is not a certificate");
  return jose::own(key);
}

Result<std::shared_ptr<void>> any_public_key(const json::object& object) {
  if (const auto* chain = object.if_contains("x5c")) {
    const auto* list = chain->if_array();
    if (list != nullptr && !list->empty() && list->front().is_string()) {
      const auto& text = list->front().get_string();
      return certificate_key({text.data(), text.size()});
    }
  }
  const std::string_view kind = text_of(object, "kty");
  if (kind == "RSA") return rsa_key(object, false);
  if (kind == "EC") return ec_key(object, false);
  if (kind == "OKP") return okp_key(object);
  return refused("kind not supported");
}

std::string number_text(const EVP_PKEY* key, const char* name, std::size_t width = 0) {
  BIGNUM* value = nullptr;
  NB_ASSERT(EVP_PKEY_get_bn_param(key, name, &value) == 1);
  const Bn number(value);
  if (width == 0) width = static_cast<std::size_t>(BN_num_bytes(value));
  std::string out(width, '\0');
  NB_ASSERT(BN_bn2binpad(value, reinterpret_cast<unsigned char*>(out.data()),
                         static_cast<int>(width)) >= 0);
  return to_base64(out, Base64::kUrlRaw);
}

// The members RFC 7638 §3.2 hashes, in its order (names ascending).
json::object required_members(const EVP_PKEY* key) {
  const Kind kind = jose::kind_of(key);
  json::object object;
  if (kind == Kind::kRsa) {
    object["e"] = number_text(key, OSSL_PKEY_PARAM_RSA_E);
    object["kty"] = "RSA";
    object["n"] = number_text(key, OSSL_PKEY_PARAM_RSA_N);
  } else if (kind == Kind::kEd25519) {
    std::string x(32, '\0');
    std::size_t size = x.size();
    NB_ASSERT(EVP_PKEY_get_raw_public_key(key, reinterpret_cast<unsigned char*>(x.data()), &size) ==
              1);
    object["crv"] = "Ed25519";
    object["kty"] = "OKP";
    object["x"] = to_base64(x, Base64::kUrlRaw);
  } else {
    const std::size_t width = jose::coordinate_bytes(kind);
    object["crv"] = kind == Kind::kP256 ? "P-256" : kind == Kind::kP384 ? "P-384" : "P-521";
    object["kty"] = "EC";
    object["x"] = number_text(key, OSSL_PKEY_PARAM_EC_PUB_X, width);
    object["y"] = number_text(key, OSSL_PKEY_PARAM_EC_PUB_Y, width);
  }
  return object;
}

struct BioFree {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using MemoryBio = std::unique_ptr<BIO, BioFree>;

std::string bio_text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace

Result<PublicJwk> PublicJwk::parse(std::string_view text) {
  NB_LET(const json::value value, parse_strict_json(text, {.depth_max = 4}));
  const auto* object = value.if_object();
  if (object == nullptr) return refused("not an object");
  if (const auto* use = object->if_contains("use");
      use != nullptr && text_of(*object, "use") != "sig")
    return refused("not for signatures");
  PublicJwk jwk;
  NB_LET(jwk.key_, any_public_key(*object));
  NB_TRY(jose::check_strength(jose::key_of(jwk.key_)));
  jwk.kid_ = text_of(*object, "kid");
  if (object->contains("alg")) {
    jwk.alg_ = jws_alg(text_of(*object, "alg"));
    if (!jwk.alg_ || !jose::fits(jose::kind_of(jose::key_of(jwk.key_)), *jwk.alg_))
      return refused("algorithm does not fit");
  }
  return jwk;
}

bool PublicJwk::fits(JwsAlg alg) const {
  return key_ && (!alg_ || *alg_ == alg) && jose::fits(jose::kind_of(jose::key_of(key_)), alg);
}

std::string PublicJwk::json() const {
  json::object object = required_members(jose::key_of(key_));
  object["use"] = "sig";
  if (!kid_.empty()) object["kid"] = kid_;
  if (alg_) object["alg"] = name_of(*alg_);
  return json::serialize(object);
}

std::string PublicJwk::thumbprint() const {
  return to_base64(sha256(json::serialize(required_members(jose::key_of(key_)))), Base64::kUrlRaw);
}

std::string PublicJwk::pem() const {
  const MemoryBio bio(BIO_new(BIO_s_mem()));
  NB_ASSERT(bio && PEM_write_bio_PUBKEY(bio.get(), jose::key_of(key_)) == 1);
  return bio_text(bio.get());
}

Result<JwkSet> JwkSet::parse(std::string_view text) {
  NB_LET(const json::value value, parse_strict_json(text, {.depth_max = 6}));
  const auto* object = value.if_object();
  const auto* member = object == nullptr ? nullptr : object->if_contains("keys");
  const auto* list = member == nullptr ? nullptr : member->if_array();
  if (list == nullptr) return refused("not a key set");
  if (list->size() > kKeysMax)
    return fail(Code::kInvalidArgument, "key set: over {} keys", kKeysMax);
  std::vector<PublicJwk> keys;
  for (const auto& item : *list)
    if (auto key = PublicJwk::parse(json::serialize(item))) keys.push_back(*std::move(key));
  return JwkSet(std::move(keys));
}

std::string JwkSet::json() const {
  std::string out = R"({"keys":[)";
  for (const auto& key : keys_) {
    if (&key != &keys_.front()) out += ',';
    out += key.json();
  }
  return out + "]}";
}

Result<SigningKey> SigningKey::generate(JwsAlg alg) {
  EVP_PKEY* key = nullptr;
  if (alg == JwsAlg::kRs256) key = EVP_RSA_gen(2048);
  if (alg == JwsAlg::kEs256) key = EVP_EC_gen("P-256");
  if (key == nullptr) return refused("cannot be generated");
  SigningKey out;
  out.alg_ = out.public_.alg_.emplace(alg);
  out.key_ = out.public_.key_ = jose::own(key);
  out.public_.kid_ = out.public_.thumbprint();
  return out;
}

Result<SigningKey> SigningKey::from_pem(const Secret& pem, JwsAlg alg, std::string kid) {
  const std::string_view text = pem.reveal();
  const MemoryBio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  // No callback that asks a terminal for a passphrase.
  EVP_PKEY* key = PEM_read_bio_PrivateKey(
      bio.get(), nullptr, [](char*, int, int, void*) { return -1; }, nullptr);
  ERR_clear_error();
  if (key == nullptr) return refused("not a private key in PEM");
  SigningKey out;
  out.key_ = out.public_.key_ = jose::own(key);
  out.alg_ = out.public_.alg_.emplace(alg);
  NB_TRY(jose::check_strength(key));
  if (!out.public_.fits(alg)) return refused("algorithm does not fit");
  out.public_.kid_ = kid.empty() ? out.public_.thumbprint() : std::move(kid);
  return out;
}

Result<SigningKey> SigningKey::from_jwk(const Secret& text) {
  NB_LET(const json::value value, parse_strict_json(text.reveal(), {.depth_max = 4}));
  const auto* object = value.if_object();
  if (object == nullptr) return refused("not an object");
  const bool rsa = text_of(*object, "kty") == "RSA";
  const JwsAlg alg = rsa ? JwsAlg::kRs256 : JwsAlg::kEs256;
  SigningKey out;
  NB_LET(out.key_, rsa ? rsa_key(*object, true) : ec_key(*object, true));
  EVP_PKEY* key = jose::key_of(out.key_);
  NB_TRY(jose::check_strength(key));
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr);
  const bool consistent = context != nullptr && EVP_PKEY_check(context) == 1;
  EVP_PKEY_CTX_free(context);
  ERR_clear_error();
  if (!consistent) return refused("public and private part do not belong together");
  out.public_.key_ = out.key_;
  out.alg_ = out.public_.alg_.emplace(alg);
  if (!out.public_.fits(alg)) return refused("algorithm does not fit");
  out.public_.kid_ = text_of(*object, "kid");
  if (out.public_.kid_.empty()) out.public_.kid_ = out.public_.thumbprint();
  return out;
}

Secret SigningKey::private_pem() const {
  const MemoryBio bio(BIO_new(BIO_s_secmem()));
  NB_ASSERT(bio && PEM_write_bio_PKCS8PrivateKey(bio.get(), jose::key_of(key_), nullptr, nullptr, 0,
                                                 nullptr, nullptr) == 1);
  return Secret(bio_text(bio.get()));
}

}  // namespace nb::crypto
