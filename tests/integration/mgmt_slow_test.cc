// Agents that do not read: what the server keeps for each is one map at most, however many changes
// pass meanwhile (contract/network-map.md §3.5).
#include "integration/mgmt_cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace nb::test {
namespace {

using namespace std::chrono_literals;

constexpr int kAgents = 24;
constexpr int kPorts =
    200;  // each is a rule of its own at each of the others: maps of some 400 KiB

/// A Sync stream whose agent takes no more than a window of it until it is told to read.
class UnreadStream {
 public:
  UnreadStream(const Agent& agent, const std::string& target) : agent_(agent) {
    grpc::ChannelArguments arguments;
    arguments.SetInt("grpc.http2.bdp_probe", 0);  // the window stays as it is
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 65'535);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = pb::ManagementService::NewStub(
        grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments));
    const auto server = agent.server_key(target);
    EXPECT_TRUE(server.ok());
    key_ = server.value;
    pb::SyncRequest request;
    *request.mutable_meta() = agent.meta();
    context_.set_deadline(std::chrono::system_clock::now() + patient(200s));
    reader_ = stub_->Sync(&context_, agent.seal(request, key_));
    reader_->WaitForInitialMetadata();
  }
  ~UnreadStream() {
    context_.TryCancel();
    reader_->Finish();
  }
  UnreadStream(const UnreadStream&) = delete;
  UnreadStream& operator=(const UnreadStream&) = delete;

  /// The serials of the maps that come until one is of `newest`.
  std::vector<std::uint64_t> read_until(std::uint64_t newest) {
    std::vector<std::uint64_t> out;
    pb::EncryptedMessage message;
    while ((out.empty() || out.back() < newest) && reader_->Read(&message)) {
      const auto map = agent_.open<pb::SyncResponse>(message, key_);
      EXPECT_TRUE(map);
      if (map && map->has_networkmap()) out.push_back(map->networkmap().serial());
    }
    return out;
  }

 private:
  const Agent& agent_;
  std::string key_;
  grpc::ClientContext context_;
  std::unique_ptr<pb::ManagementService::Stub> stub_;
  std::unique_ptr<grpc::ClientReader<pb::EncryptedMessage>> reader_;
};

class MgmtSlow : public MgmtCluster {
 protected:
  /// Everybody's rules change, and with them every map; until the one who reads has it.
  std::uint64_t change(const SyncStream& reads) {
    const int first = 20'000 + 100 * ++changes_;  // no map as one before: those are not sent
    std::string ports;
    for (int port = 0; port < kPorts; ++port)
      ports += fmt::format(R"({}"{}")", port > 0 ? "," : "", first + port);
    postgres.psql("update policy_rules set protocol = 'tcp', ports = '[" + ports + "]'");
    postgres.psql("update accounts set network_serial = network_serial + 1");
    const auto serial = std::stoull(postgres.psql("select network_serial from accounts"));
    EXPECT_TRUE(reads.wait_for(
        [&](const auto& m) { return m.has_networkmap() && m.networkmap().serial() >= serial; },
        20s));
    return serial;
  }
  std::int64_t resident_bytes() {
    std::ifstream rollup("/proc/" + std::to_string(one.process().pid()) + "/smaps_rollup");
    for (std::string word; rollup >> word;) {
      std::int64_t kib = 0;
      if (word == "Rss:" && rollup >> kib) return 1024 * kib;
    }
    ADD_FAILURE() << "no Rss";
    return 0;
  }

 private:
  int changes_ = 0;
};

TEST_F(MgmtSlow, AgentsThatDoNotReadCostOneMapEachAndThenGetTheNewest) {
  const auto reader = agent("reader", one);
  std::vector<std::unique_ptr<Agent>> agents;
  for (int i = 0; i < kAgents; ++i) agents.push_back(agent("slow-" + std::to_string(i), one));
  const SyncStream reads(*reader, one.target());
  ASSERT_TRUE(reads.wait_first());
  change(reads);
  const auto map_bytes = static_cast<std::int64_t>(reads.last()->ByteSizeLong());
  ASSERT_GT(map_bytes, 262'144) << "a map must not fit into a window";
  std::vector<std::unique_ptr<UnreadStream>> slow;
  for (const auto& each : agents)
    slow.push_back(std::make_unique<UnreadStream>(*each, one.target()));
  for (int i = 0; i < 4; ++i) change(reads);
  const std::int64_t before = resident_bytes();
  std::uint64_t newest = 0;
  for (int i = 0; i < 15; ++i) newest = change(reads);
  EXPECT_LT(resident_bytes() - before, kAgents * map_bytes / 2)
      << "fifteen changes, " << map_bytes << " bytes a map";
  for (const auto& stream : slow) {
    const auto serials = stream->read_until(newest);
    ASSERT_FALSE(serials.empty());
    EXPECT_EQ(serials.back(), newest);
    EXPECT_LE(serials.size(), 3U) << "the one under way, one behind it, the newest";
    EXPECT_TRUE(std::ranges::is_sorted(serials));
  }
  expect_rising(reads);
}

}  // namespace
}  // namespace nb::test
