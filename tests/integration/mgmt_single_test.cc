// One netbird-mgmt on SQLite: what agents are told, in upstream's words.
#include "integration/mgmt_harness.h"
#include "integration/sqlite_file.h"
#include "support/netbird.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;

class MgmtSingle : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = std::make_unique<MgmtServer>(MgmtOptions{});
    server_->start();
    key_ = server_->setup_key();
  }
  static void TearDownTestSuite() { server_.reset(); }
  static std::unique_ptr<MgmtServer> server_;
  static std::string key_;
  const std::string at = server_->target();
};
std::unique_ptr<MgmtServer> MgmtSingle::server_;
std::string MgmtSingle::key_;

TEST_F(MgmtSingle, UnknownPeerIsAskedToRegisterAndThenKnown) {
  const Agent agent("first");
  const auto bare = agent.login(at);
  EXPECT_EQ(bare.status.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(bare.status.error_message(),
            "no peer auth method provided, please use a setup key or interactive SSO login");
  const auto joined = agent.login(at, key_);
  ASSERT_TRUE(joined.ok()) << joined.status.error_message();
  EXPECT_EQ(joined.value.peerconfig().fqdn(), "first.netbird.selfhosted");
  EXPECT_EQ(joined.value.netbirdconfig().signal().uri(), "127.0.0.1:10000");
  EXPECT_EQ(joined.value.netbirdconfig().signal().protocol(), pb::HostConfig::HTTP);
  EXPECT_TRUE(joined.value.has_sessionexpiresat());
  const auto again = agent.login(at);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again.value.peerconfig().address(), joined.value.peerconfig().address());
  const auto same_key_again = agent.login(at, key_);
  EXPECT_TRUE(same_key_again.ok());
}

TEST_F(MgmtSingle, OperatorsLookAfterTheDatabaseWhileItServes) {
  const Finished migrated = server_->verb({"migrate"});
  EXPECT_EQ(migrated.status, 0) << migrated.output;
  const Finished checked = server_->verb({"migrate", "--check"});
  EXPECT_EQ(checked.status, 0) << checked.output;
  EXPECT_THAT(checked.output, testing::Not(testing::HasSubstr("missing")));
  const Finished examined = server_->verb({"doctor"});
  EXPECT_EQ(examined.status, 0) << examined.output;
  EXPECT_THAT(examined.output, testing::HasSubstr("nothing wrong"));
  const Finished raised = server_->verb({"serial", "raise", "--by", "5000000"});
  EXPECT_EQ(raised.status, 0) << raised.output;
  EXPECT_THAT(raised.output, testing::ContainsRegex("\t50000[0-9][0-9]"));
  EXPECT_TRUE(Agent("after-raise").login(at, key_).ok());
}

/// contract/signal-relay-ops.md §6.9.
TEST_F(MgmtSingle, TheInstallationHasItsIdFromTheFirstStartOn) {
  const std::string ids =
      sqlite(server_->folder() / "store.db", "SELECT installation_id_value FROM installations");
  EXPECT_THAT(ids, testing::MatchesRegex("[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\n"));
}

TEST_F(MgmtSingle, WrongSetupKeyIsNotFound) {
  const Agent agent("stranger");
  const auto refused = agent.login(at, "00000000-0000-0000-0000-000000000001");
  EXPECT_EQ(refused.status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(refused.status.error_message(), "couldn't add peer: setup key is invalid");
}

TEST_F(MgmtSingle, RevokedSetupKeyIsRefusedAtOnce) {
  const std::string key = server_->setup_key({"--name", "short-lived"});
  EXPECT_TRUE(Agent("before").login(at, key).ok());
  const Finished revoked = server_->verb({"setup-key", "revoke", key});
  ASSERT_EQ(revoked.status, 0) << revoked.output;
  EXPECT_EQ(Agent("after").login(at, key).status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_THAT(server_->verb({"setup-key", "list"}).output, testing::HasSubstr("revoked"));
}

TEST_F(MgmtSingle, LoginWithoutMetaIsRefused) {
  pb::LoginRequest request;
  request.set_setupkey(key_);
  const Agent agent("meta-less");
  const auto refused = agent.login(at, request);
  EXPECT_EQ(refused.status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(refused.status.error_message(), "peer system meta has to be provided to log in. Peer " +
                                                agent.key() + ", remote addr 127.0.0.1");
}

TEST_F(MgmtSingle, OldAgentsWithAKeyForANameAndNoVersionMayJoin) {
  const Agent agent("wW0vvhP9Tt7hgRTH5oALCK8i7lLdw1PGuXm6BVHgfCE=");
  pb::LoginRequest request;
  request.mutable_meta()->set_hostname(agent.hostname());
  request.set_setupkey(key_);
  EXPECT_TRUE(agent.login(at, request).ok());
}

TEST_F(MgmtSingle, SyncOfAnUnknownPeerIsDenied) {
  const Agent agent("unknown");
  SyncStream stream(agent, at);
  const auto end = stream.wait_end(5s);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(end->error_message(), "peer is not registered");
}

TEST_F(MgmtSingle, FirstMessageHasTheConfigurationAndUpdatesHaveNone) {
  const Agent a("one");
  const Agent b("two");
  ASSERT_TRUE(a.login(at, key_).ok());
  SyncStream stream(a, at);
  ASSERT_TRUE(stream.wait_first());
  ASSERT_TRUE(b.login(at, key_).ok());
  ASSERT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, b.key()); }));
  const auto messages = stream.received();
  EXPECT_TRUE(messages.front().has_netbirdconfig());
  for (std::size_t i = 1; i < messages.size(); ++i) {
    EXPECT_FALSE(messages[i].has_netbirdconfig());
    EXPECT_GE(messages[i].networkmap().serial(), messages[i - 1].networkmap().serial());
  }
  for (const auto& message : messages) {
    const auto& map = message.networkmap();
    EXPECT_EQ(map.remotepeersisempty(), map.remotepeers().empty());
    EXPECT_EQ(map.firewallrulesisempty(), map.firewallrules().empty());
    EXPECT_TRUE(map.routesfirewallrulesisempty());
  }
}

TEST_F(MgmtSingle, LogoutTellsThePeerAndTheOthers) {
  const Agent stays("stays");
  const Agent leaves("leaves");
  ASSERT_TRUE(stays.login(at, key_).ok());
  ASSERT_TRUE(leaves.login(at, key_).ok());
  SyncStream of_stays(stays, at);
  SyncStream of_leaves(leaves, at);
  ASSERT_TRUE(of_stays.wait_for([&](const auto& m) { return shows_peer(m, leaves.key()); }));
  ASSERT_TRUE(of_leaves.wait_first());
  ASSERT_TRUE(leaves.logout(at).ok());
  const auto end = of_leaves.wait_end(5s);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->ok()) << end->error_message();
  const auto farewell = of_leaves.last();
  EXPECT_TRUE(farewell->remotepeersisempty());
  EXPECT_TRUE(farewell->networkmap().firewallrulesisempty());
  EXPECT_FALSE(farewell->has_peerconfig());
  ASSERT_TRUE(of_stays.wait_for([&](const auto& m) {
    return !shows_peer(m, leaves.key()) && shows_peer(m, "") == false &&
           m.networkmap().serial() >= farewell->networkmap().serial();
  }));
  const auto again = leaves.logout(at);
  EXPECT_EQ(again.status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(again.status.error_message(), "peer not found: " + leaves.key());
  SyncStream late(leaves, at);
  const auto denied = late.wait_end(5s);
  ASSERT_TRUE(denied);
  EXPECT_EQ(denied->error_code(), StatusCode::PERMISSION_DENIED);
}

TEST_F(MgmtSingle, SyncMetaOfUnknownAndKnownPeers) {
  const Agent agent("meta");
  const auto unknown = agent.sync_meta(at, agent.meta());
  EXPECT_EQ(unknown.status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(unknown.status.error_message(), "account not found: index lookup failed");
  ASSERT_TRUE(agent.login(at, key_).ok());
  auto meta = agent.meta();
  meta.set_netbirdversion("0.71.0");
  EXPECT_TRUE(agent.sync_meta(at, meta).ok());
}

TEST_F(MgmtSingle, ChangedVersionReachesTheOthers) {
  const Agent a("watcher");
  const Agent b("changer");
  ASSERT_TRUE(a.login(at, key_).ok());
  ASSERT_TRUE(b.login(at, key_).ok());
  SyncStream stream(a, at);
  ASSERT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, b.key()); }));
  auto meta = b.meta();
  meta.set_netbirdversion("0.72.5");
  ASSERT_TRUE(b.sync_meta(at, meta).ok());
  EXPECT_TRUE(stream.wait_for([&](const auto& m) {
    for (const auto& peer : m.networkmap().remotepeers())
      if (peer.wgpubkey() == b.key() && peer.agentversion() == "0.72.5") return true;
    return false;
  }));
}

TEST_F(MgmtSingle, NewStreamOfAPeerEndsTheOldOneWithoutAnError) {
  const Agent agent("twice");
  ASSERT_TRUE(agent.login(at, key_).ok());
  SyncStream first(agent, at);
  ASSERT_TRUE(first.wait_first());
  SyncStream second(agent, at);
  ASSERT_TRUE(second.wait_first());
  const auto end = first.wait_end(5s);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->ok()) << end->error_message();
  EXPECT_FALSE(second.wait_end(500ms));
}

TEST_F(MgmtSingle, BrokenEnvelopesAreRefusedAndChangeNothing) {
  const Agent agent("broken");
  const auto service = stub(at);
  const auto login = [&](const pb::EncryptedMessage& message) {
    grpc::ClientContext context;
    pb::EncryptedMessage response;
    return service->Login(&context, message, &response);
  };
  pb::EncryptedMessage message;
  message.set_wgpubkey("not a key");
  EXPECT_EQ(login(message).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(login(message).error_message(), "provided wgPubKey not a key is invalid");
  message.set_wgpubkey(agent.key());
  message.set_body("short");
  EXPECT_EQ(login(message).error_message(), "invalid request message");
  const auto server = agent.server_key(at);
  message = agent.seal(pb::LoginRequest{}, server.value);
  message.mutable_body()->back() = static_cast<char>(message.body().back() ^ 1);
  EXPECT_EQ(login(message).error_message(), "invalid request message");
}

TEST_F(MgmtSingle, FlowsAndSessionsWithoutAnIdentityProvider) {
  const Agent agent("flows");
  const auto server = agent.server_key(at);
  const auto service = stub(at);
  const auto status = [&](auto call) {
    grpc::ClientContext context;
    pb::EncryptedMessage response;
    return call(context, response);
  };
  const auto device = status([&](auto& context, auto& response) {
    return service->GetDeviceAuthorizationFlow(
        &context, agent.seal(pb::DeviceAuthorizationFlowRequest{}, server.value), &response);
  });
  EXPECT_EQ(device.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(device.error_message(), "no device authorization flow information available");
  const auto pkce = status([&](auto& context, auto& response) {
    return service->GetPKCEAuthorizationFlow(
        &context, agent.seal(pb::PKCEAuthorizationFlowRequest{}, server.value), &response);
  });
  EXPECT_EQ(pkce.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(pkce.error_message(), "no pkce authorization flow information available");
  const auto extend = status([&](auto& context, auto& response) {
    return service->ExtendAuthSession(
        &context, agent.seal(pb::ExtendAuthSessionRequest{}, server.value), &response);
  });
  EXPECT_EQ(extend.error_message(), "jwt token is required");
}

TEST_F(MgmtSingle, JobStreamStaysOpenAndSilent) {
  const Agent agent("jobs");
  ASSERT_TRUE(agent.login(at, key_).ok());
  const auto server = agent.server_key(at);
  const auto service = stub(at);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 1500ms);
  const auto stream = service->Job(&context);
  pb::JobRequest hello;
  hello.set_id("0123456789abcdef");
  ASSERT_TRUE(stream->Write(agent.seal(hello, server.value)));
  pb::EncryptedMessage message;
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(stream->Finish().error_code(),
            StatusCode::DEADLINE_EXCEEDED);  // ours, not the server's
}

TEST_F(MgmtSingle, JobOfAnUnknownPeerIsDenied) {
  const Agent agent("no-jobs");
  const auto server = agent.server_key(at);
  const auto service = stub(at);
  grpc::ClientContext context;
  const auto stream = service->Job(&context);
  ASSERT_TRUE(stream->Write(agent.seal(pb::JobRequest{}, server.value)));
  pb::EncryptedMessage message;
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(stream->Finish().error_code(), StatusCode::PERMISSION_DENIED);
}

/// contract/management-grpc.md §5.2, §6.9; over PostgreSQL in mgmt_cluster_test.cc.
TEST_F(MgmtSingle, LoginSaysWhatPostureLooksFor) {
  const std::string file = server_->folder() / "store.db";
  const Agent known("posture");
  ASSERT_TRUE(known.login(at, key_).ok());
  const auto files = [](const auto& answer) {
    std::vector<std::string> out;
    for (const auto& check : answer.value.checks())
      out.insert(out.end(), check.files().begin(), check.files().end());
    return out;
  };
  const auto check = [&](const std::string& id, const std::string& checks) {
    sqlite(file, "INSERT INTO posture_checks (id, name, account_id, public_id, checks) SELECT '" +
                     id + "', '" + id + "', id, 'p-" + id + "', '" + checks + "' FROM accounts");
  };
  check("version", R"({"NBVersionCheck":{"MinVersion":"0.1.0"}})");
  check("agent", R"({"ProcessCheck":{"Processes":[{"LinuxPath":"/usr/bin/agent",)"
                 R"("MacPath":"/opt/agent","WindowsPath":"C:/agent.exe"}]}})");
  check("unused", R"({"ProcessCheck":{"Processes":[{"LinuxPath":"/usr/bin/unused"}]}})");
  EXPECT_THAT(files(known.login(at)), testing::IsEmpty()) << "no policy asks it";
  sqlite(file, R"(UPDATE policies SET source_posture_checks = '["version","agent"]')");
  const auto all = testing::ElementsAre("/usr/bin/agent", "/opt/agent", "C:/agent.exe");
  EXPECT_THAT(files(known.login(at)), all);
  EXPECT_THAT(files(Agent("posture-fresh").login(at, key_)), all);
  sqlite(file, "UPDATE policies SET enabled = 0");
  EXPECT_THAT(files(known.login(at)), testing::IsEmpty());
  sqlite(file,
         "UPDATE policies SET enabled = 1, source_posture_checks = '[]'; DELETE FROM "
         "posture_checks");
}

TEST_F(MgmtSingle, HealthIsServedOnBothPorts) {
  EXPECT_EQ(http_get(server_->port(), "/healthz").status, 200);
  EXPECT_EQ(http_get(server_->metrics_port(), "/healthz").status, 200);
  EXPECT_EQ(http_get(server_->metrics_port(), "/readyz").status, 200);
  EXPECT_GE(server_->metric("management_grpc_key_request_counter_total"), 0);
}

TEST(MgmtLegacyPort, OldAgentsFindManagementWhereItAlwaysWas) {
  MgmtServer server({.listen = own_address(), .legacy_port = true});
  server.start();
  const std::string old_port = own_address() + ":33073";
  const Agent old_agent("old");
  ASSERT_TRUE(old_agent.login(old_port, server.setup_key()).ok());
  SyncStream stream(old_agent, old_port);
  ASSERT_TRUE(stream.wait_first());
  const Agent agent("new");
  ASSERT_TRUE(agent.login(server.target(), server.setup_key()).ok());
  EXPECT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, agent.key()); }));
}

// Leaves the server stopped: keep it last.
TEST_F(MgmtSingle, TerminationEndsStreamsUnavailableAndFast) {
  const Agent agent("drained");
  ASSERT_TRUE(agent.login(at, key_).ok());
  SyncStream stream(agent, at);
  ASSERT_TRUE(stream.wait_first());
  const auto before = std::chrono::steady_clock::now();
  server_->process().signal(SIGTERM);
  const auto end = stream.wait_end(8s);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->error_code(), StatusCode::UNAVAILABLE) << end->error_message();
  EXPECT_EQ(server_->process().wait(10s), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - before, 10s);
  server_->start();
  SyncStream again(agent, at);
  EXPECT_TRUE(again.wait_first());
}

}  // namespace
}  // namespace nb::test
