#include "crypto/jose.h"

#include "crypto/encoding.h"
#include "crypto/jose_vectors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::crypto {
namespace {
using ::testing::HasSubstr;
using ::testing::Not;

Result<> check(std::string_view token, std::string_view key) {
  NB_LET(const Jws jws, Jws::parse(token));
  NB_LET(const PublicJwk jwk, PublicJwk::parse(key));
  return verify(jws, jwk);
}

std::string token(std::string_view header, std::string_view payload = "{}",
                  std::string_view signature = "x") {
  return to_base64(header, Base64::kUrlRaw) + "." + to_base64(payload, Base64::kUrlRaw) + "." +
         to_base64(signature, Base64::kUrlRaw);
}

struct Vector {
  const char* name;
  const char* token;
  const char* key;
};
class JoseVector : public ::testing::TestWithParam<Vector> {};

TEST_P(JoseVector, VerifiesAndStopsVerifyingWhenOneBitChanges) {
  const auto [name, text, key] = GetParam();
  const auto good = check(text, key);
  EXPECT_TRUE(good) << good.error().text;
  Jws jws = *Jws::parse(text);
  const PublicJwk jwk = *PublicJwk::parse(key);
  for (const std::size_t at :
       {std::size_t{0}, jws.signature.size() / 2, jws.signature.size() - 1}) {
    Jws bad = jws;
    bad.signature[at] = static_cast<char>(bad.signature[at] ^ 1);
    EXPECT_FALSE(verify(bad, jwk)) << at;
  }
  Jws other = jws;
  other.signing_input.back() = other.signing_input.back() == 'A' ? 'B' : 'A';
  EXPECT_FALSE(verify(other, jwk));
  Jws shorter = jws;
  shorter.signature.pop_back();
  EXPECT_FALSE(verify(shorter, jwk));
}
INSTANTIATE_TEST_SUITE_P(Rfc, JoseVector,
                         ::testing::Values(Vector{"RS256", vectors::kRs256, vectors::kRsaPublic},
                                           Vector{"PS384", vectors::kPs384, vectors::kRsaPublic},
                                           Vector{"ES256", vectors::kEs256, vectors::kP256Public},
                                           Vector{"ES384", vectors::kEs384, vectors::kP384Public},
                                           Vector{"ES512", vectors::kEs512, vectors::kP521Public},
                                           Vector{"EdDSA", vectors::kEdDsa,
                                                  vectors::kEd25519Public}),
                         [](const auto& vector) { return vector.param.name; });

TEST(Jose, ThumbprintsAreThoseOfTheRfcs) {
  EXPECT_EQ(PublicJwk::parse(vectors::kThumbprintKey)->thumbprint(), vectors::kThumbprint);
  EXPECT_EQ(PublicJwk::parse(vectors::kEd25519Public)->thumbprint(), vectors::kEd25519Thumbprint);
}

TEST(Jose, PublicKeysSurviveExportAndImport) {
  for (const auto* key :
       {vectors::kRsaPublic, vectors::kP256Public, vectors::kP521Public, vectors::kEd25519Public}) {
    const auto first = PublicJwk::parse(key);
    ASSERT_TRUE(first) << first.error().text;
    const auto second = PublicJwk::parse(first->json());
    ASSERT_TRUE(second) << second.error().text;
    EXPECT_EQ(first->json(), second->json());
    EXPECT_EQ(first->thumbprint(), second->thumbprint());
  }
}

TEST(Jose, OwnKeysSignWhatTheirPublicPartVerifies) {
  for (const JwsAlg alg : {JwsAlg::kRs256, JwsAlg::kEs256}) {
    const auto key = SigningKey::generate(alg);
    ASSERT_TRUE(key) << key.error().text;
    EXPECT_EQ(key->kid(), key->public_key().thumbprint());
    const std::string text = key->sign(R"({"sub":"x"})", "at+jwt");
    const Jws jws = *Jws::parse(text);
    EXPECT_EQ(jws.alg, alg);
    EXPECT_EQ(jws.kid, key->kid());
    EXPECT_EQ(jws.typ, "at+jwt");
    EXPECT_EQ(jws.payload, R"({"sub":"x"})");
    const auto again = SigningKey::from_pem(key->private_pem(), alg);
    ASSERT_TRUE(again) << again.error().text;
    EXPECT_EQ(again->kid(), key->kid());
    EXPECT_TRUE(
        verify(*Jws::parse(again->sign("{}", "")), *PublicJwk::parse(key->public_key().json())));
    const auto stranger = SigningKey::generate(alg);
    EXPECT_FALSE(verify(jws, stranger->public_key()));
  }
}

TEST(Jose, ImportsPrivateJwksAndChecksThatTheirPartsBelongTogether) {
  const auto rsa = SigningKey::from_jwk(Secret(vectors::kRsaPrivate));
  ASSERT_TRUE(rsa) << rsa.error().text;
  EXPECT_EQ(rsa->kid(), "bilbo.baggins@hobbiton.example");
  EXPECT_TRUE(verify(*Jws::parse(rsa->sign("{}", "")), *PublicJwk::parse(vectors::kRsaPublic)));
  const auto ec = SigningKey::from_jwk(Secret(vectors::kP256Private));
  ASSERT_TRUE(ec) << ec.error().text;
  EXPECT_TRUE(verify(*Jws::parse(ec->sign("{}", "")), *PublicJwk::parse(vectors::kP256Public)));
  std::string wrong = vectors::kP256Private;
  wrong.replace(wrong.find("\"d\":\"") + 5, 2, "AA");
  EXPECT_FALSE(SigningKey::from_jwk(Secret(wrong)));
}

TEST(Jose, RefusesAlgorithmsThatDoNotFitTheKey) {
  // The classic confusion: the public key's bytes as an HMAC secret, or no signature at all.
  for (const auto* header :
       {R"({"alg":"none"})", R"({"alg":"HS256"})", R"({"alg":"hs256"})", R"({"alg":"rs256"})",
        R"({"alg":""})", R"({})", R"({"alg":["RS256"]})"})
    EXPECT_FALSE(Jws::parse(token(header))) << header;
  const PublicJwk rsa = *PublicJwk::parse(vectors::kRsaPublic);
  EXPECT_TRUE(rsa.fits(JwsAlg::kRs256));
  EXPECT_FALSE(rsa.fits(JwsAlg::kEs256));
  Jws jws = *Jws::parse(vectors::kRs256);
  jws.alg = JwsAlg::kEs256;
  EXPECT_FALSE(verify(jws, rsa));
  jws.alg = JwsAlg::kPs256;
  EXPECT_FALSE(verify(jws, rsa));
  const PublicJwk p256 = *PublicJwk::parse(vectors::kP256Public);
  EXPECT_FALSE(p256.fits(JwsAlg::kEs384));
  std::string bound = vectors::kRsaPublic;
  bound.insert(1, R"("alg":"RS512",)");
  EXPECT_FALSE(check(vectors::kRs256, bound));
  std::string misfit = vectors::kRsaPublic;
  misfit.insert(1, R"("alg":"ES256",)");
  EXPECT_FALSE(PublicJwk::parse(misfit));
}

TEST(Jose, RefusesTokensThatAreNotStrictlyWritten) {
  const std::string good = vectors::kRs256;
  for (const std::string& bad :
       {std::string(), std::string("a"), std::string("a.b"), good + ".", "." + good, good + "=",
        good.substr(0, good.rfind('.') + 1), std::string(20'000, 'a'), " " + good,
        token(R"({"alg":"RS256","alg":"RS256"})"), token(R"({"alg":"RS256","crit":["x"]})"),
        token(R"({"alg":"RS256","b64":false})"), token("[]"), token("{"),
        token(R"({"alg":"RS256","kid":7})")})
    EXPECT_FALSE(Jws::parse(bad)) << bad;
  // Stray bits in the last character of the signature: a second text for the same bytes.
  std::string stray = good;
  stray.back() = stray.back() == 'x' ? 'y' : static_cast<char>(stray.back() + 1);
  const auto parsed = Jws::parse(stray);
  if (parsed) {
    EXPECT_NE(parsed->signature, Jws::parse(good)->signature);
  }
  const auto refused = Jws::parse("secret.secret.secret!");
  EXPECT_THAT(refused.error().text, Not(HasSubstr("secret")));
}

TEST(Jose, RefusesKeysThatAreNotForSignaturesOrTooWeak) {
  std::string encryption = vectors::kRsaPublic;
  encryption.replace(encryption.find("\"sig\""), 5, "\"enc\"");
  EXPECT_FALSE(PublicJwk::parse(encryption));
  EXPECT_FALSE(PublicJwk::parse(R"({"kty":"oct","k":"AAAA"})"));
  // 1024 bits.
  EXPECT_FALSE(PublicJwk::parse(R"({"kty":"RSA","e":"AQAB","n":")" +
                                to_base64(std::string(128, '\xff'), Base64::kUrlRaw) + "\"}"));
  EXPECT_FALSE(PublicJwk::parse(R"({"kty":"RSA","e":"AQ","n":")" +
                                to_base64(std::string(256, '\xff'), Base64::kUrlRaw) + "\"}"));
  std::string off_curve = vectors::kP256Public;
  off_curve.replace(off_curve.find("\"x\":\"") + 5, 2, "AA");
  EXPECT_FALSE(PublicJwk::parse(off_curve));
  EXPECT_FALSE(PublicJwk::parse(R"({"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"})"));
}

// contract/auth-idp.md §2.1: the certificate wins over n and e.
TEST(Jose, ACertificateIsTheKeyWhateverStandsBesideIt) {
  const auto key = [](const std::string& certificate) {
    std::string text = vectors::kRsaPublic;
    return text.insert(1, R"("x5c":[")" + certificate + R"(","ignored"],)");
  };
  const auto good = check(vectors::kCertified, key(vectors::kCertificate));
  EXPECT_TRUE(good) << good.error().text;
  EXPECT_FALSE(check(vectors::kRs256, key(vectors::kCertificate)));  // by n and e
  EXPECT_FALSE(check(vectors::kCertified, vectors::kRsaPublic));
  EXPECT_FALSE(PublicJwk::parse(key("AAAA")));
  EXPECT_FALSE(PublicJwk::parse(key("not base64")));
}

TEST(Jose, ToleratesPaddingInsideKeys) {
  std::string padded = vectors::kRsaPublic;
  padded.replace(padded.find("AQAB"), 4, "AQAB====");
  EXPECT_TRUE(check(vectors::kRs256, padded));
}

TEST(Jose, KeySetFindsByKidAndSkipsWhatIsUnusable) {
  const std::string set = std::string(R"({"keys":[{"kty":"oct","k":"AA","kid":"m"},)") +
                          vectors::kP521Public + "," + vectors::kRsaPublic + "]}";
  const auto keys = JwkSet::parse(set);
  ASSERT_TRUE(keys) << keys.error().text;
  ASSERT_EQ(keys->keys().size(), 2U);
  const Jws rs256 = *Jws::parse(vectors::kRs256);
  const PublicJwk* found = keys->find(rs256);  // same kid as the P-521 key: kind decides
  ASSERT_NE(found, nullptr);
  EXPECT_TRUE(verify(rs256, *found));
  Jws unnamed = rs256;
  unnamed.kid.clear();
  EXPECT_EQ(keys->find(unnamed), nullptr);
  const JwkSet one({*PublicJwk::parse(vectors::kRsaPublic)});
  EXPECT_NE(one.find(unnamed), nullptr);
  Jws stranger = rs256;
  stranger.kid = "other";
  EXPECT_EQ(one.find(stranger), nullptr);
  EXPECT_EQ(JwkSet::parse(one.json())->json(), one.json());
  EXPECT_FALSE(JwkSet::parse("[]"));
  EXPECT_FALSE(JwkSet::parse(R"({"keys":{}})"));
}

}  // namespace
}  // namespace nb::crypto
