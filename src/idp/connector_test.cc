// Another provider behind a connector: a second instance of our own plays it.
#include "idp/test_rig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::idp::test {
namespace {
using management::IdpConnectorChange;
using ::testing::HasSubstr;

class IdpConnectorLogin : public ::testing::Test {
 protected:
  IdpConnectorLogin() : upstream_(sql::Engine::kSqlite, upstream_options()) {
    upstream_.add_user("uma@corp.test");
  }
  Options upstream_options() {
    Options options;
    options.dashboard_redirect_uris = {rig_.issuer() + "/callback"};
    options.post_logout_redirect_uris = {rig_.issuer() + "/logout/callback"};
    return options;
  }
  Result<management::IdpConnector> connect(IdpConnectorChange change) {
    return rig_.await([&] { return rig_.provider().create_connector(soon(), change); });
  }
  IdpConnectorChange corp() {
    return {.type = "oidc",
            .name = "Corp <SSO>",
            .issuer = upstream_.issuer(),
            .client_id = "netbird-dashboard",
            .client_secret = Secret("")};
  }
  /// Up to the redirect back to our callback.
  std::string to_callback(const std::string& connector, const Form& changes = {}) {
    const Page start = browser_.get(authorize_url(changes));
    const std::string request = query_of(start.location)["req"];
    const Page there = browser_.get("/oauth2/auth/" + connector + "?req=" + request);
    EXPECT_TRUE(there.location.starts_with(upstream_.issuer() + "/auth?")) << there.body;
    EXPECT_EQ(query_of(there.location)["code_challenge_method"], "S256");
    Page page = corp_browser_.get(there.location);
    if (page.location.find("/login?") != std::string::npos)
      page = corp_browser_.post("/oauth2/login", {{"req", query_of(page.location)["req"]},
                                                  {"login", "uma@corp.test"},
                                                  {"password", kPassword}});
    return page.location;
  }

  Rig rig_{sql::Engine::kPostgres};
  Rig upstream_;
  Browser browser_{rig_};
  Browser corp_browser_{upstream_};
};

TEST_F(IdpConnectorLogin, LeadsToTokensOfThePersonThere) {
  const auto made = connect(corp());
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(made->id.size(), 20U);
  const std::string back = to_callback(made->id);
  ASSERT_TRUE(back.starts_with(rig_.issuer() + "/callback?")) << back;
  const Page done = browser_.get(back);
  ASSERT_EQ(done.status, 303) << done.body;
  const Page tokens = browser_.post("/oauth2/token", code_form(query_of(done.location)["code"]));
  ASSERT_EQ(tokens.status, 200) << tokens.body;
  const auto claims = claims_of(tokens.text("access_token"));
  EXPECT_EQ(claims.at("email").as_string(), "uma@corp.test");
  const auto subject = management::decode_subject(std::string(claims.at("sub").as_string()));
  ASSERT_TRUE(subject);
  EXPECT_EQ(subject->connector_id, made->id);
  // The state that came back is good once.
  EXPECT_EQ(browser_.get(back).status, 400);
}

// Providers with response_mode=form_post; their page is another site's, so no Lax cookie comes
// along.
TEST_F(IdpConnectorLogin, AnswerMayBePostedAndIsJudgedWithTheBrowsersCookies) {
  const auto made = connect(corp());
  ASSERT_TRUE(made);
  for (const std::string& path :
       {std::string("/oauth2/callback"), "/oauth2/callback/" + made->id}) {
    const std::string back = to_callback(made->id);
    Form form;
    for (const auto& [name, value] : query_of(back)) form.emplace_back(name, value);
    Browser bare(rig_);
    const Page sent_on = bare.post(path, form);
    ASSERT_EQ(sent_on.status, 303) << sent_on.body;
    ASSERT_TRUE(sent_on.location.starts_with(path + "?")) << sent_on.location;
    EXPECT_EQ(query_of(sent_on.location), query_of(back));
    EXPECT_EQ(bare.get(sent_on.location).status, 400) << "another browser";
    const Page done = browser_.get(sent_on.location);
    ASSERT_EQ(done.status, 303) << done.body;
    EXPECT_EQ(browser_.post("/oauth2/token", code_form(query_of(done.location)["code"])).status,
              200);
    corp_browser_.cookies.clear();
    browser_.cookies.clear();
  }
  EXPECT_EQ(browser_.send("POST", "/oauth2/callback", "%zz").status, 400);
  EXPECT_EQ(browser_.send("PUT", "/oauth2/callback", "").status, 405);
  EXPECT_EQ(
      browser_.get(browser_.post("/oauth2/callback", {{"state", "x"}, {"evil", "1"}}).location)
          .status,
      400);
}

TEST_F(IdpConnectorLogin, LoginPageOffersItAndEscapesItsName) {
  ASSERT_TRUE(connect(corp()));
  const Page page = browser_.get(browser_.get(authorize_url()).location);
  EXPECT_THAT(page.body, HasSubstr("Continue with Corp &lt;SSO&gt;"));
}

TEST_F(IdpConnectorLogin, AnswerInAnotherBrowserOrOfAnotherIssuerIsRefused) {
  const auto made = connect(corp());
  ASSERT_TRUE(made);
  std::string back = to_callback(made->id);
  Browser victim(rig_);
  EXPECT_EQ(victim.get(back).status, 400);
  const Page other_path = browser_.get("/oauth2/callback/other?" + back.substr(back.find('?') + 1));
  EXPECT_EQ(other_path.status, 400);
  const auto iss = back.find("&iss=");
  EXPECT_EQ(browser_.get(back.substr(0, iss) + "&iss=https%3A%2F%2Fevil.test").status, 502);
  EXPECT_EQ(browser_.get("/oauth2/callback?code=x&state=unknown").status, 400);
}

TEST_F(IdpConnectorLogin, ChangeWorksOnAllInstancesAtOnce) {
  const auto made = connect(corp());
  ASSERT_TRUE(made);
  IdpConnectorChange change = corp();
  change.client_id = "netbird-cli";
  ASSERT_TRUE(
      rig_.await([&] { return rig_.provider(0).update_connector(soon(), made->id, change); }));
  for (std::size_t i = 0; i < 2; ++i) {
    const Page start = browser_.get(authorize_url());
    const Page there =
        browser_.get("/oauth2/auth/" + made->id + "?req=" + query_of(start.location)["req"]);
    EXPECT_EQ(query_of(there.location)["client_id"], "netbird-cli");
    browser_.get("/oauth2/keys");  // shifts the turn
  }
  ASSERT_TRUE(rig_.await([&] { return rig_.provider(1).delete_connector(soon(), made->id, {}); }));
  const Page start = browser_.get(authorize_url());
  EXPECT_EQ(
      browser_.get("/oauth2/auth/" + made->id + "?req=" + query_of(start.location)["req"]).status,
      404);
}

TEST_F(IdpConnectorLogin, LogoutGoesOnAtTheProviderAndComesBack) {
  const auto made = connect(corp());
  ASSERT_TRUE(made);
  const Page done = browser_.get(to_callback(made->id));
  const Page tokens = browser_.post("/oauth2/token", code_form(query_of(done.location)["code"]));
  const std::string site = rig_.issuer().substr(0, rig_.issuer().size() - 7);
  const Page out = browser_.get("/oauth2/logout?" +
                                net::form_encode({{"id_token_hint", tokens.text("id_token")},
                                                  {"post_logout_redirect_uri", site + "/"}}));
  ASSERT_TRUE(out.location.starts_with(upstream_.issuer() + "/logout?")) << out.location;
  const Page there = corp_browser_.get(out.location);
  ASSERT_TRUE(there.location.starts_with(rig_.issuer() + "/logout/callback?state=")) << there.body;
  EXPECT_EQ(browser_.get(there.location).location, site + "/");
  EXPECT_EQ(browser_.get(there.location).status, 200);  // the state was good once
}

TEST_F(IdpConnectorLogin, OutsiderOfAnotherUserIdIsNeverLinkedByAddress) {
  const auto local = rig_.add_user("uma@corp.test");
  const auto made = connect(corp());
  ASSERT_TRUE(made);
  const Page done = browser_.get(to_callback(made->id));
  const Page tokens = browser_.post("/oauth2/token", code_form(query_of(done.location)["code"]));
  EXPECT_NE(claims_of(tokens.text("access_token")).at("sub").as_string(), local.user.id.value());
}

TEST_F(IdpConnectorLogin, RulesOfTheApi) {
  const auto error = [&](IdpConnectorChange change) {
    const auto made = connect(std::move(change));
    return made ? std::string("made") : std::string(code_name(made.error().code));
  };
  IdpConnectorChange change = corp();
  change.name = "";
  EXPECT_EQ(error(change), "INVALID_ARGUMENT");
  change = corp();
  change.type = "ldap";
  EXPECT_EQ(error(change), "INVALID_ARGUMENT");
  change = corp();
  change.issuer = upstream_.issuer() + "/";  // names itself differently
  EXPECT_EQ(error(change), "INVALID_ARGUMENT");
  change.issuer = "http://127.0.0.1:1/nowhere";
  EXPECT_EQ(error(change), "INVALID_ARGUMENT");
  change = {.type = "google",
            .name = "Google",
            .issuer = "",
            .client_id = "g",
            .client_secret = Secret("s")};
  const auto google = connect(change);
  ASSERT_TRUE(google) << google.error().text;
  EXPECT_TRUE(google->id.starts_with("google-"));
  EXPECT_EQ(google->issuer, "https://accounts.google.com");
  change.type = "okta";
  const auto other =
      rig_.await([&] { return rig_.provider().update_connector(soon(), google->id, change); });
  EXPECT_EQ(other.error().code, Code::kInvalidArgument);
  const auto missing = rig_.await([&] { return rig_.provider().connector(soon(), "nothing"); });
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  const auto local =
      rig_.await([&] { return rig_.provider().delete_connector(soon(), "local", {}); });
  EXPECT_EQ(local.error().code, Code::kInvalidArgument);
  const auto all = rig_.await([&] { return rig_.provider(1).connectors(soon()); });
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size(), 1U);
  // Nothing of it stands in the database in clear text.
  EXPECT_EQ(rig_.count("SELECT count(*) FROM nb_idp_connector WHERE config LIKE '%client%'"), 0);
}

TEST(IdpConnectorAddress, ThisMachineAndMetadataServicesAreNotReached) {
  Options options;
  Rig rig(sql::Engine::kSqlite, options, /*start=*/false);
  rig.options().allow_local_providers = false;
  rig.start_nodes();
  for (const auto* issuer :
       {"http://example.org", "https://127.0.0.1:8443", "https://localhost",
        "https://169.254.169.254", "https://[::1]", "https://[fd00:ec2::254]"}) {
    const auto made = rig.await([&] {
      return rig.provider().create_connector(soon(), {.type = "oidc",
                                                      .name = "x",
                                                      .issuer = issuer,
                                                      .client_id = "c",
                                                      .client_secret = Secret("s")});
    });
    ASSERT_FALSE(made) << issuer;
    EXPECT_EQ(made.error().code, Code::kInvalidArgument) << issuer;
  }
}

}  // namespace
}  // namespace nb::idp::test
