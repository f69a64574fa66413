// Rules without sockets and databases.
#include "crypto/encoding.h"
#include "idp/connector_config.h"
#include "idp/forms.h"
#include "idp/html.h"
#include "idp/key_ring.h"
#include "idp/pages.h"
#include "idp/throttle.h"
#include "idp/upstream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::idp {
namespace {
using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(IdpForms, DecodeLikeBrowsersEncode) {
  const auto fields = Fields::parse("a=1+2%203&b=%c3%a4&&c&=x&a=again");
  ASSERT_TRUE(fields);
  EXPECT_EQ(fields->get("a"), "1 2 3");
  EXPECT_EQ(fields->get("b"), "ä");
  EXPECT_EQ(fields->find("c"), "");
  EXPECT_FALSE(fields->find("d"));
  constexpr std::array<std::string_view, 2> kNames = {"b", "a"};
  EXPECT_TRUE(fields->repeated(kNames));
  for (const auto* bad : {"a=%", "a=%1", "a=%zz", "%=1"}) EXPECT_FALSE(Fields::parse(bad)) << bad;
  EXPECT_FALSE(Fields::parse(std::string(Fields::kBytesMax + 1, 'a')));
  std::string many;
  for (std::size_t i = 0; i <= Fields::kFieldsMax; ++i) many += "a=1&";
  EXPECT_FALSE(Fields::parse(many));
}

TEST(IdpForms, CookiesAreFoundByWholeName) {
  EXPECT_EQ(cookie("a=1; netbird-session=tok; b=2", "netbird-session"), "tok");
  EXPECT_EQ(cookie("x-netbird-session=no; netbird-session=", "netbird-session"), "");
  EXPECT_FALSE(cookie("netbird-session2=x", "netbird-session"));
  EXPECT_FALSE(cookie("", "a"));
}

TEST(IdpForms, BasicCredentialsAreDecodedTwice) {
  const auto basic = [](const std::string& pair) { return "Basic " + crypto::to_base64(pair); };
  EXPECT_EQ((*basic_credentials(basic("netbird-cli:")))->id, "netbird-cli");
  EXPECT_EQ((*basic_credentials(basic("a%3Ab:c%20d")))->secret, "c d");
  EXPECT_FALSE(basic_credentials(basic("nocolon")));
  EXPECT_FALSE(basic_credentials("Basic !!!"));
  EXPECT_FALSE(*basic_credentials("Bearer x"));
  EXPECT_EQ(bearer_token("bearer abc"), "abc");
  EXPECT_EQ(bearer_token("Basic abc"), "");
}

TEST(IdpForms, RedirectsAreComparedByteForByte) {
  const std::vector<std::string> registered = {"https://a.test/cb", "http://localhost:53000/"};
  EXPECT_TRUE(is_registered(registered, "https://a.test/cb"));
  for (const auto* bad : {"", "https://a.test/cb/", "https://a.test/cb?x", "https://a.test/CB",
                          "https://a.test/cb#", "https://a.test:443/cb", "http://localhost:53001/"})
    EXPECT_FALSE(is_registered(registered, bad)) << bad;
  EXPECT_EQ(add_query("https://a.test/cb", {{"state", "a=b c+|%&"}, {"x", ""}}),
            "https://a.test/cb?state=a%3Db%20c%2B%7C%25%26&x=");
  EXPECT_EQ(add_query("https://a.test/cb?q=1", {{"a", "b"}}), "https://a.test/cb?q=1&a=b");
}

TEST(IdpForms, UserCodesAreForgivingMailboxesAreNot) {
  EXPECT_EQ(normalise_user_code(" bcdf-ghjk "), "BCDFGHJK");
  for (const auto* bad : {"", "BCDFGHJ", "BCDFGHJKL", "ABCDFGHJ", "BCDF_GHJK"})
    EXPECT_FALSE(normalise_user_code(bad)) << bad;
  EXPECT_TRUE(is_mailbox("o.w+n'er@example.org"));
  for (const auto* bad :
       {"", "a", "@b", "a@", "a@@b", "a b@c", "A <a@b.c>", "a@b..c", "a@.b", "a@b\n", "a@b,c@d"})
    EXPECT_FALSE(is_mailbox(bad)) << bad;
}

TEST(IdpForms, LanguageIsTheOneTheBrowserPrefers) {
  EXPECT_EQ(preferred_language("de-DE,de;q=0.9,en;q=0.8"), "de");
  EXPECT_EQ(preferred_language("en-US,en;q=0.9,de;q=0.8"), "en");
  EXPECT_EQ(preferred_language("fr"), "en");
  EXPECT_EQ(preferred_language(""), "en");
}

TEST(IdpThrottle, LocksGrowAndOnlyTheGuesserIsLocked) {
  EXPECT_EQ(pair_lock(4), 0min);
  EXPECT_EQ(pair_lock(5), 5min);
  EXPECT_EQ(pair_lock(6), 0min);
  EXPECT_EQ(pair_lock(10), 15min);
  EXPECT_EQ(pair_lock(15), 60min);
  EXPECT_EQ(pair_lock(100), 60min);
  const ThrottleRow quiet{};
  // 1'000 failures on an account from elsewhere: a delay, never a lock.
  const auto verdict = throttle_verdict({{1'000, 0, 0}, quiet, quiet}, 100);
  EXPECT_FALSE(verdict.locked);
  EXPECT_EQ(verdict.delay, 4s);
  EXPECT_EQ(throttle_verdict({{4, 0, 0}, quiet, quiet}, 100).delay, 0s);
  EXPECT_TRUE(throttle_verdict({quiet, quiet, {5, 0, 101}}, 100).locked);
  EXPECT_FALSE(throttle_verdict({quiet, quiet, {5, 0, 100}}, 100).locked);
  EXPECT_TRUE(throttle_verdict({quiet, {100, 0, 101}, quiet}, 100).locked);
  EXPECT_EQ(address_group("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(address_group("2001:db8:1:2:3:4:5:6"), address_group("2001:db8:1:2::1"));
}

TEST(IdpPages, TextIsEscapedEverywhere) {
  const PageContext context{.texts = texts("en"), .base = "/oauth2", .nonce = "n"};
  const std::string evil = "'\"><img src=x onerror=alert(1)>&";
  LoginView view;
  view.request = evil;
  view.login = evil;
  view.error = evil;
  view.connectors = {{evil, evil}};
  EXPECT_THAT(login_page(context, 200, view).body, Not(HasSubstr("<img")));
  EXPECT_THAT(device_page(context, 200, evil, evil, evil).body, Not(HasSubstr("<img")));
  EXPECT_THAT(confirm_page(context, {evil, evil, evil, evil, evil}).body, Not(HasSubstr("<img")));
  EXPECT_THAT(message_page(context, 400, evil, evil).body, Not(HasSubstr("<img")));
  MfaView mfa;
  mfa.request = mfa.secret = mfa.url = evil;
  EXPECT_THAT(mfa_page(context, 200, mfa).body, Not(HasSubstr("<img")));
}

TEST(IdpPages, GermanAndEnglishSayEverything) {
  // A member that a translation leaves out is an empty view.
  for (const auto* language : {"en", "de"}) {
    const Texts& t = texts(language);
    const auto* first = reinterpret_cast<const std::string_view*>(&t);
    for (std::size_t i = 0; i < sizeof(Texts) / sizeof(std::string_view); ++i)
      EXPECT_FALSE(first[i].empty()) << language << " " << i;
  }
}

TEST(IdpIssuer, IsNormalisedOnce) {
  EXPECT_EQ(*normalise_issuer("https://nb.test/oauth2"), "https://nb.test/oauth2");
  EXPECT_EQ(*normalise_issuer("https://nb.test/oauth2/"), "https://nb.test/oauth2");
  EXPECT_EQ(*normalise_issuer("https://nb.test"), "https://nb.test/oauth2");
  EXPECT_EQ(*normalise_issuer("http://[::1]:80/x/"), "http://[::1]:80/x/oauth2");
  for (const auto* bad : {"", "nb.test", "ftp://x", "https://u:p@x", "https://x?y", "https://x#y"})
    EXPECT_FALSE(normalise_issuer(bad)) << bad;
}

class IdpUpstreamToken : public ::testing::Test {
 protected:
  ConnectorConfig config_ = [] {
    ConnectorConfig c;
    c.id = "corp";
    c.type = "oidc";
    c.issuer = "https://sso.test";
    c.client_id = "me";
    c.groups = true;
    return c;
  }();
  const WallTime now_{std::chrono::seconds(1'000'000)};
  std::string judge(const std::string& claims) {
    const auto identity = identity_of(config_, claims, "nonce", now_);
    return identity ? identity->subject.user_id : identity.error().text;
  }
};

TEST_F(IdpUpstreamToken, IsTakenOnlyIfMadeForUsNowAndForThisLogin) {
  const std::string good =
      R"({"iss":"https://sso.test","aud":"me","sub":"u","nonce":"nonce","exp":1000060,"iat":999990})";
  EXPECT_EQ(judge(good), "u");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return judge(text);
  };
  EXPECT_EQ(with("\"me\"", "[\"me\"]"), "u");
  EXPECT_EQ(with("\"aud\":\"me\"", R"("aud":["me","x"],"azp":"me")"), "u");
  EXPECT_THAT(with("\"aud\":\"me\"", R"("aud":["me","x"])"), HasSubstr("somebody else"));
  EXPECT_THAT(with("\"aud\":\"me\"", R"("aud":["me","x"],"azp":"x")"), HasSubstr("somebody else"));
  EXPECT_THAT(with("\"me\"", "\"you\""), HasSubstr("somebody else"));
  EXPECT_THAT(with("sso.test", "evil.test"), HasSubstr("another issuer"));
  EXPECT_THAT(with("\"nonce\":\"nonce\"", "\"nonce\":\"other\""), HasSubstr("another login"));
  EXPECT_THAT(with("\"nonce\":\"nonce\",", ""), HasSubstr("another login"));
  EXPECT_THAT(with("1000060", "999900"), HasSubstr("expired"));
  EXPECT_THAT(with("\"exp\":1000060,", ""), HasSubstr("expired"));
  EXPECT_THAT(with("999990", "1000100"), HasSubstr("future"));
  EXPECT_THAT(with("\"sub\":\"u\",", ""), HasSubstr("without user id"));
  EXPECT_THAT(judge("[]"), HasSubstr("without claims"));
}

TEST_F(IdpUpstreamToken, MapsClaimsByKind) {
  Connector row{.id = "entra-x",
                .type = "entra",
                .name = "E",
                .issuer = "",
                .client_id = "",
                .config = R"({"issuer":"https://sso.test","clientID":"me","clientSecret":"s"})"};
  config_ = *ConnectorConfig::parse(row);
  EXPECT_EQ(config_.user_id_claim, "oid");
  const auto identity = identity_of(
      config_,
      R"({"iss":"https://sso.test","aud":"me","sub":"pairwise","oid":"stable","nonce":"nonce",
          "exp":1000060,"iat":999990,"preferred_username":"u@x.test","groups":["g1",7,"g2"]})",
      "nonce", now_);
  ASSERT_TRUE(identity) << identity.error().text;
  EXPECT_EQ(identity->subject.user_id, "stable");
  EXPECT_EQ(identity->email, "u@x.test");
  EXPECT_EQ(identity->groups, (std::vector<std::string>{"g1", "g2"}));
}

TEST_F(IdpUpstreamToken, GroupsMayComeFromAnotherClaim) {
  Connector row{.id = "corp",
                .type = "oidc",
                .name = "Corp",
                .issuer = "",
                .client_id = "",
                .config = R"({"issuer":"https://sso.test","clientID":"me","clientSecret":"s",)"
                          R"("overrideClaimMapping":true,"claimMapping":{"groups":"roles"}})"};
  config_ = *ConnectorConfig::parse(row);
  const auto identity =
      identity_of(config_,
                  R"({"iss":"https://sso.test","aud":"me","sub":"u","nonce":"nonce","exp":1000060,
          "iat":999990,"roles":["r1"],"groups":["g1"]})",
                  "nonce", now_);
  ASSERT_TRUE(identity) << identity.error().text;
  EXPECT_EQ(identity->groups, std::vector<std::string>{"r1"});
}

TEST(IdpDiscovery, MustNameTheIssuerThatWasAsked) {
  const std::string good =
      R"({"issuer":"https://a","authorization_endpoint":"https://a/x","token_endpoint":"https://a/t","jwks_uri":"https://a/k"})";
  EXPECT_TRUE(parse_discovery(good, "https://a"));
  EXPECT_FALSE(parse_discovery(good, "https://a/"));
  EXPECT_FALSE(parse_discovery(R"({"issuer":"https://a"})", "https://a"));
  EXPECT_FALSE(parse_discovery("<html>", "https://a"));
}

TEST(IdpKeys, ArePublishedFromTheirDayUntilTheLastTokenIsGone) {
  KeySnapshot snapshot;
  const auto add = [&](Millis publish, Millis activate, Millis remove) {
    const auto key = *crypto::SigningKey::generate(crypto::JwsAlg::kEs256);
    snapshot.rows.push_back({.kid = key.kid(),
                             .private_pem = {},
                             .public_jwk = {},
                             .publish_at = publish,
                             .activate_at = activate,
                             .remove_at = remove});
    snapshot.public_keys.push_back(key.public_key());
    return key;
  };
  add(20'000'000, 27'000'000, 0);
  snapshot.signing = add(0, 0, 40'000'000);
  const std::string active = snapshot.signing->kid();
  EXPECT_EQ(snapshot.published(10'000'000).keys().size(), 1U);
  EXPECT_EQ(snapshot.published(20'000'000).keys().size(), 2U);
  EXPECT_EQ(snapshot.published(20'000'000).keys().front().kid(), active);
  EXPECT_EQ(snapshot.max_age(0, 3600s), 3600s);
  EXPECT_EQ(snapshot.max_age(19'000'000, 3600s), 1000s);
  EXPECT_EQ(snapshot.max_age(19'999'000, 3600s), 120s);
  snapshot.signing.reset();  // its successor signs
  EXPECT_EQ(snapshot.published(39'999'999).keys().size(), 2U);
  EXPECT_EQ(snapshot.published(40'000'000).keys().size(), 1U);
}

}  // namespace
}  // namespace nb::idp
