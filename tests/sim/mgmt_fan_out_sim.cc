// Updates of an account over several instances, with everything that goes wrong in between: the
// serial never goes back at a peer, whichever instance serves it, and after healing every peer has
// the newest state. The hub is the production one; database, agents and map threads are simulated.
#include "base/task_group.h"
#include "management/app/sync_hub.h"
#include "sim/seeds.h"
#include "sim/sim_agents.h"
#include "sim/sim_map_workers.h"
#include "sim/sim_store.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace nb::sim {
namespace {

namespace asio = boost::asio;
namespace app = management::app;
using namespace std::chrono_literals;

constexpr const char* kAccount = "acc";
constexpr int kPeers = 6;

/// What a planted flaw changes; the alarms below must hear each of them.
struct Flaws {
  bool never_polls = false;         // trusts the bus
  bool any_first_map = false;       // opens a stream without the serial read before
  bool forgets_announcing = false;  // tells others nothing, and polls too rarely
};

/// The one database: committed states of one account. A peer's content is the serial of the last
/// change that showed in its map.
struct Database {
  app::Serial serial = 1;
  std::map<std::string, app::Serial> content;
  std::map<std::string, std::int64_t> epochs;
  std::map<std::string, std::string> holders;  // instances of the newest sessions
  bool down = false;

  app::Serial change(const std::vector<std::string>& affected) {
    ++serial;
    for (const std::string& peer : affected) content[peer] = serial;
    return serial;
  }
};

/// Its log of changes does not always reach back far enough.
class LoggingStore final : public SimStore {
 public:
  LoggingStore(NodeEnv& env, Database& database)
      : SimStore(env, kAccount, {.delay_max = 20ms}), database_(database) {}

  management::Task<std::optional<management::SnapshotDelta>> changes(Instant, management::AccountId,
                                                                     std::uint64_t since) override {
    if (!co_await way()) co_return away();
    std::optional<management::SnapshotDelta> out;
    if (env().random() % 4 != 0) {
      out.emplace();
      out->account = account_now();
      for (const auto& [id, content] : database_.content)
        if (content > since)
          out->peers.upserts.push_back(
              std::make_shared<const management::Peer>(peer_of(id, content)));
    }
    if (!co_await way()) co_return away();
    co_return out;
  }

 private:
  /// Its own name is what a peer's own map shows, and nobody else's.
  static management::Peer peer_of(const std::string& id, app::Serial content) {
    return peer(id, std::to_string(content));
  }
  [[nodiscard]] bool down() const override { return database_.down; }
  [[nodiscard]] std::uint64_t serial() const override { return database_.serial; }
  [[nodiscard]] std::vector<management::Peer> peers() const override {
    std::vector<management::Peer> out;
    for (const auto& [id, content] : database_.content) out.push_back(peer_of(id, content));
    return out;
  }
  Database& database_;
};

class Instance;

/// One peer's agent. It keeps its highest serial for life, as official agents do.
struct Agent : SimAgent {
  app::Serial serial = 0;
  app::Serial content = 0;
  std::uint64_t maps = 0;
  std::string alarm{};

  void receive(std::uint64_t token, app::Serial new_serial, app::Serial new_content) {
    if (token != stream_token) return;  // bytes of a connection it has left
    if (new_serial < serial)
      alarm = fmt::format("{}: serial fell from {} to {}", peer, serial, new_serial);
    serial = new_serial;
    content = new_content;
    ++maps;
  }
};

struct Cluster {
  Database database;
  std::vector<Agent> agents;
  std::uint64_t last_token = 0;
  Flaws flaws;
  Duration slow_max = 50ms;
};

/// A stream's server side: hands each map to the agent after a while, in order.
class Stream final : public app::SyncSink, public std::enable_shared_from_this<Stream> {
 public:
  Stream(Instance& owner, Cluster& cluster, std::size_t agent, std::uint64_t token)
      : owner_(owner), cluster_(cluster), agent_(agent), token_(token) {}
  void build(const netmap::MapViewPtr& view, netmap::PeerIndex slot) override;
  void end(app::EndReason reason, const netmap::MapViewPtr& view) override;
  [[nodiscard]] std::uint64_t token() const { return token_; }
  [[nodiscard]] std::size_t agent() const { return agent_; }
  app::StreamNumber number = 0;
  bool ended = false;

 private:
  Instance& owner_;
  Cluster& cluster_;
  std::size_t agent_;
  std::uint64_t token_;
  bool building_ = false;
};

class Instance final : public Process {
 public:
  Instance(NodeEnv& env, std::shared_ptr<Cluster> cluster)
      : env_(env),
        shared_(std::move(cluster)),
        cluster_(*shared_),
        store_(env, cluster_.database),
        workers_(env),
        tasks_(env.home),
        hub_(std::make_shared<app::SyncHub>(env.home, store_, &env.bus, workers_, env.clock,
                                            options(env, cluster_.flaws), Logger{})) {
    hub_->start();
  }
  asio::awaitable<void> stop() override {
    // Whoever is connected here, or about to be, is cut off.
    stopped_ = true;
    for (auto& agent : cluster_.agents)
      if (calls_.contains(agent.stream_token)) agent.stream_token = 0;
    co_await hub_->stop();
    co_await tasks_.stop();
    co_await workers_.stop();
    streams_.clear();
  }

  /// A Sync call: read, mark connected, open; the agent may be gone before that is done.
  void connect(std::size_t agent, std::uint64_t token) {
    calls_.insert(token);
    tasks_.spawn(sync(agent, token));
  }

  /// A write through this instance.
  void change(std::vector<std::string> affected) { tasks_.spawn(write(std::move(affected))); }

  /// The transport noticed that the agent is gone.
  void drop(std::uint64_t token) {
    const auto found = streams_.find(token);
    if (found == streams_.end()) return;
    hub_->close(found->second->number);
    streams_.erase(found);
  }

  void deliver(std::shared_ptr<Stream> stream, app::Serial serial, app::Serial content) {
    tasks_.spawn(deliver_task(std::move(stream), serial, content));
  }
  [[nodiscard]] std::size_t streams_of(std::size_t agent) const {
    std::size_t count = 0;
    for (const auto& [token, stream] : streams_) count += stream->agent() == agent ? 1 : 0;
    return count;
  }
  void ended(Stream& stream) {
    auto& agent = cluster_.agents[stream.agent()];
    if (agent.stream_token == stream.token()) agent.stream_token = 0;
    drop(stream.token());
  }

 private:
  static app::SyncHubOptions options(NodeEnv& env, const Flaws& flaws) {
    app::SyncHubOptions out;
    out.self = env.name + "/" + env.incarnation.value();
    out.instance = env.name;
    out.channel_prefix = flaws.forgets_announcing ? "ch-" + env.name + ":" : "nb:mgmt:account:";
    if (flaws.never_polls || flaws.forgets_announcing) out.poll_interval = 24h;
    out.fan_out.builds_max = 1 + env.random() % 4;
    out.fan_out.window = std::chrono::milliseconds(1 + env.random() % 1500);
    return out;
  }

  asio::awaitable<void> sync(std::size_t agent, std::uint64_t token) {
    if (!co_await store_.way()) {
      refuse(agent, token);
      co_return;
    }
    const app::Serial serial = cluster_.database.serial;
    if (!co_await store_.way()) {
      refuse(agent, token);
      co_return;
    }
    const std::string peer = cluster_.agents[agent].peer;
    const std::int64_t epoch = ++cluster_.database.epochs[peer];
    std::string before = std::exchange(cluster_.database.holders[peer], env_.name);
    if (!co_await store_.way() || cluster_.agents[agent].stream_token != token || stopped_) {
      refuse(agent, token);
      co_return;
    }
    auto stream = std::make_shared<Stream>(*this, cluster_, agent, token);
    stream->number = hub_->new_stream();
    streams_.emplace(token, stream);
    hub_->open({.stream = stream->number,
                .account = kAccount,
                .peer = peer,
                .epoch = epoch,
                .serial = cluster_.flaws.any_first_map ? 0 : serial,
                .replaces = before == env_.name ? std::string() : std::move(before)},
               stream);
  }

  void refuse(std::size_t agent, std::uint64_t token) {
    if (cluster_.agents[agent].stream_token == token) cluster_.agents[agent].stream_token = 0;
  }

  asio::awaitable<void> write(std::vector<std::string> affected) {
    if (!co_await store_.way()) co_return;
    const app::Serial serial = cluster_.database.change(affected);
    co_await env_.clock.sleep_for(std::chrono::microseconds(env_.random() % 5'000));
    hub_->committed(management::AccountId(kAccount), serial);
  }

  asio::awaitable<void> deliver_task(std::shared_ptr<Stream> stream, app::Serial serial,
                                     app::Serial content) {
    const auto limit = static_cast<std::uint64_t>(cluster_.slow_max.count());
    co_await env_.clock.sleep_for(std::chrono::nanoseconds(env_.random() % limit));
    cluster_.agents[stream->agent()].receive(stream->token(), serial, content);
    hub_->ready(stream->number);
  }

  NodeEnv& env_;
  const std::shared_ptr<Cluster> shared_;  // the world outlives the test's part of it
  Cluster& cluster_;
  LoggingStore store_;
  SimMapWorkers workers_;
  TaskGroup tasks_;
  std::shared_ptr<app::SyncHub> hub_;
  std::map<std::uint64_t, std::shared_ptr<Stream>> streams_;
  std::set<std::uint64_t> calls_;  // tokens of all Sync calls of this process
  bool stopped_ = false;
};

void Stream::build(const netmap::MapViewPtr& view, netmap::PeerIndex slot) {
  if (std::exchange(building_, true))
    cluster_.agents[agent_].alarm = "two maps of one stream at the same time";
  const auto content = std::stoull(view->peer(slot)->peer->name);
  owner_.deliver(shared_from_this(), view->serial(), content);
  building_ = false;
}

void Stream::end(app::EndReason /*reason*/, const netmap::MapViewPtr& /*view*/) {
  if (std::exchange(ended, true)) return;
  owner_.ended(*this);
}

void boot(World& world, const std::shared_ptr<Cluster>& shared, int instances) {
  Cluster& cluster = *shared;
  for (int i = 0; i < kPeers; ++i) {
    cluster.agents.emplace_back().peer = "p" + std::to_string(i);
    cluster.database.content["p" + std::to_string(i)] = 1;
  }
  add_instances<Instance>(world, shared, static_cast<std::size_t>(instances));
}

void writes_happen(World& world, Cluster& cluster) {
  const std::size_t at = world.pick(world.nodes().size());
  auto* const instance = world.nodes()[at]->as<Instance>();
  if (instance == nullptr || world.nodes()[at]->paused()) return;
  std::vector<std::string> affected;
  for (const Agent& agent : cluster.agents)
    if (world.chance(0.3)) affected.push_back(agent.peer);
  instance->change(std::move(affected));
}

std::string first_alarm(const Cluster& cluster) {
  for (const Agent& agent : cluster.agents)
    if (!agent.alarm.empty()) return agent.alarm;
  return {};
}

/// Everybody connected once, with the newest content.
std::string stale(World& world, const Cluster& cluster) {
  for (std::size_t i = 0; i < cluster.agents.size(); ++i) {
    const Agent& agent = cluster.agents[i];
    if (agent.stream_token == 0) return agent.peer + " has no stream";
    if (agent.content != cluster.database.content.at(agent.peer))
      return fmt::format("{} shows {} instead of {}", agent.peer, agent.content,
                         cluster.database.content.at(agent.peer));
    std::size_t streams = 0;
    for (const auto& node : world.nodes())
      if (const auto* instance = node->as<Instance>()) streams += instance->streams_of(i);
    if (streams != 1) return fmt::format("{} has {} streams", agent.peer, streams);
  }
  return {};
}

Faults everything() {
  return {.drop = 0.05,
          .lose = 0.1,
          .duplicate = 0.1,
          .delay_max = 300ms,
          .reorder = true,
          .pause = 0.02,
          .pause_max = 20s,
          .crash = 0.01,
          .downtime_max = 10s,
          .cut = 0.02,
          .cut_max = 10s,
          .store_down = 0.01,
          .store_down_max = 10s,
          .store_forgets = true};
}

/// Runs one seed; what went wrong, or nothing.
std::string run(World& world, const Flaws& flaws, Duration storm) {
  const auto shared = std::make_shared<Cluster>();
  Cluster& cluster = *shared;
  cluster.flaws = flaws;
  cluster.slow_max = world.between(1ms, 3s);
  boot(world, shared, 2 + static_cast<int>(world.pick(3)));
  world.faults = everything();
  const Instant calm_at = world.now() + storm;
  while (world.now() < calm_at) {
    agents_act<Instance>(world, cluster, 0.02);
    if (world.chance(0.5)) writes_happen(world, cluster);
    cluster.database.down = world.chance(0.02);
    world.run_for(world.between(1ms, 400ms));
    if (auto alarm = first_alarm(cluster); !alarm.empty()) return alarm;
  }
  cluster.database.down = false;
  world.heal();
  // Agents without a stream come back; then nothing changes any more.
  std::string left = "never looked";
  for (int round = 0; round < 60 && !left.empty(); ++round) {
    agents_act<Instance>(world, cluster, 0);
    world.run_for(1s);
    if (auto alarm = first_alarm(cluster); !alarm.empty()) return alarm;
    left = stale(world, cluster);
  }
  return left;
}

TEST(MgmtFanOutSim, SerialNeverFallsAndEveryPeerEndsOnTheNewestState) {
  for_seeds(2000, [](World& world) {
    const std::string wrong = run(world, {}, 20s);
    EXPECT_EQ(wrong, "") << world.replay();
  });
}

TEST(MgmtFanOutSim, WhatNoSerialTellsGoesOutInTheEnd) {  // edits by hand, upstream servers
  for_seeds(100, [](World& world) {
    const auto shared = std::make_shared<Cluster>();
    Cluster& cluster = *shared;
    boot(world, shared, 2);
    std::string left = "never looked";
    for (int round = 0; round < 60 && !left.empty(); ++round) {
      agents_act<Instance>(world, cluster, 0);
      world.run_for(1s);
      left = stale(world, cluster);
    }
    ASSERT_EQ(left, "") << world.replay();
    const std::uint64_t untouched = cluster.agents[0].maps;
    cluster.database.content["p3"] = 777;  // and the serial stays
    world.run_for(1min);
    EXPECT_NE(stale(world, cluster), "") << "the change is told by something else";
    world.run_for(20min);
    EXPECT_EQ(stale(world, cluster), "") << world.replay();
    EXPECT_EQ(cluster.agents[0].maps, untouched) << "the others are left alone";
    EXPECT_EQ(first_alarm(cluster), "") << world.replay();
  });
}

TEST(MgmtFanOutSim, OneSeedRunsTheSameTwice) {
  std::uint64_t prints[2];
  for (auto& print : prints) {
    World world(7);
    static_cast<void>(run(world, {}, 10s));
    print = world.fingerprint();
  }
  EXPECT_EQ(prints[0], prints[1]);
}

TEST(MgmtFanOutSim, HearsAnInstanceThatNeverPolls) {
  EXPECT_GT(count_alarms(
                60, [](World& world) { return !run(world, {.never_polls = true}, 20s).empty(); }),
            0U);
}

TEST(MgmtFanOutSim, HearsAFirstMapThatIsTooOld) {
  EXPECT_GT(count_alarms(
                60, [](World& world) { return !run(world, {.any_first_map = true}, 20s).empty(); }),
            0U);
}

TEST(MgmtFanOutSim, HearsAnInstanceThatTellsOthersNothing) {
  EXPECT_GT(
      count_alarms(
          20, [](World& world) { return !run(world, {.forgets_announcing = true}, 20s).empty(); }),
      0U);
}

}  // namespace
}  // namespace nb::sim
