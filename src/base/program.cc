#include "base/program.h"

#include "base/log_keys.h"
#include "base/signals.h"

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

namespace nb {

struct Program::Impl {
  Impl(Health& h, Logger l, ProgramLimits lim)
      : health(h),
        log(std::move(l)),
        limits(lim),
        signals(
            {.on_stop = [this](int) { request_stop(); }, .on_reload = [this] { run_reload(); }}) {}

  struct Waiter {
    std::mutex mutex;
    std::condition_variable changed;
    bool stop = false;
    bool drain = false;
  };

  void request_stop() {
    {
      const std::lock_guard lock(waiter.mutex);
      waiter.stop = true;
    }
    waiter.changed.notify_all();
  }
  void request_drain() {
    {
      const std::lock_guard lock(waiter.mutex);
      waiter.drain = true;
    }
    waiter.changed.notify_all();
  }
  void wait_for_stop() {
    std::unique_lock lock(waiter.mutex);
    waiter.changed.wait(lock, [this] { return waiter.stop; });
  }
  /// False: to drain and stay.
  bool wait_for_end() {
    std::unique_lock lock(waiter.mutex);
    waiter.changed.wait(lock, [this] { return waiter.stop || waiter.drain; });
    return waiter.stop;
  }
  void begin_draining() {
    log.info("draining", {log::f("delayMs", limits.drain_delay.count())});
    health.start_draining();
    std::this_thread::sleep_for(limits.drain_delay);
  }
  void drain_and_stay() {
    begin_draining();
    const auto total = std::chrono::steady_clock::now() + limits.stop_total;
    for (auto part = parts.rbegin(); part != parts.rend(); ++part)
      run_by(part->drain, *part, total);
    drained = true;
    log.info("drained: nobody is connected any more; waiting for SIGTERM");
    wait_for_stop();
  }

  void run_reload() {
    std::function<void()> work;
    {
      const std::lock_guard lock(waiter.mutex);
      work = reload;
    }
    if (work) work();
  }

  /// False: past its deadline. Its thread is left behind; the process is about to end anyway.
  bool run_by(const std::function<void()>& work, const Part& part,
              std::chrono::steady_clock::time_point total) const {
    if (!work) return true;
    const auto deadline = std::min(total, std::chrono::steady_clock::now() + part.stop_limit);
    std::promise<void> promise;
    auto done = promise.get_future();
    std::thread([work, promise = std::move(promise)]() mutable {
      work();
      promise.set_value();
    }).detach();
    if (done.wait_until(deadline) == std::future_status::ready) return true;
    log.error("a part did not stop in time and is left behind", {log::f("part", part.name)});
    return false;
  }

  bool stop_all(std::size_t started) const {
    const auto total = std::chrono::steady_clock::now() + limits.stop_total;
    bool clean = true;
    for (std::size_t i = started; i-- > 0;) clean &= run_by(parts[i].stop, parts[i], total);
    return clean;
  }

  Health& health;
  Logger log;
  ProgramLimits limits;
  std::vector<Part> parts;
  Waiter waiter;
  std::atomic<bool> drained{false};
  std::function<void()> reload;  // guarded by waiter.mutex
  Signals signals;               // last: its thread uses the others
};

Program::Program(Health& health, Logger log, ProgramLimits limits)
    : impl_(std::make_unique<Impl>(health, std::move(log), limits)) {}
Program::~Program() = default;

void Program::add(Part part) {
  impl_->parts.push_back(std::move(part));
}
void Program::on_reload(std::function<void()> reload) {
  const std::lock_guard lock(impl_->waiter.mutex);
  impl_->reload = std::move(reload);
}
void Program::request_stop() {
  impl_->request_stop();
}
void Program::request_drain() {
  impl_->request_drain();
}
bool Program::drained() const {
  return impl_->drained;
}

int Program::run() {
  std::size_t started = 0;
  for (const Part& part : impl_->parts) {
    const Result<> result = part.start ? part.start() : Result<>();
    if (!result) {
      impl_->log.error("cannot start",
                       {log::f("part", part.name), log::f(log::kError, result.error().text)});
      if (!impl_->stop_all(started)) ::_exit(1);
      return 1;
    }
    ++started;
  }
  impl_->log.info("started");
  if (impl_->wait_for_end())
    impl_->begin_draining();
  else
    impl_->drain_and_stay();
  const bool clean = impl_->stop_all(started);
  impl_->log.info("stopped", {log::f("clean", clean)});
  if (impl_->log.sink()) impl_->log.sink()->flush();
  // What a part left behind still uses the objects that returning would destroy.
  if (!clean) ::_exit(1);
  return 0;
}

}  // namespace nb
