// The device flow, with polls and pages spread over the instances.
#include "idp/test_rig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::idp::test {
namespace {
using ::testing::HasSubstr;

class IdpDevice : public ::testing::TestWithParam<sql::Engine> {
 protected:
  Page start() {
    return device_.post("/oauth2/device/code", {{"client_id", "netbird-cli"},
                                                {"audience", "netbird-cli"},
                                                {"scope", "openid profile email groups"}});
  }
  Page poll(const std::string& code, const std::string& client = "netbird-cli") {
    rig_.shift(5s);
    return device_.post(
        "/oauth2/token",
        {{"grant_type", std::string(kDeviceGrant)}, {"device_code", code}, {"client_id", client}});
  }
  /// Code page, login; ends at the confirmation page's request id.
  std::string log_in_for(const std::string& user_code) {
    const Page verify =
        browser_.post("/oauth2/device/auth/verify_code", {{"user_code", user_code}});
    EXPECT_TRUE(verify.location.starts_with("/oauth2/login?req=")) << verify.status << verify.body;
    const std::string request = query_of(verify.location)["req"];
    const Page after =
        browser_.post("/oauth2/login",
                      {{"req", request}, {"login", "owner@example.org"}, {"password", kPassword}});
    EXPECT_TRUE(after.location.starts_with("/oauth2/device/confirm?req=")) << after.location;
    return request;
  }
  Page answer(const std::string& request, const std::string& what) {
    return browser_.post("/oauth2/device/confirm", {{"req", request}, {"answer", what}});
  }

  Rig rig_{GetParam()};
  Browser browser_{rig_};
  Browser device_{rig_};
};
INSTANTIATE_TEST_SUITE_P(Engines, IdpDevice,
                         ::testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& engine) {
                           return engine.param == sql::Engine::kSqlite ? "Sqlite" : "Postgres";
                         });

TEST_P(IdpDevice, AllowedDeviceGetsTokensOnce) {
  const auto user = rig_.add_user("owner@example.org");
  const Page started = start();
  ASSERT_EQ(started.status, 200) << started.body;
  EXPECT_EQ(started.json().at("interval").as_int64(), 5);
  EXPECT_EQ(started.json().at("expires_in").as_int64(), 300);
  EXPECT_EQ(started.text("verification_uri"), rig_.issuer() + "/device");
  const std::string code = started.text("device_code");
  const Page pending = poll(code);
  EXPECT_EQ(pending.status, 400);
  EXPECT_EQ(pending.text("error"), "authorization_pending");
  EXPECT_FALSE(pending.text("error_description").empty());
  std::string typed = lower(started.text("user_code"));
  typed.erase(4, 1);  // without the dash, in lower case
  const std::string request = log_in_for(typed);
  const Page confirm = browser_.get("/oauth2/device/confirm?req=" + request);
  EXPECT_THAT(confirm.body, HasSubstr(started.text("user_code")));
  EXPECT_THAT(confirm.body, HasSubstr("owner@example.org"));
  EXPECT_EQ(poll(code).text("error"), "authorization_pending");  // logged in, not yet allowed
  EXPECT_THAT(answer(request, "allow").body, HasSubstr("Device connected"));
  const Page tokens = poll(code);
  ASSERT_EQ(tokens.status, 200) << tokens.body;
  const auto claims = claims_of(tokens.text("access_token"));
  EXPECT_EQ(claims.at("aud").as_string(), "netbird-cli");
  EXPECT_EQ(claims.at("sub").as_string(), user.user.id.value());
  EXPECT_EQ(poll(code).text("error"), "invalid_grant");
  EXPECT_EQ(answer(request, "allow").status, 400);
}

TEST_P(IdpDevice, DeniedDeviceIsTold) {
  rig_.add_user("owner@example.org");
  const Page started = start();
  const std::string request = log_in_for(started.text("user_code"));
  EXPECT_EQ(answer(request, "deny").status, 200);
  EXPECT_EQ(poll(started.text("device_code")).text("error"), "access_denied");
}

TEST_P(IdpDevice, SessionThatIsThereApprovesNothing) {
  rig_.add_user("owner@example.org");
  ASSERT_EQ(log_in(browser_, "owner@example.org").status, 303);
  const Page started = start();
  const Page verify =
      browser_.post("/oauth2/device/auth/verify_code", {{"user_code", started.text("user_code")}});
  EXPECT_TRUE(verify.location.starts_with("/oauth2/login?req="));
  EXPECT_EQ(poll(started.text("device_code")).text("error"), "authorization_pending");
}

TEST_P(IdpDevice, ImpatientDeviceIsSlowedDown) {
  const std::string code = start().text("device_code");
  const auto now = [&] {
    return device_.post("/oauth2/device/token", {{"grant_type", std::string(kDeviceGrant)},
                                                 {"device_code", code},
                                                 {"client_id", "netbird-cli"}});
  };
  EXPECT_EQ(now().text("error"), "authorization_pending");
  EXPECT_EQ(now().text("error"), "slow_down");
  rig_.shift(4s);
  EXPECT_EQ(now().text("error"), "authorization_pending");
}

TEST_P(IdpDevice, CodeExpiresAndBelongsToItsClient) {
  const std::string code = start().text("device_code");
  EXPECT_EQ(poll(code, "netbird-dashboard").text("error"), "invalid_grant");
  EXPECT_EQ(poll("unknown").text("error"), "invalid_grant");
  rig_.shift(301s);
  EXPECT_EQ(poll(code).text("error"), "expired_token");
  EXPECT_EQ(device_.post("/oauth2/device/code", {{"client_id", "netbird-dashboard"}}).text("error"),
            "unauthorized_client");
  EXPECT_EQ(device_.post("/oauth2/device/code", {{"client_id", "x"}}).text("error"),
            "invalid_client");
}

TEST_P(IdpDevice, GuessingUserCodesIsStopped) {
  for (int i = 0; i < 10; ++i) {
    const Page page =
        browser_.post("/oauth2/device/auth/verify_code", {{"user_code", "BBBB-BBBB"}});
    EXPECT_EQ(page.status, 400);
  }
  EXPECT_EQ(browser_.post("/oauth2/device/auth/verify_code", {{"user_code", "BBBB-BBBB"}}).status,
            429);
}

TEST(IdpDeviceOff, EveryDevicePathIsUnknown) {
  Options options;
  options.grant_types = {"authorization_code", "refresh_token"};
  Rig rig(sql::Engine::kSqlite, options);
  Browser browser(rig);
  for (const auto* path : {"/device", "/device/code", "/device/token", "/device/auth/verify_code",
                           "/device/callback"}) {
    EXPECT_EQ(browser.get(std::string("/oauth2") + path).status, 404) << path;
    EXPECT_EQ(browser.post(std::string("/oauth2") + path, {}).status, 404) << path;
  }
  const Page page = browser.get("/oauth2/.well-known/openid-configuration");
  EXPECT_EQ(page.status, 200);
  EXPECT_FALSE(page.json().as_object().contains("device_authorization_endpoint"));
  EXPECT_FALSE(rig.provider().device_flow_enabled());
}

}  // namespace
}  // namespace nb::idp::test
