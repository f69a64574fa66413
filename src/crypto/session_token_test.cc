#include "crypto/session_token.h"

#include "crypto/encoding.h"
#include "crypto/random.h"
#include "crypto/sign_key.h"

#include <gtest/gtest.h>

namespace nb::crypto {
namespace {

using namespace std::chrono_literals;

struct SessionToken : testing::Test {
  SystemRandom random;
  SignKeyPair keys = generate_sign_key(random);
  WallTime now = WallTime(1'800'000'000s);
  SessionClaims claims{.user = "u1", .domain = "app.example.net", .method = "oidc"};
  std::string token = *sign_session(keys.private_key, claims, now);

  [[nodiscard]] Code refusal(std::string_view text, std::string_view domain, WallTime at) const {
    const auto user = session_user(text, keys.public_key, domain, at);
    return user ? Code::kOk : user.error().code;
  }
};

TEST_F(SessionToken, NamesItsUserForADay) {
  EXPECT_EQ(*session_user(token, keys.public_key, "app.example.net", now), "u1");
  EXPECT_EQ(refusal(token, "app.example.net", now + 24h - 1s), Code::kOk);
  EXPECT_EQ(refusal(token, "app.example.net", now + 24h), Code::kUnauthenticated);
  EXPECT_EQ(refusal(token, "app.example.net", now - 2min), Code::kUnauthenticated);
}

TEST_F(SessionToken, IsGoodForItsDomainAndItsKeyOnly) {
  EXPECT_EQ(refusal(token, "other.example.net", now), Code::kUnauthenticated);
  const SignKeyPair other = generate_sign_key(random);
  EXPECT_FALSE(session_user(token, other.public_key, "app.example.net", now));
  EXPECT_EQ(session_user(token, "no key", "app.example.net", now).error().code, Code::kInternal);
  EXPECT_EQ(sign_session(Secret("no key"), claims, now).error().code, Code::kInternal);
}

TEST_F(SessionToken, NoBytesOfItMayChange) {
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string bad = token;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    EXPECT_EQ(refusal(bad, "app.example.net", now), Code::kUnauthenticated) << i;
  }
  for (const std::string& bad : {std::string(), std::string("a.b.c"), std::string(20'000, 'a')})
    EXPECT_EQ(refusal(bad, "app.example.net", now), Code::kUnauthenticated);
}

TEST_F(SessionToken, SaysWhatProxiesRead) {
  claims.email = "a@example.net";
  claims.groups = {"g1"};
  claims.group_names = {"All \"of\" us"};
  const std::string full = *sign_session(keys.private_key, claims, now);
  const auto first = full.find('.');
  const auto payload =
      *from_base64(full.substr(first + 1, full.rfind('.') - first - 1), Base64::kUrlRaw);
  EXPECT_EQ(payload,
            R"({"iss":"netbird-management","sub":"u1","aud":["app.example.net"],"exp":1800086400,)"
            R"("nbf":1800000000,"iat":1800000000,"method":"oidc","email":"a@example.net",)"
            R"("groups":["g1"],"group_names":["All \"of\" us"]})");
}

}  // namespace
}  // namespace nb::crypto
