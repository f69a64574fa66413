// netbird-mgmt with EmbeddedIdP: the provider on the server's own port, on two processes over one
// PostgreSQL, with one of them killed in the middle of a login.
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "integration/held_table.h"
#include "integration/web.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

namespace nb::test {
namespace {
using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kIssuer = "http://127.0.0.1:9/oauth2";
constexpr const char* kReturn = "http://dash.test/nb-auth";
const std::string kVerifier(64, 'v');

std::string idp_json(const std::string& storage) {
  return std::string(R"("EmbeddedIdP":{"Enabled":true,"Issuer":")") + kIssuer + R"(","Storage":)" +
         storage + R"(,"DashboardRedirectURIs":[")" + kReturn +
         R"("],"Owner":{"Email":"owner@example.org","Hash":"Passw0rd!"}},)";
}

std::string authorize_path() {
  const auto digest = crypto::sha256(kVerifier);
  return "/oauth2/auth?" +
         net::form_encode({{"client_id", "netbird-dashboard"},
                           {"redirect_uri", kReturn},
                           {"response_type", "code"},
                           {"scope", "openid profile email"},
                           {"code_challenge", crypto::to_base64(digest, crypto::Base64::kUrlRaw)},
                           {"code_challenge_method", "S256"}});
}

struct Person {
  std::string email = "owner@example.org";
  std::string password = "Passw0rd!";
};

std::string tokens(Web& web, const MgmtServer& begin, const MgmtServer& login,
                   const MgmtServer& token, const std::function<void()>& between,
                   const Person& who = {}) {
  const auto start = web.send(begin, "GET", authorize_path());
  const std::string request = after(std::string(start.header("location")), "req=");
  EXPECT_EQ(request.size(), 43U) << start.status << start.body;
  between();
  const auto posted = web.send(
      login, "POST", "/oauth2/login",
      net::form_encode({{"req", request}, {"login", who.email}, {"password", who.password}}));
  const std::string code = after(std::string(posted.header("location")), "code=");
  EXPECT_EQ(code.size(), 43U) << posted.status << posted.body;
  return web
      .send(token, "POST", "/oauth2/token",
            net::form_encode({{"grant_type", "authorization_code"},
                              {"code", code},
                              {"redirect_uri", kReturn},
                              {"client_id", "netbird-dashboard"},
                              {"code_verifier", kVerifier}}))
      .body;
}

TEST(IdpServer, LoginSurvivesTheDeathOfTheInstanceItBeganAt) {
  PostgresServer postgres;
  postgres.create_database("idp");
  const std::string json =
      idp_json(R"({"Type":"postgres","Config":{"DSN":")" + postgres.dsn("idp") + R"("}})");
  MgmtServer a({.instance = "a", .postgres_dsn = postgres.dsn("netbird"), .json = json});
  MgmtServer b({.instance = "b", .postgres_dsn = postgres.dsn("netbird"), .json = json});
  a.start();
  b.start();
  Web web;
  for (const MgmtServer* server : {&a, &b}) {
    const auto discovery = web.send(*server, "GET", "/oauth2/.well-known/openid-configuration");
    EXPECT_EQ(discovery.status, 200);
    EXPECT_THAT(discovery.body, HasSubstr(std::string("\"issuer\":\"") + kIssuer + "\""));
  }
  EXPECT_EQ(web.send(a, "GET", "/oauth2/keys").body, web.send(b, "GET", "/oauth2/keys").body);
  const std::string answer = tokens(web, a, b, b, [&] { a.process().kill(); });
  const std::string access = after(answer, "\"access_token\":\"");
  ASSERT_FALSE(access.empty()) << answer;
  a.start();
  const auto info = web.send(a, "GET", "/oauth2/userinfo", "", "Bearer " + access);
  EXPECT_EQ(info.status, 200);
  EXPECT_THAT(info.body, HasSubstr("owner@example.org"));
  EXPECT_GE(a.metric("netbird_idp_tokens_total"), 0);
  EXPECT_EQ(b.metric("netbird_idp_tokens_total"), 1);
}

/// A token would live for as long as the instance thinks that happens to be asked.
TEST(IdpServer, InstancesWithOtherLivesAreToldApart) {
  PostgresServer postgres;
  postgres.create_database("idp");
  const auto options = [&](const std::string& name, const std::string& more) {
    std::string json =
        idp_json(R"({"Type":"postgres","Config":{"DSN":")" + postgres.dsn("idp") + R"("}})");
    json.insert(json.find("\"Enabled\""), more);
    return MgmtOptions{
        .instance = name, .postgres_dsn = postgres.dsn("netbird"), .json = std::move(json)};
  };
  const auto warning = HasSubstr("differ from those of the last start or of another instance");
  MgmtServer a(options("a", R"("IdTokenLifetime":"1h",)"));
  a.start();
  MgmtServer like_a(options("b", R"("IdTokenLifetime":"60m",)"));
  like_a.start();
  EXPECT_THAT(like_a.process().output(), Not(warning));
  for (const char* const other :
       {R"("IdTokenLifetime":"2h",)", R"("IdTokenLifetime":"1h","RefreshTokenIdleTimeout":"48h",)",
        R"("IdTokenLifetime":"1h","MfaSessionIdleTimeout":"2h",)"}) {
    MgmtServer unlike(options("c", other));
    unlike.start();
    EXPECT_THAT(unlike.process().output(), AllOf(warning, HasSubstr("lives of tokens"))) << other;
  }
}

/// Row 7 of contract/management-grpc.md §11, with both instances alive behind a balancer.
TEST(IdpServer, ATokenLogsInOnePeerWhateverInstanceIsAsked) {
  PostgresServer postgres;
  postgres.create_database("idp");
  RedisServer redis;
  const std::string json =
      idp_json(R"({"Type":"postgres","Config":{"DSN":")" + postgres.dsn("idp") + R"("}})");
  const auto options = [&](const std::string& name) {
    return MgmtOptions{.instance = name,
                       .postgres_dsn = postgres.dsn("netbird"),
                       .redis = redis.address(),
                       .json = json};
  };
  MgmtServer a(options("a"));
  MgmtServer b(options("b"));
  a.start();
  b.start();
  const HaProxy balancer({{.name = "a", .port = a.port(), .check_port = a.metrics_port()},
                          {.name = "b", .port = b.port(), .check_port = b.metrics_port()}});
  const auto fresh_token = [&] {
    Web web;
    const std::string token = after(tokens(web, a, b, a, [] {}), "\"access_token\":\"");
    // The account is founded with the first call.
    EXPECT_EQ(web.send(b, "GET", "/api/users", {}, "Bearer " + token).status, 200);
    return token;
  };
  const auto login = [&](const Agent& agent, const std::string& token) {
    pb::LoginRequest request;
    *request.mutable_meta() = agent.meta();
    request.set_setupkey("00000000-0000-0000-0000-000000000000");
    request.set_jwttoken(token);
    return agent.login(balancer.address(), request);
  };
  const std::string token = fresh_token();
  const Agent laptop("laptop");
  for (int i = 0; i < 6; ++i) {
    const auto done = login(laptop, token);
    EXPECT_TRUE(done.ok()) << i << ": " << done.status.error_message();
  }
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(login(Agent("thief"), token).status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  for (int round = 0; round < 5; ++round) {
    const std::string once = fresh_token();
    std::atomic<int> joined{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 6; ++i)
      threads.emplace_back([&, i] {
        const auto done = login(Agent("crowd-" + std::to_string(i)), once);
        joined += done.ok() ? 1 : 0;
        EXPECT_TRUE(done.ok() || done.status.error_code() == grpc::StatusCode::UNAUTHENTICATED)
            << done.status.error_message();
      });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(joined, 1);
  }
}

class IdpCrash : public ::testing::Test {
 protected:
  IdpCrash() {
    postgres.create_database("idp");
    server.emplace(MgmtOptions{.postgres_dsn = postgres.dsn("netbird"),
                               .json = idp_json(R"({"Type":"postgres","Config":{"DSN":")" +
                                                postgres.dsn("idp") + R"("}})")});
    server->start();
    const std::string bearer =
        "Bearer " + after(tokens(web, *server, *server, *server, [] {}), R"("access_token":")");
    const std::string self =
        after(web.send(*server, "GET", "/api/users/current", {}, bearer).body, R"("id":")");
    const auto made = web.send(*server, "POST", "/api/users/" + self + "/tokens",
                               R"({"name":"t","expires_in":1})", bearer);
    owner = "Token " + after(made.body, R"("plain_token":")");
  }
  /// The call never gets an answer: its server is killed when `reached`.
  void die_during(const std::string& method, const std::string& path, const std::string& body,
                  const std::function<bool()>& reached) {
    std::thread caller([&] {
      Web other;
      EXPECT_THROW(other.send(*server, method, path, body, owner), std::runtime_error);
    });
    EXPECT_TRUE(eventually(reached, patient(20s)));
    server->process().kill();
    caller.join();
  }
  std::string count(const std::string& what, const std::string& database) const {
    return postgres.psql("SELECT count(*) FROM " + what, database);
  }
  net::HttpClientResponse call(const std::string& method, const std::string& path,
                               const std::string& body = {}) {
    return web.send(*server, method, path, body, owner);
  }

  PostgresServer postgres;
  std::optional<MgmtServer> server;
  Web web;
  std::string owner;
};

constexpr const char* kNewUser =
    R"({"email":"new@example.org","name":"New","role":"user","auto_groups":[],)"
    R"("is_service_user":false})";

TEST_F(IdpCrash, ALoginThatNeverBecameAUserIsTakenBackAndTheAddressIsFree) {
  {
    const HeldTable users(postgres, "users", "netbird");
    die_during("POST", "/api/users", kNewUser, [&] { return count("nb_idp_user", "idp") == "2"; });
  }
  server->start();
  EXPECT_EQ(count("users", "netbird"), "1");
  EXPECT_EQ(call("POST", "/api/users", kNewUser).status, 409) << "the left login has the address";
  EXPECT_TRUE(
      eventually([&] { return call("POST", "/api/users", kNewUser).status == 200; }, patient(90s)));
  EXPECT_EQ(count("nb_idp_user", "idp"), "2");
  EXPECT_EQ(count("nb_open_logins", "netbird"), "0");
}

TEST_F(IdpCrash, ADeletedUserHasNoLoginLeftAndDoesNotComeBackMeanwhile) {
  const auto made = call("POST", "/api/users", kNewUser);
  ASSERT_EQ(made.status, 200) << made.body;
  const std::string id = after(made.body, R"("id":")");
  const Person person{"new@example.org", made_password(made.body)};
  Web browser;
  const std::string bearer =
      "Bearer " + after(tokens(
                            browser, *server, *server, *server, [] {}, person),
                        R"("access_token":")");
  EXPECT_EQ(browser.send(*server, "GET", "/api/users", {}, bearer).status, 200);
  {
    const HeldTable logins(postgres, "nb_idp_user", "idp");
    die_during("DELETE", "/api/users/" + id, {}, [&] { return count("users", "netbird") == "1"; });
  }
  server->start();
  const auto comes_back = [&] {
    return browser.send(*server, "GET", "/api/users", {}, bearer).status != 401;
  };
  EXPECT_FALSE(comes_back());
  EXPECT_TRUE(eventually([&] { return count("nb_idp_user", "idp") == "1"; }, patient(90s)));
  EXPECT_TRUE(eventually([&] { return count("nb_open_logins", "netbird") == "0"; }, patient(20s)));
  EXPECT_FALSE(comes_back()) << "the token from before the deletion";
  EXPECT_EQ(count("users", "netbird"), "1");
}

TEST_F(IdpCrash, ABlockedUserHasNoSessionLeftAtTheProvider) {
  const auto made = call("POST", "/api/users", kNewUser);
  ASSERT_EQ(made.status, 200) << made.body;
  const std::string id = after(made.body, R"("id":")");
  Web browser;
  ASSERT_NE(after(tokens(browser, *server, *server, *server, [] {},
                         {"new@example.org", made_password(made.body)}),
                  R"("access_token":")"),
            "");
  const std::string sessions =
      "nb_idp_session WHERE user_id <> (SELECT user_id FROM "
      "nb_idp_session ORDER BY auth_time LIMIT 1)";
  ASSERT_EQ(count(sessions, "idp"), "1");
  {
    const HeldTable held(postgres, "nb_idp_session", "idp");
    die_during("PUT", "/api/users/" + id, R"({"role":"user","auto_groups":[],"is_blocked":true})",
               [&] { return count("users WHERE blocked", "netbird") == "1"; });
  }
  server->start();
  EXPECT_TRUE(eventually([&] { return count(sessions, "idp") == "0"; }, patient(90s)));
  EXPECT_TRUE(eventually([&] { return count("nb_open_logins", "netbird") == "0"; }, patient(20s)));
  EXPECT_EQ(count("users", "netbird"), "2");
  EXPECT_EQ(call("GET", "/api/users").status, 200) << "who blocked is logged in as before";
}

TEST_F(IdpCrash, AChangedProviderIsInTheActivityLog) {
  {
    const HeldTable outbox(postgres, "nb_event_outbox", "netbird");
    die_during("POST", "/api/identity-providers",
               R"({"type":"microsoft","name":"Corp","issuer":"","client_id":"c",)"
               R"("client_secret":"s"})",
               [&] { return count("nb_idp_connector", "idp") == "1"; });
  }
  server->start();
  const auto told = [&] {
    const std::string log = call("GET", "/api/events/audit").body;
    int times = 0;
    for (auto at = log.find("identityprovider.create"); at != std::string::npos;
         at = log.find("identityprovider.create", at + 1))
      ++times;
    return times;
  };
  EXPECT_TRUE(eventually([&] { return told() == 1; }, patient(60s)));
  EXPECT_TRUE(eventually([&] { return count("nb_idp_note", "idp") == "0"; }, patient(20s)));
  EXPECT_EQ(told(), 1);
}

TEST(IdpServer, OperatorsMigrateItsTablesWithTheOthers) {
  PostgresServer postgres;
  postgres.create_database("idp");
  const MgmtServer server({.postgres_dsn = postgres.dsn("netbird"),
                           .json = idp_json(R"({"Type":"postgres","Config":{"DSN":")" +
                                            postgres.dsn("idp") + R"("}})")});
  const Finished before = server.verb({"migrate", "--check"});
  EXPECT_EQ(before.status, 3) << before.output;
  EXPECT_THAT(before.output, HasSubstr("missing: agents: one pending job\n"));
  EXPECT_THAT(before.output, HasSubstr("missing: idp: tables\n"));
  const std::string count = "select count(*) from pg_tables where tablename like 'nb_idp_%'";
  EXPECT_EQ(postgres.psql(count, "idp"), "0");
  const Finished migrated = server.verb({"migrate"});
  EXPECT_EQ(migrated.status, 0) << migrated.output;
  EXPECT_NE(postgres.psql(count, "idp"), "0");
  const Finished after = server.verb({"migrate", "--check"});
  EXPECT_EQ(after.status, 0) << after.output;
  EXPECT_THAT(after.output, Not(HasSubstr("missing")));
}

TEST(IdpServer, ACheckOfMissingDatabasesMakesNone) {
  const MgmtServer server({.json = idp_json(R"({"Type":"sqlite3"})")});
  const auto files = [&] {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(server.folder()))
      out.push_back(entry.path().filename().string());
    return out;
  };
  const Finished checked = server.verb({"migrate", "--check"});
  EXPECT_EQ(checked.status, 3) << checked.output;
  EXPECT_THAT(checked.output, HasSubstr("missing: idp: tables\n"));
  EXPECT_THAT(checked.output, HasSubstr("missing: events: "));
  EXPECT_THAT(files(), ::testing::ElementsAre("management.json"));
  EXPECT_EQ(server.verb({"migrate"}).status, 0);
  EXPECT_EQ(server.verb({"migrate", "--check"}).status, 0);
}

TEST(IdpServer, CallsToItAreCountedUnderTheNamesOfUpstream) {  // contract/signal-relay-ops.md §8.2
  // The provider's database is another server than the main one, so that it can be away by itself.
  PostgresServer postgres;
  MgmtServer server({.env = {{"NB_SETUP_PAT_ENABLED", "true"}},
                     .json = std::string(R"("EmbeddedIdP":{"Enabled":true,"Issuer":")") + kIssuer +
                             R"(","Storage":{"Type":"postgres","Config":{"DSN":")" +
                             postgres.dsn() + R"("}},"DashboardRedirectURIs":[")" + kReturn +
                             R"("]},)"});
  server.start();
  Web web;
  std::string owner;
  const auto call = [&](const std::string& method, const std::string& path,
                        const std::string& body = {}) {
    return web.send(server, method, path, body, owner);
  };
  std::map<std::string, double> before;
  const auto grew = [&](const std::string& what) {
    const std::string name = "management_idp_" + what + "_counter_total";
    const double now = server.metric(name);
    return now > std::exchange(before[name], now);
  };
  for (const char* const what :
       {"authenticate_request", "get_account", "get_accounts", "get_user_by_id",
        "get_user_by_email", "create_user", "delete_user", "update_user_meta", "request_error",
        "request_status_error"})
    EXPECT_GE(server.metric(std::string("management_idp_") + what + "_counter_total"), 0) << what;

  EXPECT_EQ(call("GET", "/api/instance").status, 200);
  EXPECT_TRUE(grew("get_accounts")) << "whether there are users yet";
  const auto set_up = call("POST", "/api/setup",
                           R"({"email":"owner@example.org","name":"Owner",)"
                           R"("password":"Passw0rd!","create_pat":true})");
  ASSERT_EQ(set_up.status, 200) << set_up.body;
  EXPECT_TRUE(grew("create_user"));
  const std::string signed_in = tokens(web, server, server, server, [] {});
  EXPECT_EQ(web.send(server, "GET", "/api/users/current", {},
                     "Bearer " + after(signed_in, R"("access_token":")"))
                .status,
            200);
  EXPECT_TRUE(grew("authenticate_request")) << "its keys";
  owner = "Token " + after(set_up.body, R"("personal_access_token":")");
  const auto made = call("POST", "/api/users",
                         R"({"email":"new@example.org","name":"New","role":"user",)"
                         R"("auto_groups":[],"is_service_user":false})");
  ASSERT_EQ(made.status, 200) << made.body;
  EXPECT_TRUE(grew("create_user"));
  const auto current = call("GET", "/api/users/current");
  const std::string self = after(current.body, R"("id":")");
  ASSERT_EQ(call("PUT", "/api/users/" + self + "/password",
                 R"({"old_password":"Passw0rd!","new_password":"Another-Password-2"})")
                .status,
            200);
  EXPECT_TRUE(grew("update_user_meta"));
  EXPECT_EQ(call("GET", "/api/identity-providers").status, 200);
  EXPECT_TRUE(grew("get_accounts"));
  grew("request_status_error");
  EXPECT_EQ(call("GET", "/api/identity-providers/nobody").status, 404);
  EXPECT_TRUE(grew("get_account"));
  EXPECT_TRUE(grew("request_status_error"));
  ASSERT_EQ(call("DELETE", "/api/users/" + after(made.body, R"("id":")")).status, 200);
  EXPECT_TRUE(grew("delete_user"));

  grew("request_error");
  postgres.stop();
  EXPECT_GE(call("GET", "/api/identity-providers").status, 500);
  EXPECT_TRUE(grew("request_error"));
  postgres.start();
  EXPECT_TRUE(
      eventually([&] { return call("GET", "/api/identity-providers").status == 200; }, 20s));
}

TEST(IdpServer, ActivityOfTheApiIsNotKeptWhereThatIsOff) {
  MgmtServer server(
      {.env = {{"NB_SETUP_PAT_ENABLED", "true"}, {"NB_EVENT_ACTIVITY_LOG_ENABLED", "false"}},
       .json = std::string(R"("EmbeddedIdP":{"Enabled":true,"Issuer":")") + kIssuer +
               R"(","Storage":{"Type":"sqlite3"}},)"});
  server.start();
  Web web;
  const auto set_up = web.send(server, "POST", "/api/setup",
                               R"({"email":"owner@example.org","name":"Owner",)"
                               R"("password":"Passw0rd!","create_pat":true})");
  const std::string owner = "Token " + after(set_up.body, R"("personal_access_token":")");
  const auto made =
      web.send(server, "POST", "/api/groups", R"({"name":"quiet","peers":[]})", owner);
  ASSERT_EQ(made.status, 200) << made.body;
  const auto events = web.send(server, "GET", "/api/events/audit", {}, owner);
  EXPECT_EQ(events.status, 200);
  EXPECT_EQ(events.body, "[]\n");
}

TEST(IdpServer, OneServerOnSqliteTellsAgentsItsOwnFlows) {
  MgmtServer server({.json = idp_json(R"({"Type":"sqlite3"})")});
  server.start();
  Web web;
  const std::string answer = tokens(web, server, server, server, [] {});
  EXPECT_FALSE(after(answer, "\"access_token\":\"").empty()) << answer;
  const Agent agent("laptop");
  const auto key = agent.server_key(server.target());
  ASSERT_TRUE(key.ok());
  const auto service = stub(server.target());
  const auto ask = [&](auto method, const auto& request, auto& reply) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + patient(10s));
    pb::EncryptedMessage sealed;
    const auto status = ((*service).*method)(&context, agent.seal(request, key.value), &sealed);
    if (!status.ok()) return false;
    const auto opened = agent.open<std::decay_t<decltype(reply)>>(sealed, key.value);
    if (opened) reply = *opened;
    return opened.has_value();
  };
  pb::PKCEAuthorizationFlow pkce;
  ASSERT_TRUE(ask(&pb::ManagementService::Stub::GetPKCEAuthorizationFlow,
                  pb::PKCEAuthorizationFlowRequest(), pkce));
  EXPECT_EQ(pkce.providerconfig().clientid(), "netbird-cli");
  EXPECT_EQ(pkce.providerconfig().authorizationendpoint(), std::string(kIssuer) + "/auth");
  EXPECT_EQ(pkce.providerconfig().tokenendpoint(), std::string(kIssuer) + "/token");
  ASSERT_EQ(pkce.providerconfig().redirecturls_size(), 2);
  pb::DeviceAuthorizationFlow device;
  ASSERT_TRUE(ask(&pb::ManagementService::Stub::GetDeviceAuthorizationFlow,
                  pb::DeviceAuthorizationFlowRequest(), device));
  EXPECT_EQ(device.providerconfig().deviceauthendpoint(), std::string(kIssuer) + "/device/code");
  EXPECT_EQ(device.providerconfig().audience(), "netbird-cli");
}

TEST(IdpServer, AgentsLearnWhereTheKeysOfSshTokensAre) {
  MgmtServer server({.json = idp_json(R"({"Type":"sqlite3"})")});
  server.start();
  Web web;
  const std::string bearer =
      "Bearer " + after(tokens(web, server, server, server, [] {}), "\"access_token\":\"");
  const auto made = web.send(server, "POST", "/api/setup-keys",
                             R"({"name":"k","type":"reusable","expires_in":3600})", bearer);
  const std::string key = after(made.body, "\"key\":\"");
  ASSERT_FALSE(key.empty()) << made.body;
  const Agent agent("box");
  ASSERT_TRUE(agent.login(server.target(), key).ok());
  SyncStream stream(agent, server.target());
  ASSERT_TRUE(stream.wait_first());
  const auto peers = web.send(server, "GET", "/api/peers", "", bearer);
  const auto changed =
      web.send(server, "PUT", "/api/peers/" + after(peers.body, "\"id\":\""),
               R"({"name":"box","ssh_enabled":true,"login_expiration_enabled":false})", bearer);
  ASSERT_EQ(changed.status, 200) << changed.body;
  ASSERT_TRUE(stream.wait_for(
      [](const auto& message) { return message.peerconfig().sshconfig().has_jwtconfig(); }));
  const auto last = stream.last();
  const pb::JWTConfig& jwt = last->peerconfig().sshconfig().jwtconfig();
  // Peers ask over the public address (contract/auth-idp.md §2.7).
  EXPECT_EQ(jwt.issuer(), kIssuer);
  EXPECT_EQ(jwt.keyslocation(), std::string(kIssuer) + "/keys");
  EXPECT_EQ(jwt.audience(), "netbird-cli");
  EXPECT_THAT(jwt.audiences(), ::testing::ElementsAre("netbird-dashboard", "netbird-cli"));
}

TEST(IdpServer, WithoutTheDeviceGrantAgentsAreToldOfNoDeviceFlow) {
  std::string json = idp_json(R"({"Type":"sqlite3"})");
  json.insert(json.find("\"Enabled\""), R"("GrantTypes":["authorization_code"],)");
  MgmtServer server({.json = json});
  server.start();
  const Agent agent("laptop");
  const auto key = agent.server_key(server.target());
  ASSERT_TRUE(key.ok());
  const auto service = stub(server.target());
  const auto status_of = [&](auto method, const auto& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 10s);
    pb::EncryptedMessage sealed;
    return ((*service).*method)(&context, agent.seal(request, key.value), &sealed).error_code();
  };
  EXPECT_EQ(status_of(&pb::ManagementService::Stub::GetDeviceAuthorizationFlow,
                      pb::DeviceAuthorizationFlowRequest()),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status_of(&pb::ManagementService::Stub::GetPKCEAuthorizationFlow,
                      pb::PKCEAuthorizationFlowRequest()),
            grpc::StatusCode::OK);
}

}  // namespace
}  // namespace nb::test
