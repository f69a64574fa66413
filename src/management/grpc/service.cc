#include "management/grpc/service.h"

#include "management/grpc/job_session.h"
#include "management/grpc/service_state.h"
#include "management/grpc/sync_session.h"
#include "management/grpc/unary_calls.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <future>
#include <thread>
#include <utility>

namespace nb::management::grpc {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto kTick = 1s;
constexpr std::size_t kDepartedAtOnce = 64;
constexpr auto kDrainStep = 50ms;

/// What streams cannot notice themselves. A session that ends leaves the sets later, by on_end().
void look_after(LoopState& loop, Instant now) {
  const std::vector<SyncSession*> unflushed(loop.unflushed.begin(), loop.unflushed.end());
  for (SyncSession* const session : unflushed) session->check_flushed();
  if (now < loop.refresh_at) return;
  Instant next = Instant::max();
  for (SyncSession* const session : loop.syncs) {
    session->refresh_due(now);
    next = std::min(next, session->refresh_at());
  }
  loop.refresh_at = next;
}

/// Of streams that have ended until `until`; thousands may have at once, and calls go on meanwhile.
void mark_departed(const std::shared_ptr<ServiceState>& service, LoopState* loop, Instant until) {
  const auto due = [&] {
    return !loop->leaving.empty() && loop->leaving.front()->ended_at() <= until;
  };
  for (std::size_t i = 0; i < kDepartedAtOnce && due(); ++i) {
    const auto session = std::move(loop->leaving.front());
    loop->leaving.pop_front();
    session->depart_now();
  }
  if (due()) loop->loop.post([service, loop, until] { mark_departed(service, loop, until); });
}

/// Credentials, streams whose bytes left unnoticed, and peers that did not come back.
asio::awaitable<void> tick(std::shared_ptr<ServiceState> service, LoopState* loop) {
  for (;;) {
    co_await service->ports.clock.sleep_for(kTick);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    const Instant now = service->ports.clock.now();
    look_after(*loop, now);
    mark_departed(service, loop, now - kReturnTime);
    service->sync_openings.expire(now);
    service->job_openings.expire(now);
  }
}

/// Of so many steps' sessions those of one step.
template <class Session>
void end_share(const std::vector<std::weak_ptr<Session>>& sessions, std::size_t step,
               std::size_t steps, const net::GrpcStatus& status) {
  for (std::size_t i = sessions.size() * step / steps; i < sessions.size() * (step + 1) / steps;
       ++i)
    if (const auto session = sessions[i].lock()) session->finish(status);
}

/// Ends the streams of one loop, some at a time, so that their agents come back spread: each
/// opening of a Job stream is a write of its own.
asio::awaitable<void> end_streams(std::shared_ptr<ServiceState> service, LoopState* loop) {
  mark_departed(service, loop, Instant::max());
  std::vector<std::weak_ptr<SyncSession>> syncs;
  std::vector<std::weak_ptr<JobSession>> jobs;
  for (SyncSession* const session : loop->syncs) syncs.push_back(session->weak_from_this());
  for (JobSession* const session : loop->jobs) jobs.push_back(session->weak_from_this());
  const net::GrpcStatus status{Code::kUnavailable, "server is shutting down"};
  const Instant began = service->ports.clock.now();
  const auto most = static_cast<std::size_t>(service->options.drain_spread / kDrainStep);
  const std::size_t steps =
      std::clamp<std::size_t>(most, 1, std::max({syncs.size(), jobs.size(), std::size_t{1}}));
  for (std::size_t step = 0; step < steps; ++step) {
    if (step > 0) co_await service->ports.clock.sleep_for(kDrainStep);
    end_share(syncs, step, steps, status);
    end_share(jobs, step, steps, status);
  }
  if (syncs.empty()) co_return;
  auto& metrics = service->ports.metrics;
  const auto took = service->ports.clock.now() - began;
  metrics.close_multiple.observe(static_cast<double>(syncs.size()));
  metrics.close_multiple_us.observe(std::chrono::duration<double, std::micro>(took).count());
}

}  // namespace

Service::Service(ServicePorts ports, net::LoopPool& loops, ServiceOptions options, Logger log)
    : state_(std::make_shared<ServiceState>(std::move(ports), std::move(options), std::move(log))) {
  // The library writes a line to stderr for every malformed text a stranger sends.
  google::protobuf::SetLogHandler(nullptr);
  for (std::size_t i = 0; i < loops.size(); ++i)
    state_->loops.push_back(std::make_unique<LoopState>(loops.at(i)));
}

Service::~Service() = default;

void Service::learn(LoginSettings login) {
  state_->learn(std::move(login));
}

void Service::add_to(net::GrpcRouter& router) {
  add_unary_calls(router, state_);
  router.stream("/management.ManagementService/Sync",
                [state = state_](net::GrpcCall& call) { return make_sync_handler(state, call); });
  router.stream("/management.ManagementService/Job",
                [state = state_](net::GrpcCall& call) { return make_job_handler(state, call); });
}

void Service::start() {
  for (const auto& loop : state_->loops)
    loop->loop.post([state = state_, at = loop.get()] { at->tasks.spawn(tick(state, at)); });
}

void Service::drain(std::chrono::milliseconds limit) {
  state_->draining = true;
  for (const auto& loop : state_->loops)
    loop->loop.post([state = state_, at = loop.get()] { at->tasks.spawn(end_streams(state, at)); });
  const Instant until = state_->ports.clock.now() + limit;
  const auto settled = [&] {
    // One task per loop is its tick; the others end streams and mark peers disconnected.
    for (const auto& loop : state_->loops) {
      std::promise<bool> idle;
      loop->loop.post([&] {
        idle.set_value(loop->syncs.empty() && loop->leaving.empty() && loop->tasks.size() <= 1);
      });
      if (!idle.get_future().get()) return false;
    }
    return state_->departures.in_setup() == 0 && state_->departures.waiting() == 0;
  };
  while (!settled() && state_->ports.clock.now() < until) std::this_thread::sleep_for(20ms);
}

void Service::stop() {
  state_->draining = true;                    // whoever leaves from now on is not waited for
  state_->departures.expire(Instant::max());  // they hold what holds them; others will mark them
  const auto stop = [](LoopState* loop) -> asio::awaitable<void> {
    loop->leaving.clear();
    co_await loop->tasks.stop();
  };
  for (const auto& loop : state_->loops)
    asio::co_spawn(loop->loop.executor(), stop(loop.get()), asio::use_future).get();
}

std::size_t Service::waiting() const {
  return state_->sync_openings.waiting();
}

std::size_t Service::jobs_waiting() const {
  return state_->job_openings.waiting();
}

std::size_t Service::recent_map_bytes() const {
  return state_->recent_maps.bytes();
}

std::size_t Service::streams() const {
  return state_->streams.load(std::memory_order_relaxed);
}

}  // namespace nb::management::grpc
