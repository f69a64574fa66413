#include "management/auth/claims.h"

#include <gtest/gtest.h>

namespace nb::management::auth {
namespace {

using namespace std::chrono_literals;

constexpr WallTime kNow{1'800'000'000s};

ClaimRules rules() {
  ClaimRules out;
  out.issuer = "https://nb.example.org/oauth2";
  out.audiences = {"netbird-dashboard", "netbird-cli"};
  return out;
}

std::string payload(const std::string& aud = R"("netbird-cli")",
                    const std::string& times = R"("exp":1800000600)",
                    const std::string& rest = R"("sub":"u1")") {
  return R"({"iss":"https://nb.example.org/oauth2","aud":)" + aud + "," + times + "," + rest + "}";
}

std::string refusal(std::string text, ClaimRules with = rules()) {
  const auto claims = read_claims(std::move(text), with, kNow);
  if (claims) return {};
  EXPECT_EQ(claims.error().code, Code::kUnauthenticated);
  return claims.error().text;
}

TEST(Claims, AGoodTokenIsRead) {
  const auto claims = read_claims(
      payload(R"(["x","netbird-dashboard"])", R"("exp":1800000600,"iat":1799999990.5)",
              R"("sub":"u1","email":"a@b.c","name":"A","preferred_username":"a",)"
              R"("netbird-dashboard/wt_account_domain":"b.c",)"
              R"("netbird-dashboard/nb_last_login":"2027-01-15T07:59:00Z","extra":{"x":[1]})"),
      rules(), kNow);
  ASSERT_TRUE(claims) << claims.error().text;
  EXPECT_EQ(claims->user, UserId("u1"));
  EXPECT_EQ(claims->email, "a@b.c");
  EXPECT_EQ(claims->name, "A");
  EXPECT_EQ(claims->domain, "b.c");
  EXPECT_EQ(claims->expires_at, kNow + 600s);
  EXPECT_EQ(claims->issued_at, kNow - 10s);
  ASSERT_TRUE(claims->last_login);
  EXPECT_EQ(*claims->last_login, kNow - 60s);
}

TEST(Claims, IssuerAndAudienceMustFit) {
  EXPECT_EQ(refusal(payload()), "");
  EXPECT_EQ(refusal(payload(R"("other")")), "audience is not accepted here");
  EXPECT_EQ(refusal(payload("[]")), "audience is not accepted here");
  EXPECT_EQ(refusal(payload("17")), "audience is not accepted here");
  EXPECT_EQ(refusal(R"({"iss":"https://nb.example.org/oauth2","exp":1800000600,"sub":"u"})"),
            "audience is missing");
  ClaimRules other = rules();
  other.issuer = "https://nb.example.org/oauth2/";
  EXPECT_EQ(refusal(payload(), other), "issuer is not accepted here");
  other.issuer.clear();
  EXPECT_EQ(refusal(payload(), other), "issuer is not accepted here");
}

TEST(Claims, TimesHaveALeewayAndAnEnd) {
  EXPECT_EQ(refusal(payload(R"("netbird-cli")", R"("x":1)")), "jwt token has no expiration");
  EXPECT_EQ(refusal(payload(R"("netbird-cli")", R"("exp":"1800000600")")),
            "jwt token has no expiration");
  EXPECT_EQ(refusal(payload(R"("netbird-cli")", R"("exp":1799999971)")), "");
  EXPECT_EQ(refusal(payload(R"("netbird-cli")", R"("exp":1799999970)")), "token is expired");
  EXPECT_EQ(refusal(payload(R"("netbird-cli")", R"("exp":1800000600,"iat":1800000060)")), "");
  EXPECT_EQ(refusal(payload(R"("netbird-cli")", R"("exp":1800000600,"iat":1800000061)")),
            "token is not valid yet");
  EXPECT_EQ(refusal(payload(R"("netbird-cli")", R"("exp":1800000600,"nbf":1800000061)")),
            "token is not valid yet");
  EXPECT_EQ(refusal(payload(R"("netbird-cli")", R"("exp":1800000600,"nbf":"soon")")),
            "time in the token is malformed");
}

TEST(Claims, WrongTypesAreAbsentAndNeverACrash) {
  const auto claims = read_claims(
      payload(R"("netbird-cli")", R"("exp":1800000600)",
              R"("sub":"u1","email":7,"name":null,"netbird-dashboard/wt_account_domain":{},)"
              R"("netbird-dashboard/nb_last_login":"yesterday")"),
      rules(), kNow);
  ASSERT_TRUE(claims) << claims.error().text;
  EXPECT_EQ(claims->email, "");
  EXPECT_EQ(claims->domain, "");
  EXPECT_FALSE(claims->last_login);
  EXPECT_EQ(refusal(payload(R"("netbird-cli")", R"("exp":1800000600)", R"("sub":5)")),
            "user id claim is missing");
  EXPECT_EQ(refusal(payload(R"("netbird-cli")", R"("exp":1800000600)", R"("sub":"")")),
            "jwt token did not yield a user id");
  EXPECT_EQ(refusal("[]"), "claims are malformed");
  EXPECT_EQ(refusal("{\"iss\":\"a\",\"iss\":\"b\"}"), "claims are malformed");
}

TEST(Claims, AnotherClaimCanHoldTheUserId) {
  ClaimRules with = rules();
  with.user_id_claim = "oid";
  const auto claims = read_claims(
      payload(R"("netbird-cli")", R"("exp":1800000600)", R"("sub":"u1","oid":"o1")"), with, kNow);
  ASSERT_TRUE(claims);
  EXPECT_EQ(claims->user, UserId("o1"));
}

TEST(Claims, AListOfGroupsMayBeOneText) {
  const auto groups = [](const std::string& value) {
    const auto claims = read_claims(
        payload(R"("netbird-cli")", R"("exp":1800000600)", R"("sub":"u1","groups":)" + value),
        rules(), kNow);
    EXPECT_TRUE(claims);
    return text_list(*claims, "groups");
  };
  EXPECT_EQ(groups(R"("ops")"), std::vector<std::string>{"ops"});
  EXPECT_EQ(groups(R"(["a",1,"b","a",""])"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(groups("{}"), std::vector<std::string>{});
}

}  // namespace
}  // namespace nb::management::auth
