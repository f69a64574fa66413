// What strangers can do without a login: fill the database (T22), lie about where they are (T24).
#include "idp/test_rig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::idp::test {
namespace {
using ::testing::HasSubstr;
using ::testing::Not;

// Of kPassword.
const std::string kBcrypt = "$2b$04$abcdefghijklmnopqrstuuchGdllX0O2ZthG6oyaPSbmBrCIbnHlu";

class IdpAbuse : public ::testing::TestWithParam<sql::Engine> {
 protected:
  static Page start_device(Browser& browser) {
    return browser.post("/oauth2/device/code", {{"client_id", "netbird-cli"}});
  }
  static std::int64_t rows(Rig& rig) {
    return rig.count(
        "SELECT (SELECT count(*) FROM nb_idp_request) + (SELECT count(*) FROM nb_idp_device)");
  }
  static boost::asio::awaitable<Result<>> purged(Provider& provider) {
    co_await provider.purge();
    co_return Result<>();
  }
  static void purge(Rig& rig) {
    for (std::size_t i = 0; i < rig.size(); ++i)
      EXPECT_TRUE(rig.await([&] { return purged(rig.provider(i)); }));
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, IdpAbuse,
                         ::testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& engine) {
                           return engine.param == sql::Engine::kSqlite ? "Sqlite" : "Postgres";
                         });

TEST_P(IdpAbuse, OneAddressCannotBeginLoginsWithoutEndAndOthersStillCan) {
  Rig rig(GetParam());
  Browser flood(rig);
  flood.ip = "198.51.100.7";
  Page last;
  int begun = 0;
  for (; begun < 3'000 && last.status != 429; ++begun) {
    flood.cookies.clear();
    last = begun % 2 == 0 ? flood.get(authorize_url()) : start_device(flood);
  }
  ASSERT_EQ(last.status, 429) << begun;
  const std::int64_t before = rows(rig);
  int refused = 0;
  for (int i = 0; i < 20; ++i)
    if (flood.get(authorize_url()).status == 429) ++refused;
  EXPECT_LE(rows(rig), before + 20 - refused) << "a refused one leaves no row";
  Browser other(rig);
  EXPECT_EQ(other.get(authorize_url()).status, 303);
  EXPECT_EQ(start_device(other).status, 200);
}

TEST_P(IdpAbuse, WhatWasBegunAndLeftIsDeleted) {
  Rig rig(GetParam());
  Browser browser(rig);
  browser.get(authorize_url());
  start_device(browser);
  EXPECT_EQ(rows(rig), 2);
  purge(rig);
  EXPECT_EQ(rows(rig), 2) << "still under way";
  rig.shift(16min);
  purge(rig);
  EXPECT_EQ(rows(rig), 0);
}

TEST_P(IdpAbuse, ManyAddressesMeetTheCapUntilTheirsHaveExpired) {
  Options options;
  options.logins_max = 5;
  Rig rig(GetParam(), options);
  Browser browser(rig);
  for (int i = 0; i < 6; ++i) {
    browser.ip = "192.0.2." + std::to_string(i + 10);
    EXPECT_EQ(i % 2 == 0 ? browser.get(authorize_url()).status : start_device(browser).status,
              i % 2 == 0 ? 303 : 200);
  }
  purge(rig);
  browser.ip = "192.0.2.77";
  const Page page = browser.get(authorize_url());
  EXPECT_EQ(page.status, 429);
  EXPECT_FALSE(page.header("retry-after").empty());
  EXPECT_EQ(start_device(browser).status, 429);
  EXPECT_EQ(rows(rig), 6);
  rig.shift(16min);
  purge(rig);
  EXPECT_EQ(browser.get(authorize_url()).status, 303);
  EXPECT_EQ(start_device(browser).status, 200);
}

TEST_P(IdpAbuse, WhatARequestSaysOfItsHostChangesNoAddress) {
  Rig rig(GetParam());
  rig.add_user("o@example.org");
  Browser plain(rig);
  Browser liar(rig);
  liar.extra_headers = {{"X-Forwarded-Host", "evil.test"},
                        {"X-Forwarded-Proto", "https"},
                        {"X-Forwarded-Port", "8443"},
                        {"X-Forwarded-Prefix", "/evil"},
                        {"X-Original-URL", "/evil"},
                        {"Forwarded", "host=evil.test;proto=https"},
                        {"Origin", rig.issuer().substr(0, rig.issuer().size() - 7)}};
  const std::string document = "/oauth2/.well-known/openid-configuration";
  EXPECT_EQ(liar.get(document).body, plain.get(document).body);
  const Page device = start_device(liar);
  EXPECT_EQ(device.text("verification_uri"), rig.issuer() + "/device");
  const Page login = log_in(liar, "o@example.org");
  ASSERT_EQ(login.status, 303) << login.body;
  EXPECT_THAT(login.location, ::testing::StartsWith(kReturn + "?"));
  EXPECT_EQ(query_of(login.location)["iss"], rig.issuer());
  for (const auto& [name, value] : login.headers) EXPECT_THAT(value, Not(HasSubstr("evil")));
  const Page tokens = liar.post("/oauth2/token", code_form(query_of(login.location)["code"]));
  EXPECT_EQ(claims_of(tokens.text("access_token")).at("iss").as_string(), rig.issuer());
  const Page out = liar.get("/oauth2/logout?id_token_hint=" + tokens.text("id_token"));
  EXPECT_THAT(out.body, Not(HasSubstr("evil")));
}

// T7: no account sees more than one wrong password.
TEST_P(IdpAbuse, AddressThatTriesManyAccountsIsLockedAndOthersAreNot) {
  Rig rig(GetParam());
  rig.add_user("owner@example.org");
  Browser sprayer(rig);
  sprayer.ip = "198.51.100.7";
  const std::string request = query_of(sprayer.get(authorize_url()).location)["req"];
  const auto attempt = [&](const std::string& email, const std::string& password) {
    return sprayer
        .post("/oauth2/login", {{"req", request}, {"login", email}, {"password", password}})
        .status;
  };
  int status = 401;
  int tried = 0;
  for (; status == 401 && tried < 120; ++tried)
    status = attempt("user" + std::to_string(tried) + "@example.org", "Winter-2026!");
  EXPECT_EQ(status, 429);
  EXPECT_EQ(tried, 101);
  EXPECT_EQ(attempt("owner@example.org", kPassword), 429) << "even with the right one";
  Browser owner(rig);
  EXPECT_EQ(log_in(owner, "owner@example.org").status, 303);
  rig.shift(16min);
  EXPECT_EQ(log_in(sprayer, "owner@example.org").status, 303);
}

// T8: the time of an answer does not tell whether somebody is known, has which kind of hash, or
// typed something absurd. All wait for the same moment.
TEST_P(IdpAbuse, FailedLoginsWaitForTheSameMomentWhoeverIsMeant) {
  Options options;
  options.owner = OwnerSeed{.email = "old@example.org", .name = "", .password = Secret(kBcrypt)};
  Rig rig(GetParam(), options, false);
  rig.options().failure_floor = 400ms;
  rig.start_nodes();
  rig.add_user("new@example.org");
  for (const auto& [email, password] :
       std::vector<std::pair<std::string, std::string>>{{"old@example.org", "Wrong-Passw0rd"},
                                                        {"new@example.org", "Wrong-Passw0rd"},
                                                        {"nobody@example.org", "Wrong-Passw0rd"},
                                                        {"nobody@example.org", ""},
                                                        {"not an address", std::string(76, 'x')}}) {
    Browser browser(rig);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(log_in(browser, email, password).status, 401) << email;
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 400ms) << email;
  }
}

TEST_P(IdpAbuse, PasswordOfAnyLengthIsWrongAndNeverAnError) {
  Options options;
  options.owner = OwnerSeed{.email = "old@example.org", .name = "", .password = Secret(kBcrypt)};
  Rig rig(GetParam(), options);
  rig.add_user("new@example.org");
  int i = 0;
  for (const char* email : {"old@example.org", "new@example.org"}) {
    for (const std::string& password :
         {kPassword + std::string(1, '\0'), std::string(72, 'x'), std::string(73, 'x'),
          std::string(76, 'x'), std::string(1'000, 'x')}) {
      Browser browser(rig);
      browser.ip = "192.0.2." + std::to_string(++i);
      EXPECT_EQ(log_in(browser, email, password).status, 401) << email << password.size();
    }
    Browser browser(rig);
    browser.ip = "203.0.113.1";
    EXPECT_EQ(log_in(browser, email).status, 303) << email;
  }
}

}  // namespace
}  // namespace nb::idp::test
