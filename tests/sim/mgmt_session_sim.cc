// Sessions of peers over several instances whose leases lapse, because a process stands still or
// the database is away: afterwards everybody is marked as what he is, and no stream was ended that
// could have stayed. Hub and keeper are the production ones; database, agents and map threads are
// simulated. What transactions do to each other is the store's race tests' business.
#include "base/backoff.h"
#include "base/task_group.h"
#include "management/app/instance_keeper.h"
#include "management/app/sync_hub.h"
#include "sim/mgmt_stub_store.h"
#include "sim/seeds.h"
#include "sim/sim_map_workers.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nb::sim {
namespace {

namespace asio = boost::asio;
namespace app = management::app;
using management::SessionFate;
using namespace std::chrono_literals;

constexpr const char* kAccount = "acc";
constexpr int kPeers = 8;
constexpr auto kCall = 3s;  // a statement whose answer does not come

/// What a planted flaw changes; the alarms below must hear each of them.
struct Flaws {
  bool sleeps_on = false;          // nobody looks for sessions after a lapse
  bool reopens_all = false;        // ends all streams after a lapse, as it was once
  bool restores_anything = false;  // takes peers back that have newer sessions
  bool forgets_leaving = false;    // a reaped session may come back after its stream has ended
  bool forgets_doubt = false;      // nobody ends a session whose beginning was not heard of
};

/// The rows of nb_instances, nb_peer_sessions and peers, with what the statements of
/// work_sessions.cc and work_leases.cc do to them.
struct Database {
  struct Peer {
    bool connected = false;
    std::int64_t started = 0;
    std::int64_t epoch = 0;
    std::string instance{};
    std::int64_t incarnation = 0;
    std::int64_t reaped = 0;
    std::int64_t call = 0;
  };
  struct Lease {
    std::int64_t incarnation = 0;
    Instant until{};
    std::int64_t held_since = 0;
  };
  std::map<std::string, Peer> peers;
  std::map<std::string, Lease> leases;
  std::int64_t last_incarnation = 0;
  std::int64_t last_epoch = 0;
  std::int64_t last_held = 0;
  bool down = false;
  std::uint64_t restored = 0;
  Flaws flaws;

  bool covered(const Peer& peer, Instant now) const {
    const auto lease = leases.find(peer.instance);
    return lease != leases.end() && peer.epoch == peer.started &&
           lease->second.incarnation == peer.incarnation && lease->second.until > now;
  }
  SessionFate reassert(const management::OpenSession& open) {
    const auto found = peers.find(open.peer.value());
    if (found == peers.end()) return SessionFate::kDeleted;
    Peer& peer = found->second;
    const bool newer =
        peer.epoch != open.epoch || (peer.started != 0 && peer.started != open.epoch);
    if (newer && !flaws.restores_anything) return SessionFate::kSuperseded;
    if (!newer && peer.started == open.epoch && peer.connected) return SessionFate::kHeld;
    if (!newer && peer.reaped != open.epoch) return SessionFate::kEnded;
    ++restored;
    peer.connected = true;
    peer.started = open.epoch;
    peer.reaped = 0;
    return SessionFate::kRestored;
  }
  bool end(Peer& peer, std::int64_t epoch) const {
    if (peer.started == epoch) {
      peer.connected = false;
      peer.started = 0;
      return true;
    }
    if (peer.reaped == epoch && !flaws.forgets_leaving) peer.reaped = 0;
    return false;
  }
};

/// One instance's connection to it: answers take time, and some are lost after the deed.
class SessionStore final : public management::StubStore {
 public:
  SessionStore(NodeEnv& env, Database& database) : env_(env), database_(database) {}

  management::Task<management::AccountSnapshotPtr> snapshot(Instant,
                                                            management::AccountId) override {
    if (!co_await way()) co_return away();
    auto out = std::make_shared<management::AccountSnapshot>();
    out->account.id = management::AccountId(kAccount);
    out->account.serial = 1;
    std::vector<management::Peer> peers;
    for (const auto& [id, row] : database_.peers) {
      management::Peer peer;
      peer.id = management::PeerId(id);
      peer.name = peer.dns_label = id;
      peer.key = management::PeerKey("key-" + id);
      const auto number = static_cast<std::uint8_t>(std::stoi(id.substr(1)));
      peer.ip = *management::IpAddress::parse(fmt::format("100.64.0.{}", number + 1));
      peers.push_back(std::move(peer));
    }
    out->peers = management::EntityTable<management::Peer>(std::move(peers));
    co_return out;
  }
  management::Task<std::vector<management::AccountSerial>> serials(
      Instant, std::vector<management::AccountId> ids) override {
    if (!co_await way()) co_return away();
    std::vector<management::AccountSerial> out;
    for (auto& id : ids) out.push_back({std::move(id), 1});
    co_return out;
  }
  management::Task<std::int64_t> heartbeat(Instant, management::InstanceId instance,
                                           std::int64_t incarnation,
                                           std::chrono::milliseconds ttl) override {
    if (!co_await way()) co_return away();
    Database::Lease& lease = database_.leases[instance.value()];
    if (lease.incarnation > incarnation) co_return fail(Code::kAborted, "a newer process");
    if (lease.incarnation != incarnation || lease.until <= now())
      lease.held_since = ++database_.last_held;
    lease.incarnation = incarnation;
    lease.until = now() + ttl;
    const std::int64_t held = lease.held_since;
    if (!co_await way()) co_return away();
    co_return held;
  }
  management::Task<management::SessionStarted> connect(Instant,
                                                       management::SessionCall call) override {
    if (!co_await way()) co_return away();
    Database::Peer& row = database_.peers.at(call.peer.value());
    management::SessionStarted out;
    out.previous_epoch = row.started != 0 ? row.started : row.reaped == row.epoch ? row.epoch : 0;
    if (out.previous_epoch != 0) out.previous_instance = management::InstanceId(row.instance);
    out.epoch = ++database_.last_epoch;
    row.connected = true;
    row.started = row.epoch = out.epoch;
    row.instance = call.instance.value();
    row.incarnation = call.incarnation;
    row.call = call.number;
    if (!co_await way()) co_return away();
    co_return out;
  }
  management::Task<bool> disconnect(Instant, management::PeerId peer, std::int64_t epoch) override {
    if (!co_await way()) co_return away();
    const bool was = database_.end(database_.peers.at(peer.value()), epoch);
    if (!co_await way()) co_return away();
    co_return was;
  }
  management::Task<bool> abandon(Instant, management::SessionCall call) override {
    if (!co_await way()) co_return away();
    Database::Peer& row = database_.peers.at(call.peer.value());
    const bool newest = row.instance == call.instance.value() &&
                        row.incarnation == call.incarnation && row.call == call.number;
    const bool was = newest && database_.end(row, row.epoch);
    if (!co_await way()) co_return away();
    co_return was;
  }
  management::Task<std::vector<management::ReapedPeer>> disconnect_dead(Instant,
                                                                        std::size_t) override {
    if (!co_await way()) co_return away();
    std::vector<management::ReapedPeer> out;
    for (auto& [id, row] : database_.peers) {
      if (!row.connected || database_.covered(row, now())) continue;
      row.connected = false;
      if (row.epoch == row.started) row.reaped = row.epoch;
      row.started = 0;
      out.push_back({management::PeerId(id), management::AccountId(kAccount), false});
    }
    if (!co_await way()) co_return away();
    co_return out;
  }
  management::Task<std::vector<SessionFate>> reassert(
      Instant, std::vector<management::OpenSession> open) override {
    if (!co_await way()) co_return away();
    std::vector<SessionFate> out;
    for (const auto& session : open) out.push_back(database_.reassert(session));
    if (!co_await way()) co_return away();
    co_return out;
  }

 private:
  [[nodiscard]] Instant now() const { return env_.world.now(); }  // the database's clock
  asio::awaitable<bool> way() {
    co_await env_.clock.sleep_for(std::chrono::microseconds(100 + env_.random() % 50'000));
    if (!database_.down) co_return true;
    co_await env_.clock.sleep_for(kCall);
    co_return false;
  }
  static Error away() { return fail(Code::kUnavailable, "database away"); }
  NodeEnv& env_;
  Database& database_;
};

struct Agent {
  std::string peer;
  std::uint64_t stream_token = 0;  // of the stream it reads now; 0: none
  std::size_t node = 0;
  bool gone = false;  // for good
};

struct Cluster {
  Database database;
  std::vector<Agent> agents;
  std::uint64_t last_token = 0;
  std::string alarm{};
  std::chrono::milliseconds ttl{3'000};
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
    if (found == streams_.end()) return;
    const auto stream = found->second;
    streams_.erase(found);
    hub_->close(stream->number);
    tasks_.spawn(disconnect(stream->agent, stream->epoch));
  }
  void ended(Stream& stream, app::EndReason reason) {
    Agent& agent = cluster_->agents[stream.agent];
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
  static app::SyncHubOptions hub_options(NodeEnv& env, const Flaws& flaws) {
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
    const Flaws& flaws = cluster_->database.flaws;
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
    const auto session = co_await store_.connect({}, call);
    if (!session) {
      if (cluster_->agents[agent].stream_token == token) cluster_->agents[agent].stream_token = 0;
      if (!cluster_->database.flaws.forgets_doubt) co_await abandon(call);
      co_return;
    }
    if (cluster_->agents[agent].stream_token != token || stopped_) {
      hub_->superseded(management::AccountId(kAccount), peer, session->epoch);
      co_await disconnect(agent, session->epoch);
      co_return;
    }
    auto stream = std::make_shared<Stream>(*this, agent, token, session->epoch);
    stream->number = hub_->new_stream();
    streams_.emplace(token, stream);
    hub_->open(
        {.stream = stream->number,
         .account = kAccount,
         .peer = peer.value(),
         .epoch = session->epoch,
         .serial = 1,
         .replaces_remote = session->previous_epoch != 0 && session->previous_instance != self,
         .lapses = lapses},
        stream);
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
  std::map<std::uint64_t, std::shared_ptr<Stream>> streams_;
  std::map<std::uint64_t, bool> calls_;  // tokens of all Sync calls of this process
  bool stopped_ = false;
};

void Stream::build(const netmap::MapViewPtr& /*view*/, netmap::PeerIndex /*slot*/) {
  owner_.built(shared_from_this());
}

void Stream::end(app::EndReason reason, const netmap::MapViewPtr& /*view*/) {
  if (!std::exchange(ended_, true)) owner_.ended(*this, reason);
}

/// Agents that have no stream connect somewhere; some wander off, some leave for good.
void agents_act(World& world, Cluster& cluster, double wander) {
  for (std::size_t i = 0; i < cluster.agents.size(); ++i) {
    Agent& agent = cluster.agents[i];
    if (agent.gone || (agent.stream_token != 0 && !world.chance(wander))) continue;
    const std::uint64_t old = agent.stream_token;
    const std::size_t old_node = agent.node;
    // The old connection is found dead sooner or later.
    const auto leave = [&] {
      if (old == 0) return;
      world.after(world.between(1ms, 20s), [&world, old_node, old] {
        if (auto* const before = world.nodes()[old_node]->as<Instance>()) before->drop(old);
      });
    };
    if (wander > 0 && world.chance(0.05)) {
      agent.gone = true;
      agent.stream_token = 0;
      leave();
      continue;
    }
    const std::size_t at = world.pick(world.nodes().size());
    auto* const instance = world.nodes()[at]->as<Instance>();
    if (instance == nullptr || world.nodes()[at]->paused()) continue;
    agent.stream_token = ++cluster.last_token;
    agent.node = at;
    instance->connect(i, agent.stream_token);
    leave();
  }
}

/// Everybody with a stream is marked connected in its session and has one stream; nobody else is.
std::string wrong(World& world, const Cluster& cluster) {
  for (std::size_t i = 0; i < cluster.agents.size(); ++i) {
    const Agent& agent = cluster.agents[i];
    const Database::Peer& row = cluster.database.peers.at(agent.peer);
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

/// Runs one seed; what went wrong, or nothing.
std::string run(World& world, const Flaws& flaws, Duration storm,
                std::uint64_t* restored = nullptr) {
  const auto shared = std::make_shared<Cluster>();
  Cluster& cluster = *shared;
  cluster.database.flaws = flaws;
  cluster.ttl = std::chrono::duration_cast<std::chrono::milliseconds>(world.between(2s, 10s));
  for (int i = 0; i < kPeers; ++i) {
    cluster.agents.push_back({.peer = "p" + std::to_string(i)});
    cluster.database.peers["p" + std::to_string(i)];
  }
  const std::size_t instances = 2 + world.pick(2);
  for (std::size_t i = 0; i < instances; ++i)
    world.add_node("m" + std::to_string(i),
                   [shared](NodeEnv& env) { return std::make_unique<Instance>(env, shared); });
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
    agents_act(world, cluster, 0.01);
    // Mostly there; now and then away for longer than a lease.
    cluster.database.down = cluster.database.down ? !world.chance(0.05) : world.chance(0.005);
    world.run_for(world.between(1ms, 400ms));
    if (!cluster.alarm.empty()) return cluster.alarm;
  }
  cluster.database.down = false;
  world.heal();
  std::string left = "never looked";
  for (int round = 0; round < 120 && !left.empty(); ++round) {
    agents_act(world, cluster, 0);
    world.run_for(1s);
    if (!cluster.alarm.empty()) return cluster.alarm;
    left = wrong(world, cluster);
  }
  if (restored != nullptr) *restored += cluster.database.restored;
  return left;
}

TEST(MgmtSessionSim, LapsedLeasesEndNoStreamAndLeaveNobodyWronglyMarked) {
  std::uint64_t restored = 0;
  for_seeds(3000, [&](World& world) {
    const std::string what = run(world, {}, 60s, &restored);
    EXPECT_EQ(what, "") << world.replay();
  });
  if (std::getenv("NB_SIM_SEED") == nullptr) {
    EXPECT_GT(restored, 0U);
  }
}

/// The agent asks, the database does it and goes away, and the agent never comes back.
constexpr std::uint64_t kAnswerLostForGood = 3598;

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

TEST(MgmtSessionSim, HearsASessionThatOutlivesItsStream) {
  EXPECT_GT(
      count_alarms(
          400, [](World& world) { return !run(world, {.forgets_leaving = true}, 60s).empty(); }),
      0U);
}

}  // namespace
}  // namespace nb::sim
