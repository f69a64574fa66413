// More instances than the two of the other tests: nothing counts on there being one other.
#include "integration/mgmt_cluster.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace nb::test {
namespace {

using namespace std::chrono_literals;

class MgmtMany : public MgmtCluster {
 protected:
  MgmtMany() {
    for (int i = 3; i <= 5; ++i) {
      more.push_back(std::make_unique<MgmtServer>(options("mgmt-" + std::to_string(i))));
      more.back()->start_without_waiting();
      servers.push_back(more.back().get());
    }
  }
  std::vector<std::unique_ptr<MgmtServer>> more;
  std::vector<MgmtServer*> servers{&one, &two};
};

TEST_F(MgmtMany, FiveServeOneAccountAndFourGoOn) {
  for (const MgmtServer* const at : servers)
    ASSERT_TRUE(eventually([&] { return at->ready(); }, 20s));
  struct Client {
    std::unique_ptr<Agent> agent;
    std::unique_ptr<SyncStream> stream;
  };
  std::vector<Client> clients;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    auto joined = agent("at-" + std::to_string(i + 1), *servers[i]);
    auto stream = std::make_unique<SyncStream>(*joined, servers[i]->target());
    ASSERT_TRUE(stream->wait_first());
    clients.push_back({std::move(joined), std::move(stream)});
  }
  const auto reaches = [&](const Agent& changed, const Client& client) {
    return client.stream->wait_for([&](const auto& map) { return shows_peer(map, changed.key()); },
                                   10s);
  };
  const auto first = agent("first", *servers[4]);
  for (const Client& client : clients) EXPECT_TRUE(reaches(*first, client));

  constexpr std::size_t kDead = 2;
  servers[kDead]->process().kill();
  EXPECT_TRUE(eventually([&] { return connected(*clients[kDead].agent) == "f"; }, 20s));
  const auto second = agent("second", one);
  for (std::size_t i = 0; i < clients.size(); ++i) {
    if (i == kDead) continue;
    EXPECT_TRUE(reaches(*second, clients[i])) << "at " << i + 1;
    EXPECT_EQ(connected(*clients[i].agent), "t") << "at " << i + 1;
    expect_rising(*clients[i].stream);
  }
  const SyncStream back(*clients[kDead].agent, servers[4]->target());
  ASSERT_TRUE(back.wait_first());
  EXPECT_TRUE(shows_peer(*back.last(), second->key()));
  EXPECT_EQ(connected(*clients[kDead].agent), "t");
}

}  // namespace
}  // namespace nb::test
