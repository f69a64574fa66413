// Logins as a browser does them; on PostgreSQL every request meets the other of two instances.
#include "crypto/jose.h"
#include "crypto/totp.h"
#include "idp/test_rig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

namespace nb::idp::test {
namespace {
using ::testing::HasSubstr;
using ::testing::Not;

class IdpLogin : public ::testing::TestWithParam<sql::Engine> {
 protected:
  Rig rig_{GetParam()};
  Browser browser_{rig_};
};
INSTANTIATE_TEST_SUITE_P(Engines, IdpLogin,
                         ::testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& engine) {
                           return engine.param == sql::Engine::kSqlite ? "Sqlite" : "Postgres";
                         });

TEST_P(IdpLogin, PasswordLeadsToTokensThatVerifyAgainstThePublishedKeys) {
  const auto user = rig_.add_user("owner@example.org");
  const Page back = log_in(browser_, "Owner@Example.org");
  ASSERT_EQ(back.status, 303) << back.body;
  auto query = query_of(back.location);
  EXPECT_TRUE(back.location.starts_with(kReturn + "?code="));
  EXPECT_EQ(query["state"], "st=+|% x");
  EXPECT_EQ(query["iss"], rig_.issuer());
  const Page answer = browser_.post("/oauth2/token", code_form(query["code"]));
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.header("cache-control"), "no-store");
  const Page keys = browser_.get("/oauth2/keys");
  EXPECT_THAT(keys.header("cache-control"), HasSubstr("must-revalidate"));
  const auto set = crypto::JwkSet::parse(keys.body);
  ASSERT_TRUE(set);
  for (const char* name : {"access_token", "id_token"}) {
    const auto jws = crypto::Jws::parse(answer.text(name));
    ASSERT_TRUE(jws) << name;
    const auto* key = set->find(*jws);
    ASSERT_NE(key, nullptr);
    EXPECT_TRUE(crypto::verify(*jws, *key));
    const auto claims = claims_of(answer.text(name));
    EXPECT_EQ(claims.at("sub").as_string(), user.user.id.value());
    EXPECT_EQ(claims.at("iss").as_string(), rig_.issuer());
    EXPECT_EQ(claims.at("aud").as_string(), "netbird-dashboard");
    EXPECT_EQ(claims.at("email").as_string(), "owner@example.org");
    EXPECT_EQ(claims.at("name").as_string(), "Olivia Owner");
    EXPECT_TRUE(claims.at("email_verified").as_bool());
    EXPECT_GT(claims.at("exp").as_int64(), claims.at("iat").as_int64());
  }
  EXPECT_EQ(claims_of(answer.text("id_token")).at("nonce").as_string(), "n-1");
  const auto digest = crypto::sha256(answer.text("access_token"));
  EXPECT_EQ(claims_of(answer.text("id_token")).at("at_hash").as_string(),
            crypto::to_base64(std::span(digest).first(16), crypto::Base64::kUrlRaw));
  const Page info = browser_.get("/oauth2/userinfo", answer.text("access_token"));
  EXPECT_EQ(info.status, 200);
  EXPECT_EQ(info.text("email"), "owner@example.org");
  EXPECT_EQ(info.text("sub"), user.user.id.value());
}

TEST_P(IdpLogin, CodeIsGoodOnceAndItsSecondUseEndsTheRefreshTokenOfTheFirst) {
  rig_.add_user("owner@example.org");
  const std::string code = query_of(log_in(browser_, "owner@example.org").location)["code"];
  const Page first = browser_.post("/oauth2/token", code_form(code));
  ASSERT_EQ(first.status, 200) << first.body;
  const Page second = browser_.post("/oauth2/token", code_form(code));
  EXPECT_EQ(second.status, 400);
  EXPECT_EQ(second.text("error"), "invalid_grant");
  EXPECT_FALSE(second.text("error_description").empty());
  const Page refresh =
      browser_.post("/oauth2/token", {{"grant_type", "refresh_token"},
                                      {"refresh_token", first.text("refresh_token")},
                                      {"client_id", "netbird-dashboard"}});
  EXPECT_EQ(refresh.text("error"), "invalid_grant");
}

TEST_P(IdpLogin, WrongClientRedirectOrVerifierDoesNotBurnTheCode) {
  rig_.add_user("owner@example.org");
  const std::string code = query_of(log_in(browser_, "owner@example.org").location)["code"];
  const auto attempt = [&](const Form& changes) {
    const Page page = browser_.post("/oauth2/token", code_form(code, changes));
    return std::to_string(page.status) + " " + page.text("error");
  };
  EXPECT_EQ(attempt({{"client_id", "netbird-cli"}}), "400 invalid_grant");
  EXPECT_EQ(attempt({{"redirect_uri", kReturn + "/"}}), "400 invalid_grant");
  EXPECT_EQ(attempt({{"code_verifier", std::string(64, 'x')}}), "400 invalid_grant");
  EXPECT_EQ(attempt({{"code_verifier", "-"}}), "400 invalid_grant");
  EXPECT_EQ(attempt({{"client_id", "stranger"}}), "400 invalid_client");
  EXPECT_EQ(attempt({{"client_id", "-"}}), "401 invalid_client");  // the probe of official clients
  EXPECT_EQ(attempt({{"client_secret", "guess"}}), "400 invalid_client");
  EXPECT_EQ(attempt({{"grant_type", "password"}}), "400 unsupported_grant_type");
  // Basic with an empty password and no client_id in the body.
  const Page page = browser_.post("/oauth2/token", code_form(code, {{"client_id", "-"}}),
                                  "Basic " + crypto::to_base64("netbird-dashboard:"));
  EXPECT_EQ(page.status, 200) << page.body;
}

TEST_P(IdpLogin, CodeHasExpiredAfterAMinute) {
  rig_.add_user("owner@example.org");
  const std::string code = query_of(log_in(browser_, "owner@example.org").location)["code"];
  rig_.shift(61s);
  EXPECT_EQ(browser_.post("/oauth2/token", code_form(code)).text("error"), "invalid_grant");
}

TEST_P(IdpLogin, OfManyWhoRedeemOneCodeAtOnceExactlyOneWins) {
  rig_.add_user("owner@example.org");
  const std::string code = query_of(log_in(browser_, "owner@example.org").location)["code"];
  std::vector<std::future<int>> all;
  for (std::size_t i = 0; i < 8; ++i)
    all.push_back(std::async(std::launch::async, [&, i] {
      net::HttpClientRequest request;
      request.method = "POST";
      request.url = "http://127.0.0.1:" + std::to_string(rig_.port(i)) + "/oauth2/token";
      request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
      request.body = net::form_encode(code_form(code));
      const auto response = rig_.send(std::move(request));
      return response ? response->status : 0;
    }));
  int won = 0;
  for (auto& one : all) {
    const int status = one.get();
    EXPECT_TRUE(status == 200 || status == 400) << status;
    won += status == 200 ? 1 : 0;
  }
  EXPECT_EQ(won, 1);
}

TEST_P(IdpLogin, SilentRequestAnswersByRedirectOnly) {
  rig_.add_user("owner@example.org");
  const Page without = browser_.get(authorize_url({{"prompt", "none"}}));
  EXPECT_EQ(without.status, 303);
  EXPECT_EQ(query_of(without.location)["error"], "login_required");
  EXPECT_EQ(query_of(without.location)["state"], "st=+|% x");
  ASSERT_EQ(log_in(browser_, "owner@example.org").status, 303);
  const Page with = browser_.get(authorize_url({{"prompt", "none"}}));
  EXPECT_FALSE(query_of(with.location)["code"].empty()) << with.location;
  // The session ends by idleness.
  rig_.shift(61min);
  EXPECT_EQ(query_of(browser_.get(authorize_url({{"prompt", "none"}})).location)["error"],
            "login_required");
}

TEST_P(IdpLogin, SessionServesBothClientsUntilAFreshLoginIsAsked) {
  rig_.add_user("owner@example.org");
  ASSERT_EQ(log_in(browser_, "owner@example.org").status, 303);
  const Form cli = {{"client_id", "netbird-cli"}, {"redirect_uri", "http://localhost:53000/"}};
  EXPECT_TRUE(
      browser_.get(authorize_url(cli)).location.starts_with("http://localhost:53000/?code="));
  Form fresh = cli;
  fresh.emplace_back("prompt", "login");
  EXPECT_TRUE(browser_.get(authorize_url(fresh)).location.starts_with("/oauth2/login?req="));
  fresh.back() = {"max_age", "0"};
  EXPECT_TRUE(browser_.get(authorize_url(fresh)).location.starts_with("/oauth2/login?req="));
  fresh.back() = {"max_age", "600"};
  EXPECT_TRUE(browser_.get(authorize_url(fresh)).location.starts_with("http://localhost:53000/"));
}

TEST_P(IdpLogin, NothingRedirectsToAnAddressThatIsNotRegistered) {
  for (const std::string& bad :
       {std::string("http://evil.test/"), kReturn + "/", kReturn + "?x=1", kReturn + "#",
        std::string(), std::string("http://localhost:53000/")}) {
    const Page page = browser_.get(authorize_url({{"redirect_uri", bad}}));
    EXPECT_EQ(page.status, 400) << bad;
    EXPECT_EQ(page.location, "") << bad;
  }
  EXPECT_EQ(browser_.get(authorize_url({{"client_id", "stranger"}})).status, 400);
  // Each client has a list of its own.
  EXPECT_EQ(browser_.get(authorize_url({{"client_id", "netbird-cli"}})).status, 400);
}

TEST_P(IdpLogin, BadRequestsOfKnownClientsGoBackAsErrors) {
  const auto error = [&](const Form& changes) {
    return query_of(browser_.get(authorize_url(changes)).location)["error"];
  };
  EXPECT_EQ(error({{"response_type", "token"}}), "unsupported_response_type");
  EXPECT_EQ(error({{"scope", "profile"}}), "invalid_scope");
  EXPECT_EQ(error({{"code_challenge", "-"}}), "invalid_request");
  EXPECT_EQ(error({{"code_challenge_method", "plain"}}), "invalid_request");
  EXPECT_EQ(error({{"code_challenge", "short"}}), "invalid_request");
  EXPECT_EQ(error({{"request", "x"}}), "request_not_supported");
  EXPECT_EQ(error({{"nonce", std::string("a\0b", 3)}}), "invalid_request");
  const Page twice = browser_.get(authorize_url() + "&state=again");
  EXPECT_EQ(query_of(twice.location)["error"], "invalid_request");
}

TEST_P(IdpLogin, PageOfALoginServesOnlyTheBrowserThatBeganIt) {
  rig_.add_user("owner@example.org");
  const Page start = browser_.get(authorize_url());
  const std::string request = query_of(start.location)["req"];
  Browser victim(rig_);
  EXPECT_EQ(victim.get(start.location).status, 400);
  const Form form = {{"req", request}, {"login", "owner@example.org"}, {"password", kPassword}};
  EXPECT_EQ(victim.post("/oauth2/login", form).status, 400);
  // The right browser, but sent there by another site.
  browser_.extra_headers = {{"Sec-Fetch-Site", "cross-site"}};
  EXPECT_EQ(browser_.post("/oauth2/login", form).status, 400);
  browser_.extra_headers = {{"Origin", "http://evil.test"}};
  EXPECT_EQ(browser_.post("/oauth2/login", form).status, 400);
  browser_.extra_headers = {{"Sec-Fetch-Site", "same-origin"}, {"Origin", "null"}};
  EXPECT_EQ(browser_.post("/oauth2/login", form).status, 303);
  // Finished: neither again nor further.
  EXPECT_EQ(browser_.post("/oauth2/login", form).status, 400);
}

TEST_P(IdpLogin, EveryLoginBringsANewSessionAndEndsTheOldOne) {
  rig_.add_user("owner@example.org");
  ASSERT_EQ(log_in(browser_, "owner@example.org").status, 303);
  const std::string first = browser_.cookies["netbird-session"];
  ASSERT_EQ(log_in(browser_, "owner@example.org", kPassword, {{"prompt", "login"}}).status, 303);
  EXPECT_NE(browser_.cookies["netbird-session"], first);
  EXPECT_EQ(rig_.count("SELECT count(*) FROM nb_idp_session"), 1);
}

TEST_P(IdpLogin, UnknownUserAndWrongPasswordLookTheSame) {
  rig_.add_user("owner@example.org");
  const auto strip = [](std::string text, const std::string& address) {
    for (std::size_t at; (at = text.find(address)) != std::string::npos;)
      text.erase(at, address.size());
    for (const auto* name : {"nonce=\"", "name=\"req\" value=\""})
      if (const auto at = text.find(name); at != std::string::npos)
        text.erase(at, text.find('"', at + std::string(name).size()) - at);
    return text;
  };
  const Page wrong = log_in(browser_, "owner@example.org", "Wrong-Passw0rd");
  Browser other(rig_);
  const Page unknown = log_in(other, "nobody@example.org", "Wrong-Passw0rd");
  EXPECT_EQ(wrong.status, 401);
  EXPECT_EQ(unknown.status, 401);
  EXPECT_EQ(strip(wrong.body, "owner@example.org"), strip(unknown.body, "nobody@example.org"));
  for (const std::string& odd :
       {std::string(73, 'x'), std::string(), std::string("Passw0rd!\0", 10)}) {
    EXPECT_EQ(log_in(other, "nobody@example.org", odd).status, 401);
  }
}

TEST_P(IdpLogin, GuesserIsLockedOutAndTheOwnerIsNot) {
  rig_.add_user("owner@example.org");
  Browser guesser(rig_);
  guesser.ip = "203.0.113.9";
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(log_in(guesser, "owner@example.org", "Wrong-Passw0rd").status, 401);
  const Page locked = log_in(guesser, "owner@example.org");
  EXPECT_EQ(locked.status, 429);
  EXPECT_THAT(locked.body, HasSubstr("Too many failed attempts"));
  EXPECT_EQ(log_in(browser_, "owner@example.org").status, 303);  // from another address
  rig_.shift(6min);
  EXPECT_EQ(log_in(guesser, "owner@example.org").status, 303);
}

TEST_P(IdpLogin, RefreshTokenRotatesAndReuseEndsItsFamily) {
  rig_.add_user("owner@example.org");
  const auto renew = [&](const std::string& token, const Form& more = {}) {
    Form form = {{"grant_type", "refresh_token"},
                 {"refresh_token", token},
                 {"client_id", "netbird-dashboard"},
                 {"redirect_uri", kReturn}};
    form.insert(form.end(), more.begin(), more.end());
    return browser_.post("/oauth2/token", form);
  };
  const std::string first = tokens_of(browser_, "owner@example.org").text("refresh_token");
  const Page second = renew(first);
  ASSERT_EQ(second.status, 200) << second.body;
  EXPECT_EQ(claims_of(second.text("id_token")).at("nonce").as_string(), "n-1");
  // The answer was lost: the same token again, within the grace.
  const Page again = renew(first);
  ASSERT_EQ(again.status, 200) << again.body;
  const Page narrow = renew(again.text("refresh_token"), {{"scope", "openid email"}});
  ASSERT_EQ(narrow.status, 200) << narrow.body;
  EXPECT_EQ(narrow.text("scope"), "openid email");
  EXPECT_FALSE(claims_of(narrow.text("access_token")).contains("name"));
  EXPECT_EQ(renew(narrow.text("refresh_token"), {{"scope", "openid admin"}}).text("error"),
            "invalid_scope");
  rig_.shift(11s);
  EXPECT_EQ(renew(first).text("error"), "invalid_grant");  // a thief, or the victim of one
  EXPECT_EQ(renew(narrow.text("refresh_token")).text("error"), "invalid_grant");
  EXPECT_EQ(rig_.count("SELECT count(*) FROM nb_idp_refresh WHERE revoked_at IS NULL"), 0);
}

// Once, the token was rotated before its scopes were looked at: the client, which was answered with
// an error, was left with one that ended its whole family when it was used again.
TEST_P(IdpLogin, RefusedScopeDoesNotSpendTheRefreshToken) {
  rig_.add_user("owner@example.org");
  const std::string token = tokens_of(browser_, "owner@example.org").text("refresh_token");
  const auto renew = [&](const std::string& scope) {
    return browser_.post("/oauth2/token", {{"grant_type", "refresh_token"},
                                           {"refresh_token", token},
                                           {"client_id", "netbird-dashboard"},
                                           {"scope", scope}});
  };
  EXPECT_EQ(renew("openid admin").text("error"), "invalid_scope");
  rig_.shift(11s);  // beyond the grace
  EXPECT_EQ(renew("openid admin").text("error"), "invalid_scope");
  const Page good = renew("openid email");
  EXPECT_EQ(good.status, 200) << good.body;
}

TEST_P(IdpLogin, RevokedRefreshTokenIsRefused) {
  rig_.add_user("owner@example.org");
  const Page tokens = tokens_of(browser_, "owner@example.org");
  for (const char* name : {"access_token", "refresh_token"})
    EXPECT_EQ(browser_
                  .post("/oauth2/revoke",
                        {{"token", tokens.text(name)}, {"client_id", "netbird-dashboard"}})
                  .status,
              200);
  EXPECT_EQ(browser_
                .post("/oauth2/token", {{"grant_type", "refresh_token"},
                                        {"refresh_token", tokens.text("refresh_token")},
                                        {"client_id", "netbird-dashboard"}})
                .text("error"),
            "invalid_grant");
}

TEST_P(IdpLogin, SecondFactorIsEnrolledAskedAndNeverAcceptedTwice) {
  const auto user = rig_.add_user("owner@example.org");
  rig_.mfa(true);
  const Page to_mfa = log_in(browser_, "owner@example.org");
  ASSERT_TRUE(to_mfa.location.starts_with("/oauth2/mfa?req=")) << to_mfa.location;
  EXPECT_EQ(browser_.cookies.count("netbird-session"), 0U);  // the password alone is nothing
  const std::string request = query_of(to_mfa.location)["req"];
  const Page enrol = browser_.get(to_mfa.location);
  ASSERT_EQ(enrol.status, 200);
  EXPECT_THAT(enrol.body, HasSubstr("<svg"));
  const auto at = enrol.body.find("<code>") + 6;
  const std::string secret =
      *crypto::from_base32(enrol.body.substr(at, enrol.body.find('<', at) - at));
  EXPECT_EQ(browser_.post("/oauth2/mfa", {{"req", request}, {"totp", "000000"}}).status, 401);
  const SystemClock clock;
  const std::uint64_t counter = crypto::totp_counter(clock.wall());
  const Page codes = browser_.post(
      "/oauth2/mfa", {{"req", request}, {"totp", crypto::totp_code(secret, counter)}});
  ASSERT_EQ(codes.status, 200) << codes.body;
  const auto item = codes.body.find("<li>") + 4;
  const std::string recovery = codes.body.substr(item, codes.body.find('<', item) - item);
  // The page's link goes on with the login.
  const auto link = codes.body.find("href=\"/oauth2/auth?") + 6;
  std::string next = codes.body.substr(link, codes.body.find('"', link) - link);
  for (std::size_t amp; (amp = next.find("&amp;")) != std::string::npos;) next.erase(amp + 1, 4);
  EXPECT_FALSE(query_of(browser_.get(next).location)["code"].empty());

  Browser other(rig_);
  const auto second = [&](const std::string& code) {
    const Page page = log_in(other, "owner@example.org", kPassword, {{"prompt", "login"}});
    return other.post("/oauth2/mfa", {{"req", query_of(page.location)["req"]}, {"totp", code}});
  };
  EXPECT_EQ(second(crypto::totp_code(secret, counter)).status, 401);  // used before
  EXPECT_FALSE(query_of(second(crypto::totp_code(secret, counter + 1)).location)["code"].empty());
  EXPECT_FALSE(query_of(second(recovery).location)["code"].empty());
  EXPECT_EQ(second(recovery).status, 401);
  // A session without second factor does not serve once it is required.
  EXPECT_EQ(rig_.await([&] { return rig_.provider().reset_mfa(soon(), user.user.id); }).has_value(),
            true);
  EXPECT_EQ(query_of(other.get(authorize_url({{"prompt", "none"}})).location)["error"],
            "login_required");
}

TEST_P(IdpLogin, PageOfConsentLeadsOnAndApprovesNothing) {  // contract/auth-idp.md §4.1
  rig_.add_user("owner@example.org");
  rig_.mfa(true);
  const Page start = browser_.get(authorize_url());
  const std::string request = query_of(start.location)["req"];
  EXPECT_EQ(browser_.get("/oauth2/approval?req=" + request).location, start.location);
  EXPECT_EQ(browser_.post("/oauth2/approval", {{"req", request}, {"approval", "approve"}}).location,
            start.location);
  const Page to_mfa = browser_.post(
      "/oauth2/login", {{"req", request}, {"login", "owner@example.org"}, {"password", kPassword}});
  ASSERT_TRUE(to_mfa.location.starts_with("/oauth2/mfa?req=")) << to_mfa.location;
  EXPECT_EQ(browser_.post("/oauth2/approval", {{"req", request}, {"approval", "approve"}}).location,
            to_mfa.location);
  Browser other(rig_);
  EXPECT_EQ(other.get("/oauth2/approval?req=" + request).status, 400);
  EXPECT_EQ(browser_.get("/oauth2/approval").status, 400);
  EXPECT_EQ(rig_.count("SELECT count(*) FROM nb_idp_code"), 0);
}

TEST_P(IdpLogin, FiveWrongSecondFactorsLockForFiveMinutes) {
  rig_.add_user("owner@example.org");
  rig_.mfa(true);
  const std::string request = query_of(log_in(browser_, "owner@example.org").location)["req"];
  browser_.get("/oauth2/mfa?req=" + request);
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(browser_.post("/oauth2/mfa", {{"req", request}, {"totp", "000000"}}).status, 401);
  EXPECT_EQ(browser_.post("/oauth2/mfa", {{"req", request}, {"totp", "000000"}}).status, 429);
}

TEST_P(IdpLogin, SilentRequestSaysThatASecondFactorIsDue) {
  rig_.add_user("owner@example.org");
  ASSERT_EQ(log_in(browser_, "owner@example.org").status, 303);
  rig_.mfa(true);
  EXPECT_EQ(query_of(browser_.get(authorize_url({{"prompt", "none"}})).location)["error"],
            "interaction_required");
}

TEST_P(IdpLogin, LogoutEndsTheSessionAndReturnsWhereItMay) {
  rig_.add_user("owner@example.org");
  const Page tokens = tokens_of(browser_, "owner@example.org");
  const std::string site = rig_.issuer().substr(0, rig_.issuer().size() - 7);
  const auto url = [&](const std::string& hint, const std::string& uri) {
    return "/oauth2/logout?" + net::form_encode({{"client_id", "netbird-dashboard"},
                                                 {"id_token_hint", hint},
                                                 {"post_logout_redirect_uri", uri},
                                                 {"state", "s 1"}});
  };
  const Page elsewhere = browser_.get(url(tokens.text("id_token"), "http://evil.test/"));
  EXPECT_EQ(elsewhere.status, 400);
  EXPECT_EQ(elsewhere.location, "");
  EXPECT_EQ(browser_.get(url("not.a.token", site + "/")).status, 400);
  EXPECT_EQ(rig_.count("SELECT count(*) FROM nb_idp_session"), 1);
  const Page out = browser_.get(url(tokens.text("id_token"), site + "/"));
  EXPECT_EQ(out.status, 303);
  EXPECT_EQ(out.location, site + "/?state=s%201");
  EXPECT_EQ(rig_.count("SELECT count(*) FROM nb_idp_session"), 0);
  EXPECT_EQ(browser_.cookies.count("netbird-session"), 0U);
}

TEST_P(IdpLogin, LogoutFromAnotherSiteAsksFirst) {
  rig_.add_user("owner@example.org");
  ASSERT_EQ(log_in(browser_, "owner@example.org").status, 303);
  browser_.extra_headers = {{"Sec-Fetch-Site", "cross-site"}};
  EXPECT_EQ(browser_.get("/oauth2/logout").status, 200);
  EXPECT_EQ(rig_.count("SELECT count(*) FROM nb_idp_session"), 1);
  EXPECT_EQ(browser_.post("/oauth2/logout/confirm", {}).status, 400);
  browser_.extra_headers = {{"Sec-Fetch-Site", "same-origin"}};
  EXPECT_EQ(browser_.post("/oauth2/logout/confirm", {}).location, "/");
  EXPECT_EQ(rig_.count("SELECT count(*) FROM nb_idp_session"), 0);
}

TEST_P(IdpLogin, PagesAreFramedByNobodyAndEscapeWhatTheyShow) {
  const Page start = browser_.get(authorize_url({{"login_hint", "\"><script>alert(1)</script>"}}));
  const Page page = browser_.get(start.location);
  EXPECT_THAT(page.body, Not(HasSubstr("<script")));
  EXPECT_THAT(page.body, HasSubstr("&quot;&gt;&lt;script&gt;"));
  EXPECT_EQ(page.header("x-frame-options"), "DENY");
  EXPECT_EQ(page.header("referrer-policy"), "no-referrer");
  EXPECT_EQ(page.header("cache-control"), "no-store");
  EXPECT_EQ(page.header("access-control-allow-origin"), "");
  const std::string policy = page.header("content-security-policy");
  EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'"));
  // It would keep Chrome from following the redirect to http://localhost:53000/ (T14).
  EXPECT_THAT(policy, Not(HasSubstr("form-action")));
  browser_.language = "fr;q=0.3, de-AT;q=0.9, en;q=0.8";
  EXPECT_THAT(browser_.get(start.location).body, HasSubstr("<html lang=\"de\""));
}

TEST_P(IdpLogin, DiscoveryNamesWhatIsThere) {
  const Page page = browser_.get("/oauth2/.well-known/openid-configuration");
  ASSERT_EQ(page.status, 200);
  EXPECT_EQ(page.header("content-type"), "application/json");
  EXPECT_EQ(page.header("access-control-allow-origin"), "*");
  EXPECT_EQ(page.text("issuer"), rig_.issuer());
  EXPECT_EQ(page.text("token_endpoint"), rig_.issuer() + "/token");
  EXPECT_EQ(page.text("end_session_endpoint"), rig_.issuer() + "/logout");
  EXPECT_EQ(page.text("device_authorization_endpoint"), rig_.issuer() + "/device/code");
  EXPECT_FALSE(page.json().as_object().contains("check_session_iframe"));
  const Page preflight = browser_.send("OPTIONS", "/oauth2/userinfo", "");
  EXPECT_EQ(preflight.status, 204);
  EXPECT_THAT(preflight.header("access-control-allow-headers"), HasSubstr("Authorization"));
  EXPECT_EQ(browser_.get("/oauth2/unknown").status, 404);
  EXPECT_EQ(browser_.get("/oauth2anything").status, 404);
  EXPECT_EQ(browser_.get("/oauth2/token").status, 405);
  EXPECT_EQ(browser_.get("/oauth2").location, "/");
  const Page refused = browser_.get("/oauth2/userinfo", "a.b.c");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.header("www-authenticate"), "Bearer error=\"invalid_token\"");
}

}  // namespace
}  // namespace nb::idp::test
