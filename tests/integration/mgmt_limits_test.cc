// What one netbird-mgmt bounds and refuses, and what it says of itself while it does.
#include "integration/mgmt_harness.h"
#include "support/paths.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <utility>
#include <vector>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;

TEST(MgmtLimits, CallsOfOneAddressAreLimitedAndGoOnLater) {  // contract/management-grpc.md §8.4
  MgmtServer server({.env = {{"NB_LOGIN_RATE_PER_SOURCE", "2"}}});
  server.start();
  const Agent agent("eager");
  std::optional<grpc::Status> refused;
  for (int i = 0; i < 2'000 && !refused; ++i)
    if (const auto login = agent.login(server.target());
        login.status.error_code() == StatusCode::RESOURCE_EXHAUSTED)
      refused = login.status;
  ASSERT_TRUE(refused);
  EXPECT_THAT(refused->error_message(), testing::HasSubstr("too many requests from 127.0.0.1"));
  EXPECT_GT(server.metric("netbird_management_address_limited_total"), 0);
  EXPECT_TRUE(eventually(
      [&] {
        return agent.login(server.target()).status.error_code() == StatusCode::PERMISSION_DENIED;
      },
      20s));
}

/// A peer that nobody knows and who calls on one connection, all with one server key.
class Eager {
 public:
  explicit Eager(const MgmtServer& server)
      : key_(agent_.server_key(server.target()).value), service_(stub(server.target())) {}

  template <class Request, class Response>
  grpc::Status ask(grpc::Status (pb::ManagementService::Stub::*method)(grpc::ClientContext*,
                                                                       const pb::EncryptedMessage&,
                                                                       Response*),
                   const Request& request) {
    grpc::ClientContext context;
    Response response;
    return ((*service_).*method)(&context, agent_.seal(request, key_), &response);
  }
  template <class Request>
  grpc::Status ask_sealed(grpc::Status (pb::ManagementService::Stub::*method)(
                              grpc::ClientContext*, const pb::EncryptedMessage&,
                              pb::EncryptedMessage*),
                          const Request& request) {
    return ask<Request, pb::EncryptedMessage>(method, request);
  }
  grpc::Status sync() {
    pb::SyncRequest request;
    *request.mutable_meta() = agent_.meta();
    grpc::ClientContext context;
    const auto stream = service_->Sync(&context, agent_.seal(request, key_));
    pb::EncryptedMessage message;
    EXPECT_FALSE(stream->Read(&message));
    return stream->Finish();
  }
  grpc::Status job() {
    pb::JobRequest hello;
    hello.set_id("0123456789abcdef");
    grpc::ClientContext context;
    const auto stream = service_->Job(&context);
    stream->Write(agent_.seal(hello, key_));
    pb::EncryptedMessage message;
    EXPECT_FALSE(stream->Read(&message));
    return stream->Finish();
  }
  [[nodiscard]] pb::PeerSystemMeta meta() const { return agent_.meta(); }

 private:
  const Agent agent_{"eager"};
  const std::string key_;
  const std::unique_ptr<pb::ManagementService::Stub> service_;
};

TEST(MgmtLimits, EveryCallThatCostsSomethingIsLimitedAndOthersAreNot) {  // contract §8.4
  MgmtServer server({.env = {{"NB_LOGIN_RATE_PER_SOURCE", "1"}}});
  server.start();
  Eager eager(server);
  using Stub = pb::ManagementService::Stub;
  pb::LoginRequest login;
  *login.mutable_meta() = eager.meta();
  pb::SyncMetaRequest meta;
  *meta.mutable_meta() = eager.meta();
  pb::RenewExposeRequest renew;
  renew.set_domain("blog.example");
  pb::StopExposeRequest stop;
  stop.set_domain("blog.example");
  const std::vector<std::pair<std::string, std::function<grpc::Status()>>> calls = {
      {"Login", [&] { return eager.ask_sealed(&Stub::Login, login); }},
      {"Sync", [&] { return eager.sync(); }},
      {"Job", [&] { return eager.job(); }},
      {"SyncMeta", [&] { return eager.ask(&Stub::SyncMeta, meta); }},
      {"Logout", [&] { return eager.ask(&Stub::Logout, pb::Empty{}); }},
      {"GetDeviceAuthorizationFlow",
       [&] { return eager.ask_sealed(&Stub::GetDeviceAuthorizationFlow, pb::Empty{}); }},
      {"GetPKCEAuthorizationFlow",
       [&] { return eager.ask_sealed(&Stub::GetPKCEAuthorizationFlow, pb::Empty{}); }},
      {"ExtendAuthSession",
       [&] { return eager.ask_sealed(&Stub::ExtendAuthSession, pb::ExtendAuthSessionRequest{}); }},
      {"CreateExpose",
       [&] { return eager.ask_sealed(&Stub::CreateExpose, pb::ExposeServiceRequest{}); }},
      {"RenewExpose", [&] { return eager.ask_sealed(&Stub::RenewExpose, renew); }},
      {"StopExpose", [&] { return eager.ask_sealed(&Stub::StopExpose, stop); }},
  };
  double refused = 0;
  for (const auto& [name, call] : calls) {
    grpc::Status status;
    for (int i = 0; i < 2'000 && status.error_code() != StatusCode::RESOURCE_EXHAUSTED; ++i) {
      status = call();
      EXPECT_FALSE(status.ok()) << name << ": nobody knows the peer";
    }
    EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED) << name;
    EXPECT_EQ(status.error_message(), "too many requests from 127.0.0.1, please try again later")
        << name;
    EXPECT_GE(server.metric("netbird_management_address_limited_total"), ++refused) << name;
  }
  grpc::ClientContext context;
  pb::Empty response;
  EXPECT_TRUE(stub(server.target())->isHealthy(&context, pb::Empty(), &response).ok());
}

TEST(MgmtLimits, TheServerKeyIsToldWithATimeAhead) {  // upstream's lies in 1970
  MgmtServer server({});
  server.start();
  grpc::ClientContext context;
  pb::ServerKeyResponse response;
  ASSERT_TRUE(stub(server.target())->GetServerKey(&context, pb::Empty(), &response).ok());
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  EXPECT_NEAR(static_cast<double>(response.expiresat().seconds()),
              static_cast<double>(now + 86'400), 600);
}

TEST(MgmtLimits, BrokenGeoDatabasesStopNoStart) {  // contract/signal-relay-ops.md §6.8
  const TempDir dir;
  for (const char* const name : {"GeoLite2-City_20300101.mmdb", "geonames_20300101.db"})
    std::ofstream(dir / name) << "no database at all, and long enough to be read as one";
  MgmtServer server({.flags = {"--datadir", dir.path().string()}});
  server.start();
  EXPECT_TRUE(server.process().wait_for_output("geolocation is off", 5s));
}

class MgmtOnPostgres : public testing::Test {
 protected:
  explicit MgmtOnPostgres(const std::string& json = {})
      : server({.postgres_dsn = postgres.dsn(), .json = json}) {
    server.start();
    key = server.setup_key();
  }
  [[nodiscard]] Agent joined(const std::string& name) const {
    Agent out(name);
    const auto login = out.login(server.target(), key);
    EXPECT_TRUE(login.ok()) << login.status.error_message();
    return out;
  }
  PostgresServer postgres;
  MgmtServer server;
  std::string key;
};

TEST_F(MgmtOnPostgres, HealthCallsFollowTheDatabase) {  // contract/management-grpc.md §5.1
  const auto healthy = [&] {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 5s);
    pb::Empty response;
    return stub(server.target())->isHealthy(&context, pb::Empty(), &response).error_code();
  };
  EXPECT_EQ(healthy(), StatusCode::OK);
  postgres.stop();
  EXPECT_TRUE(eventually([&] { return healthy() == StatusCode::UNAVAILABLE; }, 20s));
  postgres.start();
  EXPECT_TRUE(eventually([&] { return healthy() == StatusCode::OK; }, 20s));
}

TEST_F(MgmtOnPostgres, MapsThatOldAgentsCannotReceiveAreCounted) {  // contract §1.1
  // Each port of the rule is a rule of its own at each of the others: 4 MiB from few peers.
  const Agent reader = joined("reader");
  for (int i = 0; i < 40; ++i) static_cast<void>(joined("peer-" + std::to_string(i)));
  std::string ports;
  for (int port = 1; port <= 1'000; ++port)
    ports += fmt::format(R"({}"{}")", port > 1 ? "," : "", 20'000 + port);
  postgres.psql("update policy_rules set protocol = 'tcp', ports = '[" + ports + "]'");
  SyncStream stream(reader, server.target());
  ASSERT_TRUE(stream.wait_first(60s));
  EXPECT_GT(stream.last()->ByteSizeLong(), 3'670'016U);
  EXPECT_EQ(server.metric("netbird_management_maps_oversize_total"), 1);
}

TEST_F(MgmtOnPostgres, JobStreamsWithoutAHelloAreRefused) {  // contract §5.10
  grpc::ClientContext context;
  const auto service = stub(server.target());
  const auto stream = service->Job(&context);
  stream->WritesDone();
  pb::EncryptedMessage message;
  EXPECT_FALSE(stream->Read(&message));
  const auto end = stream->Finish();
  EXPECT_EQ(end.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(end.error_message(), testing::HasSubstr("missing hello: "));
}

TEST(MgmtPlaces, ArePeersOfTheAddressThatATrustedProxyNames) {  // contract §1.2
  const TempDir dir;
  std::filesystem::copy(source_dir() + "/tests/data/geo/GeoLite2-City_20260101.mmdb", dir.path());
  const PostgresServer postgres;
  const auto stored_by = [&](const std::string& trusted) {
    MgmtServer server({.postgres_dsn = postgres.dsn(),
                       .flags = {"--datadir", dir.path().string()},
                       .json = R"("ReverseProxy": {"TrustedPeers": [")" + trusted + R"("]},)"});
    server.start();
    const Agent agent("travels");
    EXPECT_TRUE(agent.login(server.target(), server.setup_key()).ok());
    const auto key = agent.server_key(server.target());
    pb::SyncRequest request;
    *request.mutable_meta() = agent.meta();
    grpc::ClientContext context;
    context.AddMetadata("x-forwarded-for", "203.0.113.77");
    const auto service = stub(server.target());
    const auto stream = service->Sync(&context, agent.seal(request, key.value));
    pb::EncryptedMessage message;
    EXPECT_TRUE(stream->Read(&message));
    context.TryCancel();
    return postgres.psql(
        "select location_connection_ip || ' ' || location_country_code || ' ' || "
        "location_city_name || ' ' || location_geo_name_id from peers where key='" +
        agent.key() + "'");
  };
  EXPECT_EQ(stored_by("127.0.0.0/8"), R"("203.0.113.77" DE Berlin 2950159)");
  EXPECT_EQ(stored_by("10.0.0.0/8"), R"("127.0.0.1"   0)");
}

/// Relay tokens so short that a test sees new ones.
class MgmtRefresh : public MgmtOnPostgres {
 protected:
  MgmtRefresh()
      : MgmtOnPostgres(
            R"("Relay": {"Addresses": ["rels://relay.test:443"], "CredentialsTTL": "4s",)"
            R"( "Secret": "relay-secret"},)") {}
};

TEST_F(MgmtRefresh, NewTokensComeWithTheChecksAndNothingElse) {  // contract §5.4, §8.1
  const Agent agent = joined("long-lived");
  postgres.psql(
      R"(insert into posture_checks (id, name, account_id, public_id, checks) select 'pc', 'agent',)"
      R"( id, 'pub', '{"ProcessCheck":{"Processes":[{"LinuxPath":"/usr/bin/agent"}]}}' from accounts;)"
      R"(update policies set source_posture_checks = '["pc"]')");
  SyncStream stream(agent, server.target());
  const auto is_refresh = [](const pb::SyncResponse& message) {
    return message.has_netbirdconfig() && !message.has_networkmap();
  };
  ASSERT_TRUE(stream.wait_for(is_refresh, 20s));
  const auto messages = stream.received();
  const auto& first = messages.front();
  ASSERT_EQ(first.checks_size(), 1);
  EXPECT_THAT(first.checks(0).files(), testing::ElementsAre("/usr/bin/agent"));
  const auto refresh = *std::ranges::find_if(messages, is_refresh);
  EXPECT_EQ(refresh.netbirdconfig().relay().urls(0), "rels://relay.test:443");
  EXPECT_GT(std::stoll(refresh.netbirdconfig().relay().tokenpayload()),
            std::stoll(first.netbirdconfig().relay().tokenpayload()));
  // Agents of 2026-04 take absent checks for none any more.
  ASSERT_EQ(refresh.checks_size(), 1);
  EXPECT_EQ(refresh.checks(0).SerializeAsString(), first.checks(0).SerializeAsString());
  EXPECT_FALSE(refresh.has_peerconfig());
  EXPECT_FALSE(refresh.has_sessionexpiresat());
  EXPECT_EQ(refresh.netbirdconfig().stuns_size(), 0);
  EXPECT_FALSE(refresh.netbirdconfig().has_signal());
}

}  // namespace
}  // namespace nb::test
