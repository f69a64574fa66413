// One management instance of the simulation of scheduled work, with the Job streams of its agents.
#pragma once

#include "base/backoff.h"
#include "base/task_group.h"
#include "ha/local/adapters.h"
#include "management/app/ephemeral.h"
#include "management/app/expiry.h"
#include "management/app/instance_keeper.h"
#include "management/app/janitor_lease.h"
#include "management/app/jobs.h"
#include "sim/sim_agents.h"
#include "sim/sim_map_workers.h"
#include "sim/work_database.h"
#include "sim/work_jobs.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace nb::sim {

struct WorkCluster {
  WorkDatabase database;
  std::vector<SimAgent> agents;
  std::uint64_t last_token = 0;
  std::map<std::string, int> runs;  // of each job, by its agent
  std::string alarm{};
};

class WorkInstance;

/// The Job stream of one agent, as JobSession is.
class WorkStream final : public management::app::JobSink,
                         public std::enable_shared_from_this<WorkStream> {
 public:
  WorkStream(WorkInstance& owner, std::size_t agent_in, std::uint64_t token_in)
      : agent(agent_in), token(token_in), owner_(owner) {}
  void send(const management::Job& job) override;
  void end() override;

  const std::size_t agent;
  const std::uint64_t token;
  std::int64_t epoch = 0;
  std::string in_flight{};  // job that is not answered
  bool ended = false;

 private:
  WorkInstance& owner_;
};

class WorkInstance final : public Process {
 public:
  WorkInstance(NodeEnv& env, std::shared_ptr<WorkCluster> cluster)
      : cluster_(std::move(cluster)),
        env_(env),
        incarnation_(++cluster_->database.last_incarnation),
        store_(env, cluster_->database),
        job_rows_(store_),
        workers_(env),
        tasks_(env.home),
        hub_(std::make_shared<management::app::SyncHub>(env.home, store_, &env.bus, workers_,
                                                        env.clock, hub_options(env), Logger{})),
        leases_(env.home, std::make_unique<ha::LocalLeaseStore>(env.store, "nb:mgmt:lock:"),
                env.clock, env.random),
        deadlines_(env.store, "nb:mgmt:ephemeral"),
        janitor_(&leases_, env.clock, std::chrono::seconds(10), Logger{}),
        expiry_(store_, *hub_, env.clock, expiry_options(), Logger{}),
        ephemeral_(std::make_shared<management::app::Ephemeral>(
            env.home, deadlines_, store_, *hub_, env.clock, ephemeral_options(), Logger{})),
        jobs_(std::make_shared<management::app::Jobs>(env.home, job_rows_, store_, *hub_, env.clock,
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
  boost::asio::awaitable<void> stop() override {
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
  void ended(const WorkStream& stream) {
    forget(stream.agent, stream.token);
    drop(stream.token);
  }
  /// An operator's wish; he sees whether it was taken.
  void order(const std::string& peer) { tasks_.spawn(create(peer)); }
  void work(std::shared_ptr<WorkStream> stream, const management::Job& job) {
    if (stream->ended || stopped_) {
      tasks_.spawn(jobs_->undelivered(job.peer_id, stream->epoch));
      return;
    }
    if (++cluster_->runs[job.id] > 1) cluster_->alarm = job.id + ": done twice";
    stream->in_flight = job.id;
    tasks_.spawn(execute(std::move(stream), job));
  }
  [[nodiscard]] const std::map<std::uint64_t, std::shared_ptr<WorkStream>>& streams() const {
    return streams_;
  }
  [[nodiscard]] bool tidies_up() const { return janitor_.mine(); }

 private:
  static management::app::SyncHubOptions hub_options(NodeEnv& env) {
    management::app::SyncHubOptions out;
    out.self = env.name + "/" + env.incarnation.value();
    out.instance = env.name;
    return out;
  }
  static management::app::ExpiryOptions expiry_options() {
    management::app::ExpiryOptions out;
    out.logins_max = std::chrono::seconds(2);  // what takes long here is no work
    out.inactive = std::chrono::seconds(5);
    return out;
  }
  management::app::EphemeralOptions ephemeral_options() const {
    management::app::EphemeralOptions out;
    out.lifetime = kEphemeralLife;
    out.sweep = std::chrono::seconds(5);
    out.full_sweep =
        cluster_->database.flaws.trusts_set ? std::chrono::hours(24) : std::chrono::seconds(30);
    out.claim = std::chrono::seconds(10);
    out.batch = 2;
    return out;
  }
  management::app::JobsOptions jobs_options() {
    management::app::JobsOptions out;
    out.instance = management::InstanceId(env_.name);
    out.incarnation = incarnation_;
    out.sweep = std::chrono::seconds(10);
    out.wait = std::chrono::seconds(60);  // hosts' clocks are up to 45 s apart
    out.my_turn = [this] { return janitor_.mine() && !cluster_->database.flaws.never_sweeps; };
    return out;
  }
  management::app::InstanceKeeperOptions keeper_options() const {
    return {.instance = management::InstanceId(env_.name),
            .incarnation = incarnation_,
            .ttl = std::chrono::seconds(6),
            .interval = std::chrono::seconds(2),
            .reap_interval = std::chrono::seconds(1)};
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
  static management::app::SessionPeer session_peer(const std::string& id) {
    return {management::AccountId(kWorkAccount), management::PeerId(id),
            management::PeerKey("key-" + id), true};
  }
  void forget(std::size_t agent, std::uint64_t token) {
    if (cluster_->agents[agent].stream_token == token) cluster_->agents[agent].stream_token = 0;
  }
  [[nodiscard]] Instant deadline() const { return env_.clock.now() + std::chrono::seconds(10); }

  boost::asio::awaitable<void> keep() {
    while (!stopped_) {
      const auto held = co_await keeper_.begin();
      if (held) co_return co_await keeper_.run();
      co_await env_.clock.sleep_for(std::chrono::milliseconds(100));
    }
  }
  boost::asio::awaitable<void> join(std::size_t agent, std::uint64_t token) {
    const std::string id = cluster_->agents[agent].peer;
    const auto arrived = co_await store_.arrive(id, token, incarnation_);
    if (!arrived && arrived.error().code == Code::kNotFound) cluster_->agents[agent].gone = true;
    if (arrived && cluster_->database.rows.at(id).ephemeral) ephemeral_->busy(session_peer(id));
    if (!arrived || stopped_) {
      forget(agent, token);
      co_await leave(agent, token);
      co_return;
    }
    const auto stream = std::make_shared<WorkStream>(*this, agent, token);
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
  void depart(const std::shared_ptr<WorkStream>& stream) {
    stream->ended = true;
    const management::PeerId peer(cluster_->agents[stream->agent].peer);
    tasks_.spawn(jobs_->closed(peer, stream->epoch, !stream->in_flight.empty()));
    tasks_.spawn(leave(stream->agent, stream->token));
  }
  /// As PeerSessions::stopped().
  boost::asio::awaitable<void> leave(std::size_t agent, std::uint64_t token) {
    Backoff backoff({.first = std::chrono::milliseconds(200),
                     .most = std::chrono::seconds(5),
                     .factor = 2.0,
                     .jitter = 0.5},
                    token);
    const std::string id = cluster_->agents[agent].peer;
    while (!stopped_) {
      const auto was = co_await store_.leave(id, token);
      if (was && *was && cluster_->database.rows.at(id).ephemeral)
        ephemeral_->idle(session_peer(id));
      if (was) co_return;
      co_await env_.clock.sleep_for(backoff.next());
    }
  }
  boost::asio::awaitable<void> create(std::string peer) {
    management::Job job;
    job.account_id = management::AccountId(kWorkAccount);
    job.peer_id = management::PeerId(std::move(peer));
    job.type = management::kJobTypeBundle;
    auto creating = jobs_->create(deadline(), std::move(job));
    ignore(co_await std::move(creating), "an operator sees whether his job is there");
  }
  boost::asio::awaitable<void> execute(std::shared_ptr<WorkStream> stream, management::Job job) {
    co_await env_.clock.sleep_for(std::chrono::milliseconds(500) +
                                  std::chrono::milliseconds(env_.random() % 4'000));
    // As JobSession::on_result(): what came of another job than the last one is nobody's.
    if (stream->ended || stopped_ || stream->in_flight != job.id) co_return;
    stream->in_flight.clear();
    management::JobResult result;
    result.job_id = job.id;
    result.peer = job.peer_id;
    result.succeeded = true;
    co_await jobs_->finished(std::move(result));
  }

  const std::shared_ptr<WorkCluster> cluster_;
  NodeEnv& env_;
  const std::int64_t incarnation_;
  WorkStore store_;
  WorkJobs job_rows_;
  SimMapWorkers workers_;
  TaskGroup tasks_;
  std::shared_ptr<management::app::SyncHub> hub_;
  ha::StoreLeases leases_;
  ha::LocalDeadlines deadlines_;
  management::app::JanitorLease janitor_;
  management::app::Expiry expiry_;
  std::shared_ptr<management::app::Ephemeral> ephemeral_;
  std::shared_ptr<management::app::Jobs> jobs_;
  management::app::InstanceKeeper keeper_;
  std::map<std::uint64_t, std::shared_ptr<WorkStream>> streams_;
  std::map<std::uint64_t, bool> calls_;  // tokens of all calls of this process
  bool stopped_ = false;
};

inline void WorkStream::send(const management::Job& job) {
  owner_.work(shared_from_this(), job);
}

inline void WorkStream::end() {
  if (!std::exchange(ended, true)) owner_.ended(*this);
}

}  // namespace nb::sim
