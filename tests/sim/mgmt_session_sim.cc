// Sessions of peers over several instances whose leases lapse, because a process stands still or
// the database is away, and of peers that are cut off and come back: afterwards everybody is marked
// as what he is, and no stream was ended that could have stayed. Hub, keeper and departures are the
// production ones; database, agents and map threads are simulated. What transactions do to each
// other is the store's race tests' business.
#include "base/backoff.h"
#include "base/task_group.h"
#include "management/app/departures.h"
#include "management/app/instance_keeper.h"
#include "management/app/sync_hub.h"
#include "sim/seeds.h"
#include "sim/session_database.h"
#include "sim/sim_agents.h"
#include "sim/sim_map_workers.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace nb::sim {
namespace {

namespace asio = boost::asio;
namespace app = management::app;
using namespace std::chrono_literals;

constexpr int kPeers = 8;

struct Cluster {
  SessionDatabase database;
  std::vector<SimAgent> agents;
  std::uint64_t last_token = 0;
  std::uint64_t succeeded = 0;  // streams that ended and whose peers were back in time
  std::string alarm{};
  std::chrono::milliseconds ttl{3'000};
  bool notices_late = false;  // a call whose agent has gone elsewhere is not found dead at once
};

class Instance;

class Stream final : public app::SyncSink, public std::enable_shared_from_this<Stream> {
 public:
  Stream(Instance& owner, std::size_t agent_in, std::uint64_t token_in, std::int64_t epoch_in)
      : agent(agent_in), token(token_in), epoch(epoch_in), owner_(owner) {}
  void build(const netmap::MapViewPtr& view, netmap::PeerIndex slot) override;
  void end(app::EndReason reason, const netmap::MapViewPtr& view) override;

  const std::size_t agent;
  const std::uint64_t token;
  const std::int64_t epoch;
  app::StreamNumber number = 0;

 private:
  Instance& owner_;
  bool ended_ = false;
};

class Instance final : public Process {
 public:
  Instance(NodeEnv& env, std::shared_ptr<Cluster> cluster)
      : cluster_(std::move(cluster)),
        env_(env),
        incarnation_(++cluster_->database.last_incarnation),
        store_(env, cluster_->database),
        workers_(env),
        tasks_(env.home),
        hub_(std::make_shared<app::SyncHub>(env.home, store_, &env.bus, workers_, env.clock,
                                            hub_options(env, cluster_->database.flaws), Logger{})),
        keeper_(store_, env.clock, keeper_options(env),
                {.on_lapse = [this] { lapsed(); }, .on_state = {}, .on_reaped = {}}, Logger{}) {
    hub_->start();
    tasks_.spawn(keep());
  }
  asio::awaitable<void> stop() override {
    stopped_ = true;
    for (auto& agent : cluster_->agents)
      if (calls_.contains(agent.stream_token)) agent.stream_token = 0;
    co_await hub_->stop();
    co_await tasks_.stop();
    co_await workers_.stop();
    streams_.clear();
  }

  void connect(std::size_t agent, std::uint64_t token) {
    calls_.emplace(token, true);
    tasks_.spawn(sync(agent, token));
  }
  /// The transport noticed that the agent is gone.
  void drop(std::uint64_t token) {
    const auto found = streams_.find(token);
    if (found == streams_.end()) {
      dropped_.insert(token);
      return;
    }
    const auto stream = found->second;
    streams_.erase(found);
    hub_->close(stream->number);
    tasks_.spawn(depart(stream->agent, stream->epoch));
  }
  void ended(Stream& stream, app::EndReason reason) {
    SimAgent& agent = cluster_->agents[stream.agent];
    // An older call of the agent may have come through later and be the newest session.
    const bool newest = cluster_->database.peers.at(agent.peer).epoch == stream.epoch;
    if (agent.stream_token == stream.token && newest) {
      // Nobody else has it, so nothing but our own doubt ended it.
      cluster_->alarm = fmt::format("{}: its only stream was ended, reason {}", agent.peer,
                                    static_cast<int>(reason));
    }
    if (agent.stream_token == stream.token) agent.stream_token = 0;
    drop(stream.token);
  }
  void built(std::shared_ptr<Stream> stream) { tasks_.spawn(take(std::move(stream))); }
  [[nodiscard]] const std::map<std::uint64_t, std::shared_ptr<Stream>>& streams() const {
    return streams_;
  }

 private:
  static app::SyncHubOptions hub_options(NodeEnv& env, const SessionFlaws& flaws) {
    app::SyncHubOptions out;
    out.self = env.name + "/" + env.incarnation.value();
    if (flaws.sleeps_on)
      out.session_interval = 24h;
    else
      out.instance = env.name;
    return out;
  }
  app::InstanceKeeperOptions keeper_options(NodeEnv& env) const {
    return {.instance = management::InstanceId(env.name),
            .incarnation = incarnation_,
            .ttl = cluster_->ttl,
            .interval = cluster_->ttl / 3,
            .reap_interval = 1s};
  }
  void lapsed() {
    const SessionFlaws& flaws = cluster_->database.flaws;
    if (flaws.reopens_all) {
      const auto open = streams_;
      for (const auto& [token, stream] : open) ended(*stream, app::EndReason::kDraining);
      return;
    }
    if (!flaws.sleeps_on) hub_->reassert();
  }
  asio::awaitable<void> keep() {
    for (;;) {
      const auto held = co_await keeper_.begin();
      if (held) break;
      co_await env_.clock.sleep_for(100ms);
      if (stopped_) co_return;
    }
    co_await keeper_.run();
  }
  asio::awaitable<void> sync(std::size_t agent, std::uint64_t token) {
    const std::uint64_t lapses = hub_->lapses();
    const management::PeerId peer(cluster_->agents[agent].peer);
    const management::InstanceId self(env_.name);
    const management::SessionCall call{peer, self, incarnation_, ++last_call_};
    if (cluster_->database.flaws.welcomes_early)
      departed_.began(peer, std::numeric_limits<std::int64_t>::max());
    const auto session = co_await store_.connect({}, call);
    if (session) departed_.began(peer, session->epoch);
    if (!session) {
      if (cluster_->agents[agent].stream_token == token) cluster_->agents[agent].stream_token = 0;
      if (!cluster_->database.flaws.forgets_doubt) co_await abandon(call);
      co_return;
    }
    const bool left = cluster_->notices_late ? dropped_.contains(token)
                                             : cluster_->agents[agent].stream_token != token;
    if (left || stopped_) {
      hub_->superseded(management::AccountId(kSessionAccount), peer, session->epoch);
      co_await disconnect(agent, session->epoch);
      co_return;
    }
    auto stream = std::make_shared<Stream>(*this, agent, token, session->epoch);
    stream->number = hub_->new_stream();
    streams_.emplace(token, stream);
    hub_->open({.stream = stream->number,
                .account = kSessionAccount,
                .peer = peer.value(),
                .epoch = session->epoch,
                .serial = 1,
                .replaces = session->previous_epoch != 0 && session->previous_instance != self
                                ? session->previous_instance.value()
                                : std::string(),
                .lapses = lapses},
               stream);
  }
  /// As SyncSession::depart(): who is back soon needs no mark.
  asio::awaitable<void> depart(std::size_t agent, std::int64_t epoch) {
    const auto departure = departed_.left(management::PeerId(cluster_->agents[agent].peer), epoch);
    co_await env_.clock.sleep_for(1s + std::chrono::milliseconds(env_.random() % 1'000));
    if (departure->over()) {
      ++cluster_->succeeded;
      co_return;
    }
    co_await disconnect(agent, epoch);
    departed_.forget(departure);
  }
  /// As PeerSessions::stopped().
  asio::awaitable<void> disconnect(std::size_t agent, std::int64_t epoch) {
    Backoff backoff({.first = 200ms, .most = 5s, .factor = 2.0, .jitter = 0.5},
                    static_cast<std::uint64_t>(epoch));
    const management::PeerId peer(cluster_->agents[agent].peer);
    while (!stopped_) {
      if (co_await store_.disconnect({}, peer, epoch)) co_return;
      co_await env_.clock.sleep_for(backoff.next());
    }
  }
  /// As PeerSessions::abandoned().
  asio::awaitable<void> abandon(management::SessionCall call) {
    Backoff backoff({.first = 200ms, .most = 5s, .factor = 2.0, .jitter = 0.5},
                    static_cast<std::uint64_t>(call.number));
    while (!stopped_) {
      if (co_await store_.abandon({}, call)) co_return;
      co_await env_.clock.sleep_for(backoff.next());
    }
  }
  asio::awaitable<void> take(std::shared_ptr<Stream> stream) {
    co_await env_.clock.sleep_for(std::chrono::microseconds(env_.random() % 50'000));
    hub_->ready(stream->number);
  }

  const std::shared_ptr<Cluster> cluster_;
  NodeEnv& env_;
  const std::int64_t incarnation_;
  std::int64_t last_call_ = 0;
  SessionStore store_;
  SimMapWorkers workers_;
  TaskGroup tasks_;
  std::shared_ptr<app::SyncHub> hub_;
  app::InstanceKeeper keeper_;
  app::Departures departed_;
  std::map<std::uint64_t, std::shared_ptr<Stream>> streams_;
  std::map<std::uint64_t, bool> calls_;  // tokens of all Sync calls of this process
  std::set<std::uint64_t> dropped_;      // of calls whose agents left before they had a stream
  bool stopped_ = false;
};

void Stream::build(const netmap::MapViewPtr& /*view*/, netmap::PeerIndex /*slot*/) {
  owner_.built(shared_from_this());
}

void Stream::end(app::EndReason reason, const netmap::MapViewPtr& /*view*/) {
  if (!std::exchange(ended_, true)) owner_.ended(*this, reason);
}

/// Everybody with a stream is marked connected in its session and has one stream; nobody else is.
std::string wrong(World& world, const Cluster& cluster) {
  for (std::size_t i = 0; i < cluster.agents.size(); ++i) {
    const SimAgent& agent = cluster.agents[i];
    const SessionDatabase::Peer& row = cluster.database.peers.at(agent.peer);
    std::vector<std::int64_t> epochs;
    for (const auto& node : world.nodes())
      if (const auto* instance = node->as<Instance>())
        for (const auto& [token, stream] : instance->streams())
          if (stream->agent == i) epochs.push_back(stream->epoch);
    if (agent.gone && (row.connected || !epochs.empty())) return agent.peer + " is gone and shown";
    if (agent.gone) continue;
    if (epochs.size() != 1) return fmt::format("{} has {} streams", agent.peer, epochs.size());
    if (!row.connected || row.started != epochs.front())
      return fmt::format("{}: connected {}, session {} instead of {}", agent.peer, row.connected,
                         row.started, epochs.front());
  }
  return {};
}

/// Connections break, and their agents come back, as soon as agents act again.
void links_flap(World& world, Cluster& cluster) {
  for (SimAgent& agent : cluster.agents) {
    if (agent.stream_token == 0 || !world.chance(0.02)) continue;
    if (auto* const instance = world.nodes()[agent.node]->as<Instance>())
      instance->drop(std::exchange(agent.stream_token, 0));
  }
}

struct Seen {
  std::uint64_t restored = 0;
  std::uint64_t succeeded = 0;
};

/// Runs one seed; what went wrong, or nothing.
std::string run(World& world, const SessionFlaws& flaws, Duration storm, Seen* seen = nullptr) {
  const auto shared = std::make_shared<Cluster>();
  Cluster& cluster = *shared;
  cluster.database.flaws = flaws;
  cluster.ttl = std::chrono::duration_cast<std::chrono::milliseconds>(world.between(2s, 10s));
  for (int i = 0; i < kPeers; ++i) {
    cluster.agents.push_back({.peer = "p" + std::to_string(i)});
    cluster.database.peers["p" + std::to_string(i)];
  }
  const std::size_t instances = 2 + world.pick(2);
  add_instances<Instance>(world, shared, instances);
  world.faults = {.lose = 0.2,
                  .duplicate = 0.1,
                  .delay_max = 300ms,
                  .reorder = true,
                  .pause = 0.02,
                  .pause_max = 40s,
                  .crash = 0.003,
                  .downtime_max = 10s,
                  .cut = 0.02,
                  .cut_max = 10s};
  const Instant calm_at = world.now() + storm;
  while (world.now() < calm_at) {
    links_flap(world, cluster);
    agents_act<Instance>(world, cluster, 0.01, [&world] { return world.chance(0.05); });
    // Mostly there; now and then away for longer than a lease.
    cluster.database.down = cluster.database.down ? !world.chance(0.05) : world.chance(0.005);
    world.run_for(world.between(1ms, 400ms));
    if (!cluster.alarm.empty()) return cluster.alarm;
  }
  cluster.database.down = false;
  world.heal();
  std::string left = "never looked";
  for (int round = 0; round < 120 && !left.empty(); ++round) {
    agents_act<Instance>(world, cluster, 0);
    world.run_for(1s);
    if (!cluster.alarm.empty()) return cluster.alarm;
    left = wrong(world, cluster);
  }
  if (seen != nullptr) {
    seen->restored += cluster.database.restored;
    seen->succeeded += cluster.succeeded;
  }
  return left;
}

/// Openings and messages overtake each other and nothing is lost: when all have arrived nobody has
/// two streams, although the connections of those who went elsewhere are not found dead for long.
std::string overtaken(World& world) {
  const auto shared = std::make_shared<Cluster>();
  Cluster& cluster = *shared;
  cluster.notices_late = true;
  cluster.ttl = 30s;
  for (int i = 0; i < kPeers; ++i) {
    cluster.agents.push_back({.peer = "p" + std::to_string(i)});
    cluster.database.peers["p" + std::to_string(i)];
  }
  add_instances<Instance>(world, shared, 2 + world.pick(2));
  world.faults = {.duplicate = 0.1, .delay_max = 300ms, .reorder = true};
  for (const Instant calm_at = world.now() + 20s; world.now() < calm_at;) {
    agents_act<Instance>(world, cluster, 0.3);
    world.run_for(world.between(1ms, 100ms));
  }
  world.run_for(2s);
  for (std::size_t i = 0; i < cluster.agents.size(); ++i) {
    std::size_t streams = 0;
    for (const auto& node : world.nodes())
      if (const auto* instance = node->as<Instance>())
        for (const auto& [token, stream] : instance->streams()) streams += stream->agent == i;
    if (streams > 1) return fmt::format("{} has {} streams", cluster.agents[i].peer, streams);
  }
  return {};
}

TEST(MgmtSessionSim, OpeningsThatOvertakeEachOtherLeaveOneStream) {
  for_seeds(500, [&](World& world) { EXPECT_EQ(overtaken(world), "") << world.replay(); });
}

TEST(MgmtSessionSim, LapsedLeasesEndNoStreamAndLeaveNobodyWronglyMarked) {
  Seen seen;
  for_seeds(3000, [&](World& world) {
    const std::string what = run(world, {}, 60s, &seen);
    EXPECT_EQ(what, "") << world.replay();
  });
  if (std::getenv("NB_SIM_SEED") == nullptr) {
    EXPECT_GT(seen.restored, 0U);
    EXPECT_GT(seen.succeeded, 0U);
  }
}

/// The agent asks, the database does it and goes away, and the agent never comes back.
constexpr std::uint64_t kAnswerLostForGood = 63;

TEST(MgmtSessionSim, SessionWhoseBeginningNobodyHeardOfEnds) {
  World world(kAnswerLostForGood);
  EXPECT_EQ(run(world, {}, 60s), "") << world.replay();
}

TEST(MgmtSessionSim, HearsASessionWhoseBeginningNobodyHeardOf) {
  World world(kAnswerLostForGood);
  EXPECT_NE(run(world, {.forgets_doubt = true}, 60s), "") << world.replay();
}

TEST(MgmtSessionSim, OneSeedRunsTheSameTwice) {
  std::uint64_t prints[2];
  for (auto& print : prints) {
    World world(7);
    static_cast<void>(run(world, {}, 20s));
    print = world.fingerprint();
  }
  EXPECT_EQ(prints[0], prints[1]);
}

TEST(MgmtSessionSim, HearsAnInstanceThatNeverLooksAfterALapse) {
  EXPECT_GT(
      count_alarms(60, [](World& world) { return !run(world, {.sleeps_on = true}, 60s).empty(); }),
      0U);
}

TEST(MgmtSessionSim, HearsAnInstanceThatReopensEverything) {
  EXPECT_GT(count_alarms(
                60, [](World& world) { return !run(world, {.reopens_all = true}, 60s).empty(); }),
            0U);
}

TEST(MgmtSessionSim, HearsASessionTakenBackFromItsSuccessor) {
  EXPECT_GT(
      count_alarms(
          60, [](World& world) { return !run(world, {.restores_anything = true}, 60s).empty(); }),
      0U);
}

TEST(MgmtSessionSim, HearsAPeerThatCountsAsBackBeforeItIs) {
  EXPECT_GT(
      count_alarms(400,
                   [](World& world) { return !run(world, {.welcomes_early = true}, 60s).empty(); }),
      0U);
}

TEST(MgmtSessionSim, HearsEpochsFromClocksThatDiffer) {
  EXPECT_GT(count_alarms(
                60, [](World& world) { return !run(world, {.trusts_hosts = true}, 60s).empty(); }),
            0U);
}

TEST(MgmtSessionSim, HearsASessionThatOutlivesItsStream) {
  EXPECT_GT(
      count_alarms(
          400, [](World& world) { return !run(world, {.forgets_leaving = true}, 60s).empty(); }),
      0U);
}

}  // namespace
}  // namespace nb::sim
