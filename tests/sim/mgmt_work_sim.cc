// Work that no caller asks for, over several instances, with everything that goes wrong: logins
// that expire, machines that are away for too long, ephemeral peers, jobs of agents. Each is done
// once, by whichever instance, and all of it in the end. Sweeps, deadlines, jobs, leases, hub and
// keeper are the production ones; database, agents and map threads are simulated.
#include "base/backoff.h"
#include "base/task_group.h"
#include "ha/local/adapters.h"
#include "management/app/ephemeral.h"
#include "management/app/expiry.h"
#include "management/app/instance_keeper.h"
#include "management/app/janitor_lease.h"
#include "management/app/jobs.h"
#include "sim/seeds.h"
#include "sim/sim_agents.h"
#include "sim/sim_map_workers.h"
#include "sim/work_database.h"
#include "sim/work_jobs.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

namespace nb::sim {
namespace {

namespace asio = boost::asio;
namespace app = management::app;
using namespace std::chrono_literals;

constexpr int kPeers = 9;  // every third is ephemeral

struct Cluster {
  WorkDatabase database;
  std::vector<SimAgent> agents;
  std::uint64_t last_token = 0;
  std::map<std::string, int> runs;  // of each job, by its agent
  std::string alarm{};
};

class Instance;

/// The Job stream of one agent, as JobSession is.
class Stream final : public app::JobSink, public std::enable_shared_from_this<Stream> {
 public:
  Stream(Instance& owner, std::size_t agent_in, std::uint64_t token_in)
      : agent(agent_in), token(token_in), owner_(owner) {}
  void send(const management::Job& job) override;
  void end() override;

  const std::size_t agent;
  const std::uint64_t token;
  std::int64_t epoch = 0;
  bool busy = false;  // with a job that is not answered
  bool ended = false;

 private:
  Instance& owner_;
};

class Instance final : public Process {
 public:
  Instance(NodeEnv& env, std::shared_ptr<Cluster> cluster)
      : cluster_(std::move(cluster)),
        env_(env),
        incarnation_(++cluster_->database.last_incarnation),
        store_(env, cluster_->database),
        job_rows_(store_),
        workers_(env),
        tasks_(env.home),
        hub_(std::make_shared<app::SyncHub>(env.home, store_, &env.bus, workers_, env.clock,
                                            hub_options(env), Logger{})),
        leases_(env.home, std::make_unique<ha::LocalLeaseStore>(env.store, "nb:mgmt:lock:"),
                env.clock, env.random),
        deadlines_(env.store, "nb:mgmt:ephemeral"),
        janitor_(&leases_, env.clock, 10s, Logger{}),
        expiry_(store_, *hub_, env.clock, expiry_options(), Logger{}),
        ephemeral_(std::make_shared<app::Ephemeral>(env.home, deadlines_, store_, *hub_, env.clock,
                                                    ephemeral_options(), Logger{})),
        jobs_(std::make_shared<app::Jobs>(env.home, job_rows_, store_, *hub_, env.clock,
                                          jobs_options(), Logger{})),
        keeper_(store_, env.clock, keeper_options(),
                {.on_lapse = [this] { lapsed(); },
                 .on_state = {},
                 .on_reaped = [this](const management::ReapedPeer& peer) { reaped(peer); }},
                Logger{}) {
    jobs_->start();
    hub_->start();
    ephemeral_->start();
    tasks_.spawn(expiry_.run());
    tasks_.spawn(janitor_.run());
    tasks_.spawn(keep());
  }
  asio::awaitable<void> stop() override {
    stopped_ = true;
    for (auto& agent : cluster_->agents)
      if (calls_.contains(agent.stream_token)) agent.stream_token = 0;
    co_await ephemeral_->stop();
    co_await jobs_->stop();
    co_await hub_->stop();
    co_await tasks_.stop();
    co_await leases_.stop();
    co_await workers_.stop();
    streams_.clear();
  }

  void connect(std::size_t agent, std::uint64_t token) {
    calls_.emplace(token, true);
    tasks_.spawn(join(agent, token));
  }
  /// The transport noticed that the agent is gone.
  void drop(std::uint64_t token) {
    const auto found = streams_.find(token);
    if (found == streams_.end()) return;
    const auto stream = found->second;
    streams_.erase(found);
    depart(stream);
  }
  void ended(const Stream& stream) {
    forget(stream.agent, stream.token);
    drop(stream.token);
  }
  /// An operator's wish; he sees whether it was taken.
  void order(const std::string& peer) { tasks_.spawn(create(peer)); }
  void work(std::shared_ptr<Stream> stream, const management::Job& job) {
    if (stream->ended || stopped_) {
      tasks_.spawn(jobs_->undelivered(job.peer_id, stream->epoch));
      return;
    }
    if (++cluster_->runs[job.id] > 1) cluster_->alarm = job.id + ": done twice";
    stream->busy = true;
    tasks_.spawn(execute(std::move(stream), job));
  }
  [[nodiscard]] const std::map<std::uint64_t, std::shared_ptr<Stream>>& streams() const {
    return streams_;
  }
  [[nodiscard]] bool tidies_up() const { return janitor_.mine(); }

 private:
  static app::SyncHubOptions hub_options(NodeEnv& env) {
    app::SyncHubOptions out;
    out.self = env.name + "/" + env.incarnation.value();
    out.instance = env.name;
    return out;
  }
  static app::ExpiryOptions expiry_options() {
    app::ExpiryOptions out;
    out.logins_max = 2s;  // what takes long here is no work
    out.inactive = 5s;
    return out;
  }
  app::EphemeralOptions ephemeral_options() const {
    app::EphemeralOptions out;
    out.lifetime = kEphemeralLife;
    out.sweep = 5s;
    out.full_sweep = cluster_->database.flaws.trusts_set ? 24h : 30s;
    out.claim = 10s;
    out.batch = 2;
    return out;
  }
  app::JobsOptions jobs_options() {
    app::JobsOptions out;
    out.instance = management::InstanceId(env_.name);
    out.incarnation = incarnation_;
    out.sweep = 10s;
    out.wait = 60s;  // hosts' clocks are up to 45 s apart
    out.my_turn = [this] { return janitor_.mine() && !cluster_->database.flaws.never_sweeps; };
    return out;
  }
  app::InstanceKeeperOptions keeper_options() const {
    return {.instance = management::InstanceId(env_.name),
            .incarnation = incarnation_,
            .ttl = 6s,
            .interval = 2s,
            .reap_interval = 1s};
  }
  /// Sessions that may have been taken away from us: their agents come again.
  void lapsed() {
    hub_->reassert();
    const auto open = streams_;
    for (const auto& [token, stream] : open) ended(*stream);
  }
  void reaped(const management::ReapedPeer& peer) {
    if (peer.ephemeral) ephemeral_->idle(session_peer(peer.peer.value()));
  }
  static app::SessionPeer session_peer(const std::string& id) {
    return {management::AccountId(kWorkAccount), management::PeerId(id),
            management::PeerKey("key-" + id), true};
  }
  void forget(std::size_t agent, std::uint64_t token) {
    if (cluster_->agents[agent].stream_token == token) cluster_->agents[agent].stream_token = 0;
  }
  [[nodiscard]] Instant deadline() const { return env_.clock.now() + 10s; }

  asio::awaitable<void> keep() {
    while (!stopped_) {
      const auto held = co_await keeper_.begin();
      if (held) co_return co_await keeper_.run();
      co_await env_.clock.sleep_for(100ms);
    }
  }
  asio::awaitable<void> join(std::size_t agent, std::uint64_t token) {
    const std::string id = cluster_->agents[agent].peer;
    const auto arrived = co_await store_.arrive(id, token, incarnation_);
    if (!arrived && arrived.error().code == Code::kNotFound) cluster_->agents[agent].gone = true;
    if (arrived && cluster_->database.rows.at(id).ephemeral) ephemeral_->busy(session_peer(id));
    if (!arrived || stopped_) {
      forget(agent, token);
      co_await leave(agent, token);
      co_return;
    }
    const auto stream = std::make_shared<Stream>(*this, agent, token);
    management::PeerKey key("key-" + id);
    const auto opened = co_await jobs_->open(deadline(), std::move(key), stream);
    if (opened) stream->epoch = opened->epoch;
    if (opened && !stopped_ && !stream->ended && cluster_->agents[agent].stream_token == token) {
      streams_.emplace(token, stream);
      co_return;
    }
    forget(agent, token);
    if (opened)
      depart(stream);
    else
      co_await leave(agent, token);
  }
  void depart(const std::shared_ptr<Stream>& stream) {
    stream->ended = true;
    const management::PeerId peer(cluster_->agents[stream->agent].peer);
    tasks_.spawn(jobs_->closed(peer, stream->epoch, stream->busy));
    tasks_.spawn(leave(stream->agent, stream->token));
  }
  /// As PeerSessions::stopped().
  asio::awaitable<void> leave(std::size_t agent, std::uint64_t token) {
    Backoff backoff({.first = 200ms, .most = 5s, .factor = 2.0, .jitter = 0.5}, token);
    const std::string id = cluster_->agents[agent].peer;
    while (!stopped_) {
      const auto was = co_await store_.leave(id, token);
      if (was && *was && cluster_->database.rows.at(id).ephemeral)
        ephemeral_->idle(session_peer(id));
      if (was) co_return;
      co_await env_.clock.sleep_for(backoff.next());
    }
  }
  asio::awaitable<void> create(std::string peer) {
    management::Job job;
    job.account_id = management::AccountId(kWorkAccount);
    job.peer_id = management::PeerId(std::move(peer));
    job.type = management::kJobTypeBundle;
    auto creating = jobs_->create(deadline(), std::move(job));
    ignore(co_await std::move(creating), "an operator sees whether his job is there");
  }
  asio::awaitable<void> execute(std::shared_ptr<Stream> stream, management::Job job) {
    co_await env_.clock.sleep_for(500ms + std::chrono::milliseconds(env_.random() % 4'000));
    if (stream->ended || stopped_) co_return;
    stream->busy = false;
    management::JobResult result;
    result.job_id = job.id;
    result.peer = job.peer_id;
    result.succeeded = true;
    co_await jobs_->finished(std::move(result));
  }

  const std::shared_ptr<Cluster> cluster_;
  NodeEnv& env_;
  const std::int64_t incarnation_;
  WorkStore store_;
  WorkJobs job_rows_;
  SimMapWorkers workers_;
  TaskGroup tasks_;
  std::shared_ptr<app::SyncHub> hub_;
  ha::StoreLeases leases_;
  ha::LocalDeadlines deadlines_;
  app::JanitorLease janitor_;
  app::Expiry expiry_;
  std::shared_ptr<app::Ephemeral> ephemeral_;
  std::shared_ptr<app::Jobs> jobs_;
  app::InstanceKeeper keeper_;
  std::map<std::uint64_t, std::shared_ptr<Stream>> streams_;
  std::map<std::uint64_t, bool> calls_;  // tokens of all calls of this process
  bool stopped_ = false;
};

void Stream::send(const management::Job& job) {
  owner_.work(shared_from_this(), job);
}

void Stream::end() {
  if (!std::exchange(ended, true)) owner_.ended(*this);
}

/// What is due for long and not done. Time goes on, so that something always is due.
std::string undone(World& world, const Cluster& cluster) {
  const WallTime long_ago = world.clock().wall() - 25s;
  for (const auto& [id, row] : cluster.database.rows) {
    if (WorkDatabase::login_due(row, long_ago)) return id + " is still logged in";
    if (WorkDatabase::idle_due(row, long_ago)) return id + " need not log in again";
    if (WorkDatabase::ephemeral_due(row, world.clock().wall() - 60s)) return id + " is still there";
  }
  for (const auto& [id, row] : cluster.database.jobs)
    if (row.pending) return id + " is pending for ever";
  int janitors = 0;
  for (const auto& node : world.nodes()) {
    const auto* instance = node->as<Instance>();
    if (instance == nullptr) return node->name() + " is down";
    janitors += instance->tidies_up() ? 1 : 0;
    for (const auto& [token, stream] : instance->streams()) {
      const std::string& peer = cluster.agents[stream->agent].peer;
      const auto open = cluster.database.streams.find(peer);
      if (open == cluster.database.streams.end() || open->second.epoch != stream->epoch)
        return peer + " has a Job stream that is not its newest";
      if (!cluster.database.welcome(peer)) return peer + " has a Job stream and may have none";
    }
  }
  return janitors == 1 ? std::string{} : fmt::format("{} instances tidy up", janitors);
}

Faults everything() {
  return {.drop = 0.02,
          .lose = 0.2,
          .duplicate = 0.1,
          .delay_max = 300ms,
          .reorder = true,
          .pause = 0.01,
          .pause_max = 60s,
          .crash = 0.005,
          .downtime_max = 10s,
          .cut = 0.02,
          .cut_max = 10s,
          .store_down = 0.01,
          .store_down_max = 10s,
          .store_forgets = true,
          .flush = 0.02};
}

void operators_act(World& world, const Cluster& cluster) {
  const std::size_t at = world.pick(world.nodes().size());
  auto* const instance = world.nodes()[at]->as<Instance>();
  if (instance == nullptr || world.nodes()[at]->paused()) return;
  instance->order(cluster.agents[world.pick(cluster.agents.size())].peer);
}

void boot(World& world, const std::shared_ptr<Cluster>& shared) {
  for (int i = 0; i < kPeers; ++i) {
    const std::string id = "p" + std::to_string(i);
    shared->agents.push_back({.peer = id});
    WorkDatabase::Row& row = shared->database.rows[id];
    row.ephemeral = i % 3 == 0;
    row.last_seen = world.clock().wall();
  }
  add_instances<Instance>(world, shared, 2 + world.pick(2));
}

/// So that there is something left to do when nobody acts any more: agents that never come back,
/// a process that ends with what it had in hand, and deadlines that are forgotten.
void last_blows(World& world, Cluster& cluster) {
  for (SimAgent& agent : cluster.agents) {
    if (agent.stream_token == 0 || !world.chance(0.4)) continue;
    agent.gone = true;
    if (auto* const instance = world.nodes()[agent.node]->as<Instance>())
      instance->drop(std::exchange(agent.stream_token, 0));
  }
  world.run_for(world.between(1s, 5s));
  if (world.chance(0.5)) world.nodes()[0]->crash();
  world.flush_store();
}

struct Seen {
  std::uint64_t ended = 0;
  std::uint64_t runs = 0;
};

std::string first_alarm(const Cluster& cluster) {
  return cluster.alarm.empty() ? cluster.database.alarm : cluster.alarm;
}

/// Runs one seed; what went wrong, or nothing.
std::string run(World& world, const WorkFlaws& flaws, Duration storm, Seen* seen = nullptr) {
  const auto shared = std::make_shared<Cluster>();
  Cluster& cluster = *shared;
  cluster.database.flaws = flaws;
  boot(world, shared);
  world.faults = everything();
  const Instant calm_at = world.now() + storm;
  while (world.now() < calm_at) {
    agents_act<Instance>(world, cluster, 0.005, [&world] { return world.chance(0.02); });
    if (world.chance(0.2)) operators_act(world, cluster);
    cluster.database.down = cluster.database.down ? !world.chance(0.1) : world.chance(0.01);
    world.run_for(world.between(1ms, 400ms));
    if (auto alarm = first_alarm(cluster); !alarm.empty()) return alarm;
  }
  cluster.database.down = false;
  last_blows(world, cluster);
  world.heal();
  std::string left = "never looked";
  // Long enough for what was not due yet to be late.
  for (int round = 0; round < 240 && (round < 110 || !left.empty()); ++round) {
    world.run_for(1s);
    if (auto alarm = first_alarm(cluster); !alarm.empty()) return alarm;
    left = undone(world, cluster);
  }
  if (seen != nullptr) {
    seen->ended += cluster.database.ended;
    seen->runs += cluster.runs.size();
  }
  return left;
}

constexpr Duration kStorm = 90s;

bool alarms(World& world, const WorkFlaws& flaws) {
  return !run(world, flaws, kStorm).empty();
}

TEST(MgmtWorkSim, WhatIsDueIsDoneOnceAndNothingIsLeft) {
  Seen seen;
  for_seeds(1000, [&](World& world) {
    const std::string what = run(world, {}, kStorm, &seen);
    EXPECT_EQ(what, "") << world.replay();
  });
  if (std::getenv("NB_SIM_SEED") == nullptr) {
    EXPECT_GT(seen.ended, 0U);
    EXPECT_GT(seen.runs, 0U);
  }
}

TEST(MgmtWorkSim, OneSeedRunsTheSameTwice) {
  std::uint64_t prints[2];
  for (auto& print : prints) {
    World world(7);
    static_cast<void>(run(world, {}, 20s));
    print = world.fingerprint();
  }
  EXPECT_EQ(prints[0], prints[1]);
}

TEST(MgmtWorkSim, HearsASweepThatTakesRowsOfAnother) {
  EXPECT_GT(count_alarms(80, [](World& w) { return alarms(w, {.forgets_locks = true}); }), 0U);
}

TEST(MgmtWorkSim, HearsAClockThatIsFast) {
  EXPECT_GT(count_alarms(20, [](World& w) { return alarms(w, {.trusts_hosts = true}); }), 0U);
}

TEST(MgmtWorkSim, HearsAnEphemeralPeerThatRedisForgot) {
  EXPECT_GT(count_alarms(60, [](World& w) { return alarms(w, {.trusts_set = true}); }), 0U);
}

TEST(MgmtWorkSim, HearsAJobThatIsGivenTwice) {
  EXPECT_GT(count_alarms(20, [](World& w) { return alarms(w, {.gives_twice = true}); }), 0U);
}

TEST(MgmtWorkSim, HearsThatNobodyTidiesUp) {
  EXPECT_GT(count_alarms(40, [](World& w) { return alarms(w, {.never_sweeps = true}); }), 0U);
}

TEST(MgmtWorkSim, HearsAStreamOfAPeerThatMayHaveNone) {
  EXPECT_GT(count_alarms(60, [](World& w) { return alarms(w, {.never_looks = true}); }), 0U);
}

}  // namespace
}  // namespace nb::sim
