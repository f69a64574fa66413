// The codes and texts that official agents match or show, as they come over the wire
// (contract/management-grpc.md §4): those that need users, an identity provider or a broken
// database. The others are where their calls are tested (mgmt_single_test.cc).
#include "integration/held_table.h"
#include "integration/mgmt_harness.h"
#include "integration/oidc_provider.h"
#include "integration/web.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using grpc::Status;
using grpc::StatusCode;

std::string told(const Status& status) {
  return fmt::format("{}: {}", static_cast<int>(status.error_code()), status.error_message());
}

struct Credentials {
  std::string jwt{};
  std::string setup_key{};
  std::string label{};
};

class MgmtTexts : public ::testing::Test {
 protected:
  MgmtTexts() {
    provider.start();
    server.start();
  }
  [[nodiscard]] MgmtOptions options() const {
    return {
        .postgres_dsn = postgres.dsn(),
        .json = fmt::format(R"("HttpConfig":{{"AuthAudience":"nb","OIDCConfigEndpoint":"{}"}},)"
                            R"("DeviceAuthorizationFlow":{{"Provider":"google","ProviderConfig":)"
                            R"({{"ClientID":"cli","Audience":"nb"}}}},)",
                            provider.discovery())};
  }
  [[nodiscard]] Status login(const Agent& agent, const Credentials& with = {}) const {
    pb::LoginRequest request;
    *request.mutable_meta() = agent.meta();
    request.set_jwttoken(with.jwt);
    request.set_setupkey(with.setup_key);
    if (!with.label.empty()) request.add_dnslabels(with.label);
    return agent.login(server.target(), request).status;
  }
  /// A registered machine of a user's.
  [[nodiscard]] Agent machine_of(const std::string& user, const std::string& name) const {
    Agent out(name);
    const auto joined = login(out, {.jwt = provider.token(user)});
    EXPECT_TRUE(joined.ok()) << told(joined);
    return out;
  }
  /// The account's owner, whose other users need no approval.
  [[nodiscard]] Agent machine_of_owner() const {
    Agent out = machine_of("olga", "laptop");
    sql("update accounts set settings_extra_user_approval_required = false");
    return out;
  }
  template <class Request>
  Status ask(const Agent& agent, const Request& request,
             Status (pb::ManagementService::Stub::*method)(grpc::ClientContext*,
                                                           const pb::EncryptedMessage&,
                                                           pb::EncryptedMessage*)) const {
    const auto key = agent.server_key(server.target());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + patient(10s));
    pb::EncryptedMessage response;
    const auto service = stub(server.target());
    return ((*service).*method)(&context, agent.seal(request, key.value), &response);
  }
  [[nodiscard]] Status extend(const Agent& agent, const std::string& jwt) const {
    pb::ExtendAuthSessionRequest request;
    request.set_jwttoken(jwt);
    return ask(agent, request, &pb::ManagementService::Stub::ExtendAuthSession);
  }
  [[nodiscard]] Status sync(const Agent& agent) const {
    const SyncStream stream(agent, server.target());
    const auto end = stream.wait_end(15s);
    EXPECT_TRUE(end) << "a stream that should have been refused";
    return end.value_or(Status());
  }
  [[nodiscard]] Status sync_meta(const Agent& agent) const {
    return agent.sync_meta(server.target(), agent.meta()).status;
  }
  void sql(const std::string& statement) const { static_cast<void>(postgres.psql(statement)); }

  PostgresServer postgres;
  OidcProvider provider;
  MgmtServer server{options()};
};

TEST_F(MgmtTexts, OfTokens) {
  const Agent laptop = machine_of_owner();
  const Agent fresh("fresh");
  const auto invalid = told(login(fresh, {.jwt = "no.token.atall"}));
  EXPECT_THAT(invalid, ::testing::StartsWith("3: invalid jwt token, err: "));
  EXPECT_THAT(told(extend(laptop, "no.token.atall")),
              ::testing::StartsWith("3: invalid jwt token, err: "));
  const auto both = [&](const Agent& agent, const std::string& jwt, const Status& expected) {
    EXPECT_EQ(told(login(agent, {.jwt = jwt})), told(expected));
    EXPECT_EQ(told(extend(agent, jwt)), told(expected));
  };
  both(laptop, provider.sign(R"("sub":"olga")"),
       {StatusCode::UNAUTHENTICATED, "jwt token has no expiration"});
  both(laptop, provider.token(""),
       {StatusCode::UNAUTHENTICATED, "jwt token did not yield a user id"});
  const std::string used = provider.token("olga");
  EXPECT_TRUE(login(laptop, {.jwt = used}).ok());
  both(fresh, used, {StatusCode::UNAUTHENTICATED, "JWT already used"});

  const Agent phone = machine_of("peter", "phone");
  both(laptop, provider.token("peter"),
       {StatusCode::PERMISSION_DENIED,
        "peer is already registered by a different User or a Setup Key"});

  sql("update accounts set settings_jwt_groups_enabled = true, settings_jwt_groups_claim_name = "
      "'groups', settings_jwt_allow_groups = '[\"staff\"]'");
  both(laptop, provider.token("olga", R"(,"groups":["guests"])"),
       {StatusCode::PERMISSION_DENIED, "user does not belong to any of the allowed JWT groups"});
  EXPECT_TRUE(login(laptop, {.jwt = provider.token("olga", R"(,"groups":["staff"])")}).ok());
  sql("update accounts set settings_jwt_groups_enabled = false");

  sql("update users set is_service_user = true where id = 'peter'");
  both(phone, provider.token("peter"),
       {StatusCode::INTERNAL,
        "unable to fetch account with claims, err: service users can not log in"});

  sql("alter table nb_token_claims rename to away");
  both(laptop, provider.token("olga"), {StatusCode::UNAVAILABLE, "failed to claim jwt token"});
  sql("alter table away rename to nb_token_claims");
  EXPECT_TRUE(extend(laptop, provider.token("olga")).ok());
}

TEST_F(MgmtTexts, OfUsers) {
  const Agent laptop = machine_of_owner();
  const Agent phone = machine_of("peter", "phone");
  const Agent fresh("fresh");
  const auto by_peter = [&](const Agent& agent) {
    return told(login(agent, {.jwt = provider.token("peter")}));
  };
  const std::string blocked = told({StatusCode::PERMISSION_DENIED, "user is blocked"});
  sql("update users set blocked = true where id = 'peter'");
  EXPECT_EQ(by_peter(phone), blocked);
  EXPECT_EQ(by_peter(fresh), blocked);
  EXPECT_EQ(told(sync(phone)), blocked);
  EXPECT_EQ(told(sync_meta(phone)), blocked);
  sql("update users set pending_approval = true where id = 'peter'");
  EXPECT_EQ(by_peter(fresh),
            told({StatusCode::PERMISSION_DENIED, "user pending approval cannot add peers"}));

  // Deleted between his token's check and his machine's registration.
  sql("create function gone() returns trigger language plpgsql as $$ begin delete from users where "
      "id = 'quinn'; return new; end $$; create trigger gone after insert on nb_token_claims for "
      "each row execute function gone()");
  EXPECT_EQ(told(login(fresh, {.jwt = provider.token("quinn")})),
            told({StatusCode::NOT_FOUND, "failed adding new peer: user not found"}));

  const std::string expired =
      told({StatusCode::PERMISSION_DENIED, "peer login has expired, please log in once more"});
  sql("update peers set peer_status_login_expired = true where key = '" + laptop.key() + "'");
  EXPECT_EQ(told(login(laptop)), expired);
  EXPECT_EQ(told(sync(laptop)), expired);
  EXPECT_EQ(told(sync_meta(laptop)), expired);

  EXPECT_EQ(told(extend(fresh, provider.token("olga"))),
            told({StatusCode::NOT_FOUND, "peer is not registered"}));
  sql("update peers set login_expiration_enabled = false where key = '" + laptop.key() + "'");
  EXPECT_EQ(told(extend(laptop, provider.token("olga"))),
            told({StatusCode::FAILED_PRECONDITION, "peer is not eligible for session extension"}));
  sql("update accounts set settings_peer_login_expiration_enabled = false");
  EXPECT_EQ(
      told(extend(laptop, provider.token("olga"))),
      told({StatusCode::FAILED_PRECONDITION, "peer login expiration is disabled for the account"}));
}

TEST_F(MgmtTexts, OfMachinesAndOutages) {
  const std::string key = server.setup_key();
  const Agent machine("machine");
  const Agent fresh("fresh");
  EXPECT_EQ(told(login(fresh, {.setup_key = key, .label = "web"})),
            told({StatusCode::FAILED_PRECONDITION,
                  "couldn't add peer: setup key doesn't allow extra DNS labels"}));
  ASSERT_TRUE(login(machine, {.setup_key = key}).ok());
  EXPECT_EQ(told(login(machine, {.label = "web"})),
            told({StatusCode::FAILED_PRECONDITION,
                  "couldn't login peer: setup key doesn't allow extra DNS labels"}));
  const auto server_key = machine.server_key(server.target());
  grpc::ClientContext context;
  pb::Empty nothing;
  EXPECT_EQ(
      told(stub(server.target())
               ->SyncMeta(&context, machine.seal(pb::SyncMetaRequest(), server_key.value),
                          &nothing)),
      told({StatusCode::FAILED_PRECONDITION, "peer system meta has to be provided on sync. Peer " +
                                                 machine.key() + ", remote addr 127.0.0.1"}));
  EXPECT_EQ(told(ask(machine, pb::DeviceAuthorizationFlowRequest(),
                     &pb::ManagementService::Stub::GetDeviceAuthorizationFlow)),
            told({StatusCode::INVALID_ARGUMENT, "no provider found in the protocol for google"}));

  // One machine that comes twice at the same moment.
  {
    std::optional<HeldTable> held(std::in_place, postgres, "peers", "netbird");
    const auto come = [&] { return login(fresh, {.setup_key = key}); };
    auto first = std::async(std::launch::async, come);
    auto second = std::async(std::launch::async, come);
    EXPECT_TRUE(eventually([&] {
      return postgres.psql(
                 "select count(*) from pg_stat_activity where wait_event_type = 'Lock'") == "2";
    }));
    held.reset();
    const std::vector<std::string> both{told(first.get()), told(second.get())};
    EXPECT_THAT(both, ::testing::UnorderedElementsAre(told(Status::OK),
                                                      told({StatusCode::FAILED_PRECONDITION,
                                                            "peer has been already registered"})));
  }

  // What is wrong with the database says nothing of the machine, and no text of it gets out.
  sql("alter table setup_keys rename to away");
  EXPECT_EQ(told(login(Agent("late"), {.setup_key = key})),
            told({StatusCode::INTERNAL, "failed handling request"}));
  sql("alter table away rename to setup_keys");
  postgres.stop();
  const std::string away =
      told({StatusCode::UNAVAILABLE, "temporarily unavailable, please try again"});
  EXPECT_EQ(told(login(machine)), away);
  EXPECT_EQ(told(sync(machine)), away);
  EXPECT_EQ(told(sync_meta(machine)), away);
  EXPECT_EQ(told(machine.logout(server.target()).status), away);
}

TEST_F(MgmtTexts, OfTransactionsThatNeverGetThrough) {
  const Agent laptop = machine_of_owner();
  sql("create function conflict() returns trigger language plpgsql as $$ begin raise exception "
      "'conflict' using errcode = '40001'; end $$; create trigger conflict before insert on users "
      "for each row execute function conflict()");
  const auto asks = [&] {
    Web web;
    return web.send(server, "GET", "/api/users", "", "Bearer " + provider.token("rita")).status;
  };
  EXPECT_EQ(told(login(Agent("fresh"), {.jwt = provider.token("rita")})),
            told({StatusCode::UNAVAILABLE, "temporarily unavailable, please try again"}));
  EXPECT_EQ(asks(), 503) << "nobody has to log in again";
  sql("drop trigger conflict on users");
  EXPECT_NE(asks(), 503);
  EXPECT_TRUE(login(Agent("fresh"), {.jwt = provider.token("rita")}).ok());
}

}  // namespace
}  // namespace nb::test
