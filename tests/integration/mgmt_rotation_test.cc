// A new server key while streams run (contract/management-grpc.md §2): the old one stays good.
#include "crypto/field_cipher.h"
#include "integration/mgmt_cluster.h"
#include "management/store/sql_store.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

namespace nb::test {
namespace {

using namespace std::chrono_literals;

class MgmtRotation : public MgmtCluster {
 protected:
  void SetUp() override { restart("100ms"); }  // keys are read again every 1.5 s
  void restart(const std::string& interval) {
    servers.clear();
    for (const char* name : {"mgmt-1", "mgmt-2"}) {
      auto quick = options(name);
      quick.env["NB_MGMT_ANTI_ENTROPY_INTERVAL"] = interval;
      (std::string(name) == "mgmt-1" ? one : two).process().kill();
      servers.push_back(std::make_unique<MgmtServer>(quick));
      servers.back()->start();
    }
  }
  /// As an operator's tool does it.
  void rotate(const std::string& current) {
    SystemClock clock;
    crypto::SystemRandom random;
    auto cipher = crypto::FieldCipher::create({Secret(kDataKey)});
    ASSERT_TRUE(cipher);
    auto dsn = sql::Dsn::postgres(postgres.dsn());
    ASSERT_TRUE(dsn);
    auto database = sql::Database::open(std::move(*dsn), {}, Logger{}, nullptr);
    ASSERT_TRUE(database) << database.error().text;
    const auto store = management::make_sql_store(
        {.database = **database, .cipher = &*cipher, .random = random, .clock = clock});
    const auto fresh = crypto::PrivateKey::generate(random);
    boost::asio::io_context loop;
    auto done = boost::asio::co_spawn(
        loop,
        store->rotate_server_key(clock.now() + 10s, current,
                                 {fresh.public_key().base64(), fresh.base64()}),
        boost::asio::use_future);
    loop.run();
    const auto result = done.get();
    ASSERT_TRUE(result) << result.error().text;
  }
  std::vector<std::unique_ptr<MgmtServer>> servers;
};

TEST_F(MgmtRotation, StreamsGoOnAndRequestsUnderTheOldKeyAreOpened) {
  const std::string first = servers[0]->target();
  const std::string second = servers[1]->target();
  const Agent a("a");
  ASSERT_TRUE(a.login(first, key).ok());
  const std::string old_key = a.server_key(first).value;
  EXPECT_EQ(a.server_key(second).value, old_key);
  SyncStream stream(a, second);
  ASSERT_TRUE(stream.wait_first());
  rotate(old_key);
  ASSERT_TRUE(eventually(
      [&] {
        return a.server_key(first).value != old_key &&
               a.server_key(first).value == a.server_key(second).value;
      },
      10s));
  // An agent that fetched the key before.
  pb::LoginRequest request;
  *request.mutable_meta() = a.meta();
  grpc::ClientContext context;
  pb::EncryptedMessage answer;
  const auto status = stub(first)->Login(&context, a.seal(request, old_key), &answer);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(a.open<pb::LoginResponse>(answer, old_key));
  // Running streams stay with the key they were opened with.
  const Agent b("b");
  ASSERT_TRUE(b.login(second, key).ok());
  EXPECT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, b.key()); }, 5s));
  EXPECT_FALSE(stream.wait_end(0ms));
}

TEST_F(MgmtRotation, AnInstanceThatStartsMeanwhileTellsTheKeyThatAllTake) {
  const std::string interval = "300ms";  // keys are read again every 4.5 s
  restart(interval);
  const Agent a("a");
  ASSERT_TRUE(a.login(servers[0]->target(), key).ok());
  const std::string old_key = a.server_key(servers[0]->target()).value;
  Finished rotated;
  ASSERT_TRUE(eventually(
      [&] {  // the servers made their key a moment ago
        rotated = servers[0]->verb({"server-key", "rotate"});
        return rotated.status == 0;
      },
      60s))
      << rotated.output;
  auto late = options("mgmt-3");
  late.env["NB_MGMT_ANTI_ENTROPY_INTERVAL"] = interval;
  servers.push_back(std::make_unique<MgmtServer>(late));
  servers.back()->start();
  const std::string third = servers.back()->target();
  EXPECT_EQ(a.server_key(third).value, old_key);
  // Whatever an agent is told there opens everywhere, until all tell the new one.
  std::string told;
  ASSERT_TRUE(eventually(
      [&] {
        told = a.server_key(third).value;
        for (const auto& server : servers) {
          pb::LoginRequest request;
          *request.mutable_meta() = a.meta();
          grpc::ClientContext context;
          pb::EncryptedMessage answer;
          const auto status =
              stub(server->target())->Login(&context, a.seal(request, told), &answer);
          EXPECT_TRUE(status.ok()) << status.error_message();
        }
        return told != old_key || HasFailure();
      },
      60s));
  EXPECT_NE(rotated.output.find(told), std::string::npos) << rotated.output;
  // Not again before every instance has had its time.
  ASSERT_TRUE(eventually(
      [&] {
        rotated = servers[0]->verb({"server-key", "rotate"});
        return rotated.status == 0;
      },
      60s));
  const Finished again = servers[0]->verb({"server-key", "rotate"});
  EXPECT_EQ(again.status, 1);
  EXPECT_NE(again.output.find("the server key is of"), std::string::npos) << again.output;
}

/// Row 1 of the checklist: behind the balancer no agent notices.
TEST_F(MgmtRotation, BehindTheBalancerOldAndNewKeyAreGoodOnBothInstances) {
  HaProxy balancer(
      {{.name = "one", .port = servers[0]->port(), .check_port = servers[0]->metrics_port()},
       {.name = "two", .port = servers[1]->port(), .check_port = servers[1]->metrics_port()}});
  const std::string target = balancer.address();
  const Agent a("a");
  const Agent b("b");
  std::vector<std::unique_ptr<SyncStream>> streams;
  for (const Agent* agent : {&a, &b}) {
    ASSERT_TRUE(agent->login(target, key).ok());
    ASSERT_TRUE(agent->server_key(target).ok());  // an odd number of calls: streams take turns
    streams.push_back(std::make_unique<SyncStream>(*agent, target));
    ASSERT_TRUE(streams.back()->wait_first());
  }
  ASSERT_EQ(postgres.psql("select count(distinct instance_id) from nb_peer_sessions"), "2");
  const std::string old_key = a.server_key(target).value;
  rotate(old_key);
  // While the instances do not agree yet, whichever key an agent fetched is good everywhere.
  int in_a_row = 0;
  ASSERT_TRUE(eventually(
      [&] {
        const auto login = a.login(target);
        EXPECT_TRUE(login.ok()) << login.status.error_message();
        in_a_row = a.server_key(target).value == old_key ? 0 : in_a_row + 1;
        return in_a_row >= 6;
      },
      15s));
  for (int i = 0; i < 6; ++i) {
    pb::LoginRequest request;
    *request.mutable_meta() = a.meta();
    grpc::ClientContext context;
    pb::EncryptedMessage answer;
    const auto status = stub(target)->Login(&context, a.seal(request, old_key), &answer);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(a.open<pb::LoginResponse>(answer, old_key));
  }
  const Agent c("c");
  ASSERT_TRUE(c.login(target, key).ok());
  for (const auto& stream : streams) {
    EXPECT_TRUE(stream->wait_for([&](const auto& m) { return shows_peer(m, c.key()); }, 5s));
    EXPECT_FALSE(stream->wait_end(0ms));
  }
}

}  // namespace
}  // namespace nb::test
