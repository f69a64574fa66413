// Jobs of agents: made anywhere, sent by the instance that holds the peer's Job stream.
//
// The database decides everything: which stream is the peer's newest, which job it was given, what
// became of it. Messages between instances only save waiting for the next poll, or, where they end
// a stream that is not the newest any more, for the next look at all sessions (sync_hub.h).
// Source   contract/management-grpc.md §5.10, network-map.md §1.14.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/task_group.h"
#include "management/app/sync_hub.h"
#include "management/store/agent_store.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace nb::management::app {

/// The far end of a Job stream. Called on home; must not block.
class JobSink {
 public:
  virtual ~JobSink() = default;
  virtual void send(const Job& job) = 0;
  /// A newer stream of the peer exists, or it may have none any more.
  virtual void end() = 0;
};

struct JobsOptions {
  InstanceId instance;
  std::int64_t incarnation = 0;
  std::chrono::milliseconds poll{2'000};       // for jobs whose message was lost
  std::chrono::milliseconds sweep{30'000};     // for jobs nobody will finish
  std::chrono::seconds wait{300};              // a job not sent by then has failed
  std::chrono::milliseconds deadline{10'000};  // of one question to the database
  /// Whether it is on this instance to sweep; empty: always.
  std::function<bool()> my_turn{};
};

struct JobCounters {
  std::atomic<std::uint64_t> streams{0};
  std::atomic<std::uint64_t> sent{0};
  std::atomic<std::uint64_t> completed{0};
  std::atomic<std::uint64_t> unknown_results{0};  // for a job that is none, or done already
  std::atomic<std::uint64_t> stuck{0};
  std::atomic<std::uint64_t> fenced{0};  // streams ended without a message that said so
};

/// Threads  public functions may be called from anywhere.
class Jobs : public std::enable_shared_from_this<Jobs> {
 public:
  Jobs(boost::asio::any_io_executor home, AgentStore& agents, Store& store, SyncHub& hub,
       Clock& clock, JobsOptions options, Logger log);
  void start();
  boost::asio::awaitable<void> stop();

  // --- for operators --------------------------------------------------------------------------

  /// Errors   kNotFound "peer not found: <id>"; kOutOfRange: not connected, or one is pending;
  ///          kFailedPrecondition: the agent is too old for jobs.
  Task<Job> create(Instant deadline, Job job);
  Task<std::vector<Job>> list(Instant deadline, AccountId account, PeerId peer);
  Task<Job> get(Instant deadline, AccountId account, PeerId peer, std::string id);

  // --- for streams ----------------------------------------------------------------------------

  /// Errors   kPermissionDenied "peer is not registered"; kUnavailable.
  Task<JobStreamOpened> open(Instant deadline, PeerKey key, std::shared_ptr<JobSink> sink);
  boost::asio::awaitable<void> finished(JobResult result);
  /// The stream has ended. `unfinished`: with a job that was sent and not answered; then the
  /// database is told, again and again until it has taken it.
  boost::asio::awaitable<void> closed(PeerId peer, std::int64_t epoch, bool unfinished);
  /// A job came too late to be sent on the stream, of whose end closed() is told as ever.
  boost::asio::awaitable<void> undelivered(PeerId peer, std::int64_t epoch);

  [[nodiscard]] const JobCounters& counters() const { return counters_; }

 private:
  struct Stream {
    std::int64_t epoch = 0;
    std::shared_ptr<JobSink> sink;
    std::shared_ptr<void> endings;  // SyncHub::watch_endings()
  };
  void on_message(const BusMessage& message);
  void supersede(const std::string& peer, std::int64_t epoch);
  /// Compares all streams with the database.
  void start_check();
  boost::asio::awaitable<void> check();
  boost::asio::awaitable<bool> check_batch(std::vector<OpenSession> batch);
  void end(const std::string& peer);
  boost::asio::awaitable<void> dispatch(PeerId peer);
  boost::asio::awaitable<void> look_for_waiting();
  boost::asio::awaitable<void> run();
  boost::asio::awaitable<void> sweep();

  const boost::asio::any_io_executor home_;
  AgentStore& agents_;
  Store& store_;
  SyncHub& hub_;
  Clock& clock_;
  const JobsOptions options_;
  const Logger log_;
  TaskGroup tasks_;
  JobCounters counters_;
  std::unordered_map<std::string, Stream> streams_;  // by peer id; on home
  /// Epochs of streams that the last look found jobs waiting for, and that are not here: they have
  /// ended, or are about to open.
  std::unordered_map<std::string, std::int64_t> absent_;
  bool look_again_ = false;  // also when no stream is open
  bool checking_ = false;
  bool check_again_ = false;
  bool stopped_ = false;
};

}  // namespace nb::management::app
