// Redis loses everything, again and again, while agents join and come back: registry, locks and
// messages are made anew, and nobody is lost, doubled or marked wrongly
// (contract/management-grpc.md §11).
#include "integration/mgmt_cluster.h"

#include <atomic>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;

constexpr int kSteady = 12;
constexpr int kWanderers = 6;
constexpr int kFlushes = 8;

class MgmtFlush : public MgmtCluster {
 protected:
  /// Until the server takes it; only an outage may be told before.
  bool joins(const Agent& peer, const std::string& target) const {
    return eventually(
        [&] {
          const auto answer = peer.login(target, key);
          EXPECT_TRUE(answer.ok() || answer.status.error_code() == StatusCode::UNAVAILABLE ||
                      answer.status.error_code() == StatusCode::DEADLINE_EXCEEDED)
              << answer.status.error_message();
          return answer.ok();
        },
        20s);
  }
  void forget_everything(bool cut) const {
    if (cut)
      for (const char* const type : {"normal", "pubsub"})
        redis.cli({"CLIENT", "KILL", "TYPE", type});
    redis.cli({"FLUSHALL"});
  }
  /// `peer instance` of each, as the registry has them, and as the database does.
  [[nodiscard]] std::set<std::string> registry() const {
    std::istringstream lines(redis.cli({"HGETALL", "nb:mgmt:peers"}));
    std::set<std::string> out;
    for (std::string peer, at; std::getline(lines, peer) && std::getline(lines, at);)
      out.insert(peer + " " + at);
    return out;
  }
  [[nodiscard]] std::set<std::string> sessions() const {
    std::istringstream lines(
        postgres.psql("select p.key || ' ' || s.instance_id from peers p join nb_peer_sessions s "
                      "on s.peer_id = p.id where p.peer_status_connected"));
    std::set<std::string> out;
    for (std::string line; std::getline(lines, line);) out.insert(line);
    return out;
  }
  [[nodiscard]] std::string registered_at(const Agent& peer) const {
    return redis.cli({"HGET", "nb:mgmt:peers", peer.key()});
  }
};

TEST_F(MgmtFlush, UnderLoadLosesNobodyAndDoublesNothing) {
  const HaProxy balancer({{.name = "one", .port = one.port(), .check_port = one.metrics_port()},
                          {.name = "two", .port = two.port(), .check_port = two.metrics_port()}});
  std::vector<std::unique_ptr<Agent>> agents;
  std::vector<std::unique_ptr<SyncStream>> streams;
  for (int i = 0; i < kSteady + kWanderers; ++i) {
    MgmtServer& at = i % 2 == 0 ? one : two;
    agents.push_back(agent("agent-" + std::to_string(i), at));
    streams.push_back(std::make_unique<SyncStream>(*agents.back(), at.target()));
    ASSERT_TRUE(streams.back()->wait_first());
  }
  const auto user = agent("user", one);
  postgres.psql(
      "update accounts set settings_peer_login_expiration_enabled = true, "
      "settings_peer_login_expiration = 3600000000000; update peers set user_id = (select "
      "created_by from accounts), login_expiration_enabled = true, last_login = now() where key='" +
      user->key() + "'");

  const SyncStream users(*user, one.target());
  ASSERT_TRUE(users.wait_first());

  std::atomic<bool> stop{false};
  std::atomic<int> returns{0};
  std::vector<std::unique_ptr<Agent>> late;
  std::atomic<int> joined{0};
  std::thread wandering([&] {
    for (std::size_t i = 0; !stop; ++i) {
      const std::size_t at = kSteady + i % kWanderers;
      streams[at] = std::make_unique<SyncStream>(*agents[at], balancer.address());
      EXPECT_TRUE(streams[at]->wait_first(20s)) << agents[at]->hostname();
      ++returns;
    }
  });
  std::thread joining([&] {
    while (!stop) {
      late.push_back(std::make_unique<Agent>("late-" + std::to_string(joined)));
      EXPECT_TRUE(joins(*late.back(), balancer.address()));
      ++joined;
    }
  });
  for (int flush = 0; flush < kFlushes; ++flush) {
    const int joined_before = joined;
    const int returns_before = returns;
    forget_everything(flush % 3 == 2);
    if (flush == kFlushes / 2)
      postgres.psql("update peers set last_login = now() - interval '2 hours' where key='" +
                    user->key() + "'");
    EXPECT_TRUE(eventually(
        [&] { return joined >= joined_before + 2 && returns >= returns_before + 2; }, 30s))
        << "after flush " << flush;
  }
  stop = true;
  wandering.join();
  joining.join();
  EXPECT_TRUE(users.wait_end(20s)) << "the login has expired";

  for (std::size_t i = 0; i < streams.size(); ++i) {
    for (const auto& peer : late)
      EXPECT_TRUE(
          streams[i]->wait_for([&](const auto& m) { return shows_peer(m, peer->key()); }, 10s))
          << agents[i]->hostname() << " does not know " << peer->hostname();
    EXPECT_TRUE(eventually([&] { return connected(*agents[i]) == "t"; }, 10s))
        << agents[i]->hostname();
    EXPECT_FALSE(streams[i]->wait_end(0ms)) << agents[i]->hostname();
    expect_rising(*streams[i]);
    EXPECT_TRUE(eventually([&] { return !registered_at(*agents[i]).empty(); }, 15s))
        << agents[i]->hostname();
  }
  for (int i = 0; i < kSteady; ++i)
    EXPECT_EQ(registered_at(*agents[static_cast<std::size_t>(i)]),
              i % 2 == 0 ? "mgmt-1" : "mgmt-2");
  EXPECT_TRUE(eventually(
      [&] {
        return redis.cli({"HLEN", "nb:mgmt:peers"}) == std::to_string(agents.size());
      },
      15s))
      << redis.cli({"HLEN", "nb:mgmt:peers"});
  EXPECT_TRUE(eventually([&] { return registry() == sessions(); }, 15s));
  EXPECT_EQ(postgres.psql("select count(*) from peers"),
            std::to_string(agents.size() + late.size() + 1));
  EXPECT_EQ(postgres.psql("select count(*) from peers where peer_status_connected"),
            std::to_string(agents.size()));
  // What is done by whoever holds the lock was done once, though the lock was lost in between.
  const auto expired = [&] {
    return one.metric("netbird_management_logins_expired_total") +
           two.metric("netbird_management_logins_expired_total");
  };
  EXPECT_EQ(expired(), 1);
  EXPECT_EQ(user->login(two.target()).status.error_message(),
            "peer login has expired, please log in once more");
}

}  // namespace
}  // namespace nb::test
