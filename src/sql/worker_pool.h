// Threads with one connection each, fed from bounded queues. Private to sql/.
#pragma once

#include "sql/connection.h"
#include "sql/metrics.h"

#include <boost/asio/any_io_executor.hpp>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace nb::sql {

/// One unit of work on its way through the pool. `finish` is called exactly once: on `home`, or
/// without one from any thread.
struct Job {
  Instant deadline{};
  Instant asked = std::chrono::steady_clock::now();
  RunOptions options;
  std::function<Result<>(Session&)> work;
  boost::asio::any_io_executor home;
  std::function<void(Result<>)> finish;
  std::atomic<bool> cancelled{false};
};
using JobPtr = std::shared_ptr<Job>;

struct Ended {
  JobPtr job;
  Result<> result;
};
/// Tells who asked, in this order; those of one home by one message, which wakes it once.
void finish_all(std::vector<Ended> ended);

/// A queue and the workers that serve it: all of PostgreSQL, or SQLite's writer, or its readers.
class WorkerPool {
 public:
  using MakeConnection = std::function<std::unique_ptr<Connection>()>;
  /// `idle_max`: a worker without a job for so long closes its connection; zero: it never does.
  WorkerPool(std::size_t workers, std::size_t queue_max, std::chrono::milliseconds idle_max,
             MakeConnection make, SqlMetrics& metrics);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// A full queue or a stopped pool ends the job at once.
  void submit(JobPtr job);
  /// Ends a queued job with kCancelled; asks a running one to end.
  void cancel(const JobPtr& job);
  void stop();

 private:
  void work();
  void watch();
  JobPtr take(std::unique_lock<std::mutex>& lock, Connection& connection,
              std::condition_variable& wake);
  JobPtr next_job();
  /// Work of relaxed durability whose turn it is, for Company.
  JobPtr next_relaxed();
  void run(Connection& connection, const JobPtr& job);
  void wake_one();
  void end_queued(std::unique_lock<std::mutex>& lock, const std::vector<JobPtr>& jobs,
                  const Error& error);

  const std::size_t queue_max_;
  const std::size_t bulk_max_;
  const std::chrono::milliseconds idle_max_;
  MakeConnection make_;
  SqlMetrics& metrics_;
  std::mutex mutex_;
  std::vector<std::condition_variable*> idle_;  // workers that wait, the last one last
  std::condition_variable
      wake_watch_;  // the thread that ends jobs whose deadline passed in the queue
  Instant look_at_ = Instant::max();  // it looks at the queue then
  std::deque<JobPtr> queue_;
  std::size_t running_bulk_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

class Company;

/// Runs the job's work on the connection: transaction, retries, deadline. With `company`, other
/// work in the same transaction.
Result<> run_job(Connection& connection, Job& job, SqlMetrics& metrics, Company* company = nullptr);

}  // namespace nb::sql
