#include "sql/worker_pool.h"

#include "sql/company.h"
#include "sql/never_began.h"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <iterator>
#include <random>
#include <utility>

namespace nb::sql {
namespace {

/// Begins the text of no error of a driver.
constexpr std::string_view kNotBegun = "SQL work never began: ";

Error not_begun(Code code, std::string_view why) {
  return fail(code, "{}{}", kNotBegun, why);
}

/// Between two looks at a queue with jobs that are late.
constexpr std::chrono::milliseconds kWatchInterval{20};
constexpr std::chrono::milliseconds kRetryDelay{5};
constexpr std::chrono::milliseconds kRetryDelayMax{500};

std::chrono::milliseconds retry_delay(int attempt) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  const auto base = std::min(kRetryDelay * (1 << std::min(attempt, 8)), kRetryDelayMax);
  return std::chrono::milliseconds(std::uniform_int_distribution<std::chrono::milliseconds::rep>(
      base.count() / 2, base.count())(random));
}

struct Attempt {
  Result<> result;
  bool in_doubt = false;
  bool in_company = false;  // others' work may be why it failed
  bool stale = false;  // a connection from the pool turned out to be dead before anything was done
};

/// As far as the COMMIT.
Result<> do_work(Connection& connection, const Job& job, Company* company) {
  auto done = job.work(connection);
  if (connection.durability_fell_short()) return connection.require_full_durability();
  if (done && company != nullptr && connection.in_transaction())
    return company->join(connection, job);
  return done;
}

Attempt attempt_once(Connection& connection, const Job& job, SqlMetrics& metrics,
                     Company* company) {
  Attempt out;
  const auto opened = connection.ensure_open();
  if (!opened) {
    out.result = opened.error();
    return out;
  }
  if (!*opened) metrics.connects_total.Increment();
  out.result = connection.begin(job.options);
  if (!out.result) {
    out.stale = *opened;
    connection.rollback();
    return out;
  }
  out.result = do_work(connection, job, company);
  if (out.result) out.result = connection.commit(out.in_doubt);
  if (!out.result) connection.rollback();
  if (company != nullptr) out.in_company = company->settle(static_cast<bool>(out.result));
  return out;
}

/// PostgreSQL relaxes nothing: its instances survive it.
Durability durability_on(const Connection& connection, const Job& job) {
  return connection.engine() == Engine::kSqlite ? job.options.durability : Durability::kFull;
}

bool relaxed(const Job& job) {
  return job.options.durability == Durability::kRelaxed;
}

/// Only what the driver reported is tried again, not what the work decided by itself.
bool may_retry(const Connection& connection, const Job& job, const Attempt& attempt) {
  const Code code = attempt.result.error().code;
  if (code != connection.failure() || attempt.in_doubt) return false;
  if (code == Code::kAborted) return true;
  // A lone statement that writes may have been done when the connection broke.
  return code == Code::kUnavailable && (!job.options.single_statement || job.options.read_only);
}

}  // namespace

Result<> run_job(Connection& connection, Job& job, SqlMetrics& metrics, Company* company) {
  const Instant start = std::chrono::steady_clock::now();
  Result<> result;
  for (int attempt = 1;; ++attempt) {
    const Durability durability = durability_on(connection, job);
    connection.set_limits(job.deadline, &job.cancelled, durability);
    const bool alone = durability == Durability::kFull;
    Attempt done = attempt_once(connection, job, metrics, alone ? nullptr : company);
    result = std::move(done.result);
    if (connection.durability_fell_short() || (!result && done.in_company)) {
      if (connection.durability_fell_short()) job.options.durability = Durability::kFull;
      company = nullptr;
      --attempt;  // nothing has failed
      continue;
    }
    if (result || attempt >= job.options.attempts_max || job.cancelled) break;
    done.result = result;
    if (!may_retry(connection, job, done)) break;
    const auto delay = done.stale ? std::chrono::milliseconds(0) : retry_delay(attempt);
    if (std::chrono::steady_clock::now() + delay >= job.deadline) break;
    metrics.retries_total.Increment();
    std::this_thread::sleep_for(delay);
  }
  metrics.ran(start - job.asked, std::chrono::steady_clock::now() - start,
              result && !job.options.read_only);
  return result;
}

bool never_began(const Error& error) {
  return error.text.starts_with(kNotBegun);
}

void finish_all(std::vector<Ended> ended) {
  const auto tell = [](std::vector<Ended>& those) {
    for (Ended& each : those) each.job->finish(std::move(each.result));
  };
  while (!ended.empty()) {
    const auto home = ended.front().job->home;
    const auto others = std::stable_partition(
        ended.begin(), ended.end(), [&](const Ended& each) { return each.job->home == home; });
    std::vector<Ended> rest(std::make_move_iterator(others), std::make_move_iterator(ended.end()));
    ended.erase(others, ended.end());
    if (home)
      boost::asio::post(home, [tell, those = std::move(ended)]() mutable { tell(those); });
    else
      tell(ended);
    ended = std::move(rest);
  }
}

namespace {

Result<> run_or_refuse(Connection& connection, Job& job, SqlMetrics& metrics,
                       Company* company = nullptr) {
  if (job.cancelled) return not_begun(Code::kCancelled, "cancelled");
  if (std::chrono::steady_clock::now() >= job.deadline)
    return not_begun(Code::kDeadlineExceeded, "waited too long for a connection");
  return run_job(connection, job, metrics, company);
}

}  // namespace

WorkerPool::WorkerPool(std::size_t workers, std::size_t queue_max,
                       std::chrono::milliseconds idle_max, MakeConnection make, SqlMetrics& metrics)
    : queue_max_(queue_max),
      bulk_max_(workers > 3 ? workers / 2 : 1),
      idle_max_(idle_max),
      make_(std::move(make)),
      metrics_(metrics) {
  threads_.reserve(workers + 1);
  for (std::size_t i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
  threads_.emplace_back([this] { watch(); });
}

WorkerPool::~WorkerPool() {
  stop();
}

void WorkerPool::submit(JobPtr job) {
  Error refused;
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_ && queue_.size() < queue_max_) {
      // A worker that waits takes it at once; nobody has to see to its deadline.
      const bool may_wait = idle_.empty() || job->options.bulk;
      if (may_wait && job->deadline < look_at_) {
        look_at_ = job->deadline;
        wake_watch_.notify_one();
      }
      queue_.push_back(std::move(job));
      metrics_.queue_depth.Increment();
      wake_one();
      return;
    }
    refused = stopping_ ? not_begun(Code::kUnavailable, "database is closed")
                        : not_begun(Code::kResourceExhausted,
                                    fmt::format("queue is full ({} waiting)", queue_max_));
  }
  metrics_.rejected_total.Increment();
  finish_all({{std::move(job), std::move(refused)}});
}

void WorkerPool::cancel(const JobPtr& job) {
  job->cancelled = true;
  std::unique_lock lock(mutex_);
  const auto it = std::find(queue_.begin(), queue_.end(), job);
  if (it == queue_.end()) return;
  queue_.erase(it);
  end_queued(lock, {job}, not_begun(Code::kCancelled, "cancelled"));
}

void WorkerPool::stop() {
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    const std::vector<JobPtr> left(queue_.begin(), queue_.end());
    queue_.clear();
    while (!idle_.empty()) wake_one();
    wake_watch_.notify_all();
    end_queued(lock, left, not_begun(Code::kCancelled, "database is closed"));
  }
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

void WorkerPool::end_queued(std::unique_lock<std::mutex>& lock, const std::vector<JobPtr>& jobs,
                            const Error& error) {
  metrics_.queue_depth.Decrement(static_cast<double>(jobs.size()));
  lock.unlock();
  std::vector<Ended> ended;
  for (const JobPtr& job : jobs) ended.push_back({job, error});
  finish_all(std::move(ended));
}

void WorkerPool::wake_one() {
  if (idle_.empty()) return;
  // The last one to fall asleep: the caches of its core and of its connection are warm.
  idle_.back()->notify_one();
  idle_.pop_back();
}

/// Null: nothing that may run now.
JobPtr WorkerPool::next_job() {
  const auto it = std::find_if(queue_.begin(), queue_.end(), [this](const JobPtr& job) {
    return !job->options.bulk || running_bulk_ < bulk_max_;
  });
  if (it == queue_.end()) return nullptr;
  JobPtr job = std::move(*it);
  queue_.erase(it);
  metrics_.queue_depth.Decrement();
  if (job->options.bulk) ++running_bulk_;
  return job;
}

JobPtr WorkerPool::next_relaxed() {
  const std::lock_guard lock(mutex_);
  if (stopping_ || queue_.empty() || !relaxed(*queue_.front())) return nullptr;
  JobPtr job = std::move(queue_.front());
  queue_.pop_front();
  metrics_.queue_depth.Decrement();
  return job;
}

void WorkerPool::run(Connection& connection, const JobPtr& job) {
  const auto end = [](const JobPtr& done, Result<> result) {
    done->work = nullptr;
    return Ended{done, std::move(result)};
  };
  if (durability_on(connection, *job) == Durability::kFull)
    return finish_all({end(job, run_or_refuse(connection, *job, metrics_))});
  Company company([this] { return next_relaxed(); }, metrics_);
  std::vector<Ended> ended{end(job, run_or_refuse(connection, *job, metrics_, &company))};
  for (auto& [member, result] : company.ended()) ended.push_back(end(member, std::move(result)));
  finish_all(std::move(ended));
  for (const JobPtr& each : company.left())
    finish_all({end(each, run_or_refuse(connection, *each, metrics_))});
}

JobPtr WorkerPool::take(std::unique_lock<std::mutex>& lock, Connection& connection,
                        std::condition_variable& wake) {
  // Counts from the last job, not from the last time that another worker was faster.
  const Instant idle_until = std::chrono::steady_clock::now() + idle_max_;
  bool may_close = idle_max_ > std::chrono::milliseconds(0);
  for (;;) {
    if (JobPtr job = next_job()) return job;
    if (stopping_) return nullptr;
    idle_.push_back(&wake);
    bool idle_for_long = false;
    if (may_close)
      idle_for_long = wake.wait_until(lock, idle_until) == std::cv_status::timeout;
    else
      wake.wait(lock);
    std::erase(idle_, &wake);  // if nobody woke it
    if (!idle_for_long) continue;
    // Woken for a job at this very moment: nobody else is.
    if (JobPtr job = next_job()) return job;
    may_close = false;
    lock.unlock();  // saying goodbye to the database may take a while
    connection.close();
    lock.lock();
  }
}

void WorkerPool::work() {
  const auto connection = make_();
  std::condition_variable wake;
  std::unique_lock lock(mutex_);
  while (JobPtr job = take(lock, *connection, wake)) {
    lock.unlock();
    const bool bulk = job->options.bulk;
    run(*connection, job);
    job.reset();
    lock.lock();
    if (bulk) {
      --running_bulk_;
      wake_one();
    }
  }
}

// All workers may be busy with a database that does not answer: what waits must still end in time.
void WorkerPool::watch() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (look_at_ == Instant::max())
      wake_watch_.wait(lock);
    else
      wake_watch_.wait_until(lock, look_at_);
    const Instant now = std::chrono::steady_clock::now();
    if (now < look_at_) continue;
    std::vector<JobPtr> late;
    look_at_ = Instant::max();
    for (const JobPtr& job : queue_) {
      if (job->deadline <= now)
        late.push_back(job);
      else
        look_at_ = std::min(look_at_, std::max(job->deadline, now + kWatchInterval));
    }
    if (late.empty()) continue;
    std::erase_if(queue_, [&](const JobPtr& job) { return job->deadline <= now; });
    metrics_.expired_total.Increment(static_cast<double>(late.size()));
    end_queued(lock, late, not_begun(Code::kDeadlineExceeded, "waited too long for a connection"));
    lock.lock();
  }
}

}  // namespace nb::sql
