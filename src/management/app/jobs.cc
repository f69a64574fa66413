#include "management/app/jobs.h"

#include "base/backoff.h"
#include "base/log_keys.h"
#include "management/app/peer_sessions.h"
#include "management/netmap/agent_version.h"
#include "management/netmap/version.h"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace nb::management::app {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr std::size_t kCheckBatch = 500;  // streams that one question is about

bool understands_jobs(const std::string& version) {
  if (netmap::is_development(version)) return true;
  // The first release whose agents open a Job stream.
  static const auto kFirst = netmap::Version::parse("0.64.0");
  const auto parsed = netmap::Version::parse(netmap::without_suffix(version));
  return parsed && parsed->at_least(*kFirst);
}

}  // namespace

Jobs::Jobs(asio::any_io_executor home, AgentStore& agents, Store& store, SyncHub& hub, Clock& clock,
           JobsOptions options, Logger log)
    : home_(home),
      agents_(agents),
      store_(store),
      hub_(hub),
      clock_(clock),
      options_(std::move(options)),
      log_(std::move(log)),
      tasks_(std::move(home)) {}

void Jobs::start() {
  asio::post(home_, [self = shared_from_this()] { self->tasks_.spawn(self->run()); });
}

asio::awaitable<void> Jobs::stop() {
  const auto self = shared_from_this();
  stopped_ = true;
  streams_.clear();
  co_await tasks_.stop();
}

Task<Job> Jobs::create(Instant deadline, Job job) {
  auto view = co_await store_.peer_by_id(deadline, job.account_id, job.peer_id);
  if (!view && view.error().code == Code::kNotFound)
    co_return fail(Code::kNotFound, "peer not found: {}", job.peer_id.value());
  if (!view) co_return std::move(view).error();
  if (!understands_jobs(view->peer.meta.wt_version))
    co_return fail(Code::kFailedPrecondition, "peer version {} does not meet the minimum 0.64.0",
                   view->peer.meta.wt_version);
  auto made = co_await agents_.create_job(deadline, std::move(job));
  if (!made) co_return std::move(made).error();
  if (!made->stream_instance.value().empty())
    hub_.send_to(made->stream_instance.value(),
                 {made->job.account_id.value(), {}, JobWaiting{made->job.peer_id.value()}});
  co_return std::move(made->job);
}

Task<std::vector<Job>> Jobs::list(Instant deadline, AccountId account, PeerId peer) {
  return agents_.jobs(deadline, std::move(account), std::move(peer));
}

Task<Job> Jobs::get(Instant deadline, AccountId account, PeerId peer, std::string id) {
  return agents_.job(deadline, std::move(account), std::move(peer), std::move(id));
}

Task<JobStreamOpened> Jobs::open(Instant deadline, PeerKey key, std::shared_ptr<JobSink> sink) {
  const std::uint64_t lapses = hub_.lapses();
  auto opened = co_await agents_.open_job_stream(deadline, std::move(key), options_.instance,
                                                 options_.incarnation);
  if (!opened) {
    if (opened.error().code == Code::kNotFound)
      co_return fail(Code::kPermissionDenied, "peer is not registered");
    co_return as_agent_error(std::move(opened).error());
  }
  counters_.streams.fetch_add(1, std::memory_order_relaxed);
  if (!opened->previous_instance.value().empty() && opened->previous_instance != options_.instance)
    hub_.send_to(opened->previous_instance.value(),
                 {opened->account.value(), {}, JobSuperseded{opened->peer.value(), opened->epoch}});
  asio::post(home_, [self = shared_from_this(), account = opened->account, peer = opened->peer,
                     epoch = opened->epoch, lapses, sink = std::move(sink)]() mutable {
    if (self->stopped_) return;
    self->supersede(peer.value(), epoch);
    Stream& stream = self->streams_[peer.value()];
    if (stream.epoch > epoch) return sink->end();  // two openings overtook each other
    stream = {epoch, std::move(sink), self->hub_.watch_endings(account.value())};
    // No look for jobs of its own: what the opening saw pending has failed, and of what was made
    // since then we are told, or find it at the next poll. So is a job that was made while the
    // opening waited for the peer's row (PostgreSQL): not seen by it, and told to whoever had the
    // stream before.
    // Messages were or may have been lost meanwhile, and the look that follows had not this one.
    if (lapses != self->hub_.lapses()) self->start_check();
  });
  co_return std::move(*opened);
}

void Jobs::supersede(const std::string& peer, std::int64_t epoch) {
  const auto found = streams_.find(peer);
  if (found == streams_.end() || found->second.epoch >= epoch) return;
  end(peer);
}

void Jobs::end(const std::string& peer) {
  const auto found = streams_.find(peer);
  if (found == streams_.end()) return;
  const auto sink = std::move(found->second.sink);
  streams_.erase(found);
  sink->end();
}

void Jobs::start_check() {
  if (stopped_) return;
  check_again_ = true;
  if (!std::exchange(checking_, true)) tasks_.spawn(check());
}

asio::awaitable<void> Jobs::check() {
  const auto self = shared_from_this();
  while (!stopped_ && std::exchange(check_again_, false)) {
    std::vector<OpenSession> open;
    open.reserve(streams_.size());
    for (const auto& [peer, stream] : streams_) open.push_back({PeerId(peer), stream.epoch});
    for (std::size_t at = 0; at < open.size(); at += kCheckBatch) {
      const auto first = open.begin() + static_cast<std::ptrdiff_t>(at);
      const auto last =
          open.begin() + static_cast<std::ptrdiff_t>(std::min(at + kCheckBatch, open.size()));
      std::vector<OpenSession> batch(first, last);
      if (!co_await check_batch(std::move(batch))) break;  // the next look is not far
    }
  }
  checking_ = false;
}

asio::awaitable<bool> Jobs::check_batch(std::vector<OpenSession> batch) {
  const auto self = shared_from_this();
  std::unordered_map<std::string, std::int64_t> epochs;
  for (const OpenSession& at : batch) epochs.emplace(at.peer.value(), at.epoch);
  const auto lost =
      co_await agents_.lost_job_streams(clock_.now() + options_.deadline, std::move(batch));
  if (!lost || stopped_) co_return false;
  for (const PeerId& peer : *lost) {
    const auto found = streams_.find(peer.value());
    // A newer one may have come to us meanwhile.
    if (found == streams_.end() || found->second.epoch != epochs.at(peer.value())) continue;
    counters_.fenced.fetch_add(1, std::memory_order_relaxed);
    log_.info("Job stream ended, the peer has a newer one or may have none",
              {log::f(log::kPeer, peer.value())});
    const auto sink = std::move(found->second.sink);
    streams_.erase(found);
    sink->end();
  }
  co_return true;
}

void Jobs::on_message(const BusMessage& message) {
  if (stopped_) return;
  if (const auto* superseded = std::get_if<JobSuperseded>(&message.body))
    supersede(superseded->peer, superseded->epoch);
  else if (const auto* ended = std::get_if<Ended>(&message.body))
    end(ended->peer);
  else if (const auto* waiting = std::get_if<JobWaiting>(&message.body))
    tasks_.spawn(dispatch(PeerId(waiting->peer)));
}

asio::awaitable<void> Jobs::dispatch(PeerId peer) {
  const auto self = shared_from_this();
  const auto found = streams_.find(peer.value());
  look_again_ = look_again_ || found == streams_.end();
  if (found == streams_.end()) co_return;
  const std::int64_t epoch = found->second.epoch;
  const auto sink = found->second.sink;
  const auto job = co_await agents_.claim_job(clock_.now() + options_.deadline, peer, epoch);
  if (!job && job.error().code != Code::kResourceExhausted) {
    // It may be ours now and will never be sent: without its stream nobody waits for it, and the
    // agent comes again.
    const auto still = streams_.find(peer.value());
    if (still != streams_.end() && still->second.epoch == epoch) end(peer.value());
    tasks_.spawn(undelivered(std::move(peer), epoch));
    co_return;
  }
  if (!job || !*job) co_return;  // none, or the database never got to it: the poll asks again
  // From here on the job is this stream's; if it has ended meanwhile, its end fails the job.
  counters_.sent.fetch_add(1, std::memory_order_relaxed);
  log_.info("job sent", {log::f(log::kPeer, peer.value()), log::f("job", (*job)->id)});
  sink->send(**job);
}

asio::awaitable<void> Jobs::finished(JobResult result) {
  const auto self = shared_from_this();
  Backoff backoff({.first = 200ms, .most = 5s, .factor = 2.0, .jitter = 0.5}, 1);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const auto done = co_await agents_.complete_job(clock_.now() + options_.deadline, result);
    if (done) {
      auto& counter = *done ? counters_.completed : counters_.unknown_results;
      counter.fetch_add(1, std::memory_order_relaxed);
      co_return;
    }
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    co_await clock_.sleep_for(backoff.next());
  }
  log_.warn("result of a job is lost, the database did not take it",
            {log::f(log::kPeer, result.peer.value())});
}

asio::awaitable<void> Jobs::closed(PeerId peer, std::int64_t epoch, bool unfinished) {
  const auto self = shared_from_this();
  asio::post(home_, [self, id = peer.value(), epoch] {
    const auto found = self->streams_.find(id);
    if (found != self->streams_.end() && found->second.epoch == epoch) self->streams_.erase(found);
    self->look_again_ = true;
  });
  counters_.streams.fetch_sub(1, std::memory_order_relaxed);
  // Without a job the next stream's opening tells the database soon enough, or the next look does
  // that finds a job waiting for it.
  if (!unfinished) co_return;
  co_await undelivered(std::move(peer), epoch);
}

asio::awaitable<void> Jobs::undelivered(PeerId peer, std::int64_t epoch) {
  const auto self = shared_from_this();
  Backoff backoff({.first = 200ms, .most = 5s, .factor = 2.0, .jitter = 0.5},
                  static_cast<std::uint64_t>(epoch));
  for (;;) {
    auto closing = agents_.close_job_stream(clock_.now() + options_.deadline, peer, epoch);
    if (co_await std::move(closing)) co_return;
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    co_await clock_.sleep_for(backoff.next());
  }
}

asio::awaitable<void> Jobs::look_for_waiting() {
  const auto self = shared_from_this();
  auto waiting = co_await agents_.waiting_jobs(clock_.now() + options_.deadline, options_.instance,
                                               options_.incarnation);
  if (!waiting) co_return;
  const auto absent_before = std::exchange(absent_, {});
  for (WaitingPeer& at : *waiting) {
    if (stopped_) co_return;
    if (streams_.contains(at.peer.value())) {
      co_await dispatch(std::move(at.peer));
      continue;
    }
    // One that is about to open is here at the second look.
    const auto before = absent_before.find(at.peer.value());
    if (before == absent_before.end() || before->second != at.epoch) {
      absent_.emplace(at.peer.value(), at.epoch);
      look_again_ = true;
      continue;
    }
    auto closing =
        agents_.close_job_stream(clock_.now() + options_.deadline, std::move(at.peer), at.epoch);
    ignore(co_await std::move(closing), "other looks follow");
  }
}

asio::awaitable<void> Jobs::run() {
  const auto self = shared_from_this();
  hub_.on_job_message([weak = weak_from_this()](const BusMessage& message) {
    if (const auto jobs = weak.lock()) jobs->on_message(message);
  });
  hub_.on_reassert([weak = weak_from_this()] {
    if (const auto jobs = weak.lock()) jobs->start_check();
  });
  Instant next_sweep = clock_.now() + options_.sweep;
  for (;;) {
    co_await clock_.sleep_for(options_.poll);
    if (stopped_) co_return;
    if (!streams_.empty() || std::exchange(look_again_, false)) co_await look_for_waiting();
    if (clock_.now() < next_sweep) continue;
    next_sweep = clock_.now() + options_.sweep;
    start_check();  // of ends that were told and not heard
    if (!options_.my_turn || options_.my_turn()) co_await sweep();
  }
}

asio::awaitable<void> Jobs::sweep() {
  const auto failed =
      co_await agents_.fail_stuck_jobs(clock_.now() + options_.deadline, options_.wait);
  if (failed && *failed > 0) {
    counters_.stuck.fetch_add(*failed, std::memory_order_relaxed);
    log_.info("jobs that nobody will finish marked failed", {log::f(log::kCount, *failed)});
  }
  ignore(co_await agents_.forget_tokens(clock_.now() + options_.deadline),
         "tried again at the next sweep");
}

}  // namespace nb::management::app
