// Peers that come back too often, or call themselves something else each time: the instances behind
// a balancer count together (contract/management-grpc.md §8.3).
#include "integration/mgmt_cluster.h"

#include <array>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;

class MgmtFilter : public MgmtCluster {
 protected:
  MgmtFilter() : MgmtCluster({{"NB_BLOCK_SAME_PEERS", "true"}}) {}

  /// A Sync up to its first map. The deployment's key is asked for elsewhere: a balancer that deals
  /// calls out in turn would send all Syncs to one instance.
  grpc::Status sync(const Agent& peer, const std::string& target,
                    const pb::PeerSystemMeta& meta) const {
    const auto server_key = peer.server_key(one.target());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + patient(10s));
    pb::SyncRequest request;
    *request.mutable_meta() = meta;
    const auto service = stub(target);
    const auto reader = service->Sync(&context, peer.seal(request, server_key.value));
    pb::EncryptedMessage message;
    if (!reader->Read(&message)) return reader->Finish();
    context.TryCancel();
    static_cast<void>(reader->Finish());
    return grpc::Status::OK;
  }
  grpc::Status sync(const Agent& peer, const std::string& target) const {
    return sync(peer, target, peer.meta());
  }
  static void expect_refused(const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(status.error_message(), "peer connects too often, please try again later");
  }
};

TEST_F(MgmtFilter, APeerThatComesTooOftenIsRefusedByBoth) {
  const HaProxy balancer({{.name = "one", .port = one.port(), .check_port = one.metrics_port()},
                          {.name = "two", .port = two.port(), .check_port = two.metrics_port()}});
  const auto peer = agent("restless", one);
  const auto calm = agent("calm", two);
  grpc::Status refused;
  int served = 0;
  while (served < 60 && (refused = sync(*peer, balancer.address())).ok()) ++served;
  EXPECT_EQ(served, 31) << "the first beyond thirty begins the ban";
  expect_refused(refused);
  for (const MgmtServer* const at : {&one, &two}) {
    const double here = at->metric("management_grpc_sync_request_counter_total");
    EXPECT_GT(here, 0);
    EXPECT_LT(here, 30) << "it would have counted enough by itself";
    expect_refused(sync(*peer, at->target()));
    expect_refused(peer->login(at->target()).status);
    EXPECT_TRUE(sync(*calm, at->target()).ok());
    EXPECT_TRUE(calm->login(at->target()).ok());
  }
}

TEST_F(MgmtFilter, AFlushedRedisForgetsAndCountsAgain) {
  const auto peer = agent("restless", one);
  const auto until_refused = [&] {
    for (int served = 0; served < 60; ++served)
      if (!sync(*peer, (served % 2 == 0 ? one : two).target()).ok()) return served;
    return 60;
  };
  EXPECT_EQ(until_refused(), 31);
  redis.cli({"FLUSHALL"});
  EXPECT_EQ(until_refused(), 31);
}

TEST_F(MgmtFilter, APeerThatIsSomethingElseEachTimeIsRefusedByBoth) {
  const auto peer = agent("chameleon", one);
  const auto as = [&](int number) {
    pb::PeerSystemMeta meta = peer->meta();
    meta.set_kernelversion(std::to_string(number));
    return meta;
  };
  const std::array<const MgmtServer*, 2> both{&one, &two};
  for (int i = 0; i < 5; ++i) {
    const auto done = sync(*peer, both.at(static_cast<std::size_t>(i % 2))->target(), as(i));
    ASSERT_TRUE(done.ok()) << i << ": " << done.error_message();
  }
  for (const MgmtServer* const at : both) {
    expect_refused(sync(*peer, at->target(), as(5)));
    EXPECT_TRUE(sync(*peer, at->target(), as(4)).ok()) << "what it is now stays allowed";
  }
}

TEST_F(MgmtFilter, CountsAnewOnceRedisHasForgottenEverything) {
  const auto peer = agent("restless", one);
  const std::array<const MgmtServer*, 2> both{&one, &two};
  const auto come = [&](int time) {
    return sync(*peer, both.at(static_cast<std::size_t>(time % 2))->target());
  };
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(come(i).ok()) << i;
  redis.cli({"FLUSHALL"});
  redis.cli({"SCRIPT", "FLUSH"});  // as after a restart
  int served = 0;
  grpc::Status refused;
  while (served < 60 && (refused = come(served)).ok()) ++served;
  EXPECT_EQ(served, 31) << "the first beyond thirty begins the ban";
  expect_refused(refused);
  for (const MgmtServer* const at : both) {
    expect_refused(sync(*peer, at->target()));
    expect_refused(peer->login(at->target()).status);
  }
}

}  // namespace
}  // namespace nb::test
