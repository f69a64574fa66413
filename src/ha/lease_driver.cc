#include "ha/lease_driver.h"

#include "base/task_group.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <map>
#include <optional>
#include <utility>

namespace nb::ha {
namespace asio = boost::asio;

/// One lease that was granted, shared by its handle and its renewal.
struct HeldLease {
  HeldLease(asio::any_io_executor home, Resource name, std::string own_token,
            std::chrono::milliseconds time, std::uint64_t number, Instant asked)
      : resource(std::move(name)),
        token(std::move(own_token)),
        ttl(time),
        fence(number),
        holder(time, asked),
        renewal(std::move(home)) {}
  Resource resource;
  std::string token;
  std::chrono::milliseconds ttl;
  std::uint64_t fence;
  LeaseHolder holder;
  std::function<void()> on_lost;
  bool lost = false;
  TaskGroup renewal;
};

/// One acquire(): runs in the core's group, so that a grant is never orphaned by cancellation.
struct LeaseAttempt {
  explicit LeaseAttempt(const asio::any_io_executor& home)
      : done(home, asio::steady_timer::time_point::max()) {}
  Result<std::shared_ptr<HeldLease>> outcome;
  bool finished = false;
  bool abandoned = false;
  asio::steady_timer done;  // cancelled when finished; never expires
};

struct StoreLeases::Core : std::enable_shared_from_this<Core> {
  Core(asio::any_io_executor executor, std::unique_ptr<LeaseStore> adapter, Clock& time,
       Random bits)
      : home(std::move(executor)),
        store(std::move(adapter)),
        clock(time),
        random(std::move(bits)),
        tasks(home) {}

  asio::awaitable<void> seek(std::shared_ptr<LeaseAttempt> attempt, Resource resource,
                             AcquireOptions options);
  asio::awaitable<Result<std::shared_ptr<HeldLease>>> try_until(
      std::shared_ptr<LeaseAttempt> attempt, Resource resource, AcquireOptions options);
  asio::awaitable<void> keep(std::shared_ptr<HeldLease> lease);
  asio::awaitable<void> watch(std::shared_ptr<HeldLease> lease);
  void begin(const std::shared_ptr<HeldLease>& lease) {
    held[lease->token] = lease;
    lease->renewal.spawn(keep(lease));
    lease->renewal.spawn(watch(lease));
  }
  asio::awaitable<void> finish(std::shared_ptr<HeldLease> lease);
  asio::awaitable<void> stop();
  void lose(const std::shared_ptr<HeldLease>& lease);

  asio::any_io_executor home;
  std::unique_ptr<LeaseStore> store;
  Clock& clock;
  Random random;
  TaskGroup tasks;
  std::map<std::string, std::shared_ptr<HeldLease>> held;  // by token
  bool stopping = false;
};

namespace {

class LeaseHandle final : public Lease::Impl {
 public:
  LeaseHandle(std::weak_ptr<StoreLeases::Core> core, std::shared_ptr<HeldLease> lease)
      : core_(std::move(core)), lease_(std::move(lease)) {}
  ~LeaseHandle() override {
    lease_->on_lost = nullptr;
    const auto core = core_.lock();
    if (core && !released_) core->tasks.spawn(core->finish(lease_));
  }
  [[nodiscard]] bool held() const override {
    const auto core = core_.lock();
    return core && !released_ && lease_->holder.held(core->clock.now());
  }
  [[nodiscard]] Instant until() const override { return lease_->holder.until(); }
  [[nodiscard]] std::uint64_t fence() const override { return lease_->fence; }
  void on_lost(std::function<void()> call) override {
    if (!lease_->lost) {
      lease_->on_lost = std::move(call);
    } else if (call) {
      call();
    }
  }
  asio::awaitable<void> release() override {
    released_ = true;
    lease_->on_lost = nullptr;
    const auto core = core_.lock();
    if (core) co_await core->finish(lease_);
  }

 private:
  std::weak_ptr<StoreLeases::Core> core_;
  std::shared_ptr<HeldLease> lease_;
  bool released_ = false;
};

}  // namespace

asio::awaitable<Result<std::shared_ptr<HeldLease>>> StoreLeases::Core::try_until(
    std::shared_ptr<LeaseAttempt> attempt, Resource resource, AcquireOptions options) {
  const Instant deadline = clock.now() + options.wait;
  const std::string token = fmt::format("{:016x}{:016x}", random(), random());
  for (int round = 0;; ++round) {
    const Instant asked = clock.now();
    const auto reply = co_await store->take(resource.value(), token, options.ttl);
    if (!reply) {
      // It may have been granted: nobody knows the token but us, so give it back.
      tasks.spawn([](std::shared_ptr<Core> self, std::string name,
                     std::string own) -> asio::awaitable<void> {
        ignore(co_await self->store->release(name, own), "it expires by itself");
      }(shared_from_this(), resource.value(), token));
      co_return reply.error();
    }
    if (reply->granted) {
      co_return std::make_shared<HeldLease>(home, resource, token, options.ttl, reply->fence,
                                            asked);
    }
    if (options.wait.count() == 0) {
      co_return fail(Code::kFailedPrecondition, "lease '{}': held elsewhere", resource.value());
    }
    const auto pause = lease_backoff(round, reply->remaining, random());
    if (attempt->abandoned || clock.now() + pause > deadline) {
      co_return fail(Code::kDeadlineExceeded, "lease '{}': not free within {} ms", resource.value(),
                     options.wait.count());
    }
    co_await clock.sleep_for(pause);
  }
}

asio::awaitable<void> StoreLeases::Core::seek(std::shared_ptr<LeaseAttempt> attempt,
                                              Resource resource, AcquireOptions options) {
  const auto finish_with = [](LeaseAttempt& at, Result<std::shared_ptr<HeldLease>> outcome) {
    at.outcome = std::move(outcome);
    at.finished = true;
    at.done.cancel();
  };
  // Also when stop() ends us in the middle.
  const std::shared_ptr<void> last_word(nullptr, [attempt, finish_with](void*) {
    if (!attempt->finished) finish_with(*attempt, fail(Code::kCancelled, "leases: stopped"));
  });
  auto outcome = co_await try_until(attempt, std::move(resource), options);
  if (outcome && !(*outcome)->holder.held(clock.now())) {
    // The answer took longer than the lease lasts.
    co_await finish(*outcome);
    outcome = fail(Code::kUnavailable, "lease '{}': the grant came too late",
                   (*outcome)->resource.value());
  }
  if (outcome && attempt->abandoned) {
    co_await finish(*outcome);
    co_return;
  }
  if (outcome) {
    begin(*outcome);
  }
  finish_with(*attempt, std::move(outcome));
}

void StoreLeases::Core::lose(const std::shared_ptr<HeldLease>& lease) {
  if (lease->lost) return;
  lease->holder.gone();
  lease->lost = true;
  held.erase(lease->token);
  if (const auto call = std::exchange(lease->on_lost, nullptr)) call();
}

namespace {
asio::awaitable<bool> cancelled() {
  const auto state = co_await asio::this_coro::cancellation_state;
  co_return state.cancelled() != asio::cancellation_type::none;
}
}  // namespace

asio::awaitable<void> StoreLeases::Core::keep(std::shared_ptr<HeldLease> lease) {
  while (!lease->lost) {
    co_await clock.sleep_for(lease->holder.renew_at() - clock.now());
    const bool ended = co_await cancelled();
    if (ended || lease->lost) co_return;  // finish() or watch() go on
    const Instant asked = clock.now();
    if (!lease->holder.held(asked)) co_return lose(lease);
    const auto renewed = co_await store->renew(lease->resource.value(), lease->token, lease->ttl);
    if (lease->lost) {
      // It came too late; what was extended is given back.
      ignore(co_await store->release(lease->resource.value(), lease->token),
             "it expires by itself");
      co_return;
    }
    if (!renewed) {
      lease->holder.unanswered(clock.now());
    } else if (*renewed) {
      lease->holder.renewed(asked);
    } else {
      co_return lose(lease);
    }
  }
}

/// Tells the holder in time, also while a renewal waits for a store that hangs.
asio::awaitable<void> StoreLeases::Core::watch(std::shared_ptr<HeldLease> lease) {
  while (!lease->lost) {
    co_await clock.sleep_for(lease->holder.until() - clock.now());
    const bool ended = co_await cancelled();
    if (ended) co_return;
    if (!lease->lost && !lease->holder.held(clock.now())) lose(lease);
  }
}

asio::awaitable<void> StoreLeases::Core::finish(std::shared_ptr<HeldLease> lease) {
  const auto self = shared_from_this();
  lease->holder.gone();
  held.erase(lease->token);
  co_await lease->renewal.stop();
  if (lease->lost) co_return;
  ignore(co_await store->release(lease->resource.value(), lease->token), "it expires by itself");
}

asio::awaitable<void> StoreLeases::Core::stop() {
  const auto self = shared_from_this();
  stopping = true;
  while (!held.empty()) {
    const auto lease = held.begin()->second;
    lose(lease);  // whoever still works under it learns now
    lease->lost = false;
    co_await finish(lease);
  }
  co_await tasks.stop();
}

StoreLeases::StoreLeases(asio::any_io_executor home, std::unique_ptr<LeaseStore> store,
                         Clock& clock, Random random)
    : core_(std::make_shared<Core>(std::move(home), std::move(store), clock, std::move(random))) {}

StoreLeases::~StoreLeases() = default;

asio::awaitable<void> StoreLeases::stop() {
  co_await core_->stop();
}

std::vector<std::string> StoreLeases::held() const {
  std::vector<std::string> out;
  for (const auto& [token, lease] : core_->held)
    if (lease->holder.held(core_->clock.now())) out.push_back(lease->resource.value());
  return out;
}

asio::awaitable<Result<Lease>> StoreLeases::acquire(Resource resource, AcquireOptions options) {
  NB_CO_TRY(check(resource, options));
  const auto core = core_;
  const auto attempt = std::make_shared<LeaseAttempt>(core->home);
  // If this coroutine is cancelled or destroyed while waiting, the grant is given back.
  const std::shared_ptr<void> abandon(nullptr, [attempt, weak = std::weak_ptr(core)](void*) {
    if (!attempt->finished) {
      attempt->abandoned = true;
      return;
    }
    const auto alive = weak.lock();
    if (alive && attempt->outcome) alive->tasks.spawn(alive->finish(*attempt->outcome));
  });
  if (core->stopping) co_return fail(Code::kCancelled, "leases: stopped");
  core->tasks.spawn(core->seek(attempt, std::move(resource), options));
  while (!attempt->finished) {
    co_await attempt->done.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  auto outcome = std::exchange(attempt->outcome, Result<std::shared_ptr<HeldLease>>{});
  if (!outcome) co_return std::move(outcome).error();
  co_return Lease(std::make_unique<LeaseHandle>(core, *outcome));
}

}  // namespace nb::ha
