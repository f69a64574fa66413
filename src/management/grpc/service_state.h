// What the calls of the service share, and what lives per loop. Private to management/grpc.
#pragma once

#include "base/task_group.h"
#include "management/app/admission_place.h"
#include "management/app/departures.h"
#include "management/grpc/recent_maps.h"
#include "management/grpc/service.h"

#include <boost/asio/co_spawn.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <unordered_set>
#include <utility>
#include <vector>

namespace nb::management::grpc {

class SyncSession;
class JobSession;

/// Only on its loop.
struct LoopState {
  explicit LoopState(net::Loop& on) : loop(on), tasks(on.executor()) {}
  net::Loop& loop;
  TaskGroup tasks;
  std::unordered_set<SyncSession*> syncs;
  std::unordered_set<JobSession*> jobs;
  /// Of the syncs, those whose map the transport has not taken whole; looked at each second.
  std::unordered_set<SyncSession*> unflushed;
  /// None of the syncs is due for fresh credentials before.
  Instant refresh_at = Instant::max();
  /// Their streams have ended, and they are not marked disconnected yet; the first one first.
  std::deque<std::shared_ptr<SyncSession>> leaving;

  [[nodiscard]] app::AdmissionPlace::Post poster() const {
    return [&to = loop](std::function<void()> work) { to.post(std::move(work)); };
  }
};

/// Job streams that ask the database at one time: few enough that each is answered within its
/// deadline by a database that takes half a second for one.
constexpr std::int64_t kJobOpeningsMax = 16;

/// For so long a peer may be back before it is marked disconnected, and up to a tick longer.
constexpr auto kReturnTime = std::chrono::seconds(1);

/// Peers that are marked disconnected at one time. Nobody waits for that, and when a balancer
/// restarts thousands of streams end at once: in the database's queue, where SQLite does one thing
/// after the other, they would stand in front of everybody who comes back.
constexpr std::int64_t kDeparturesMax = 4;

/// Outlives every call: calls hold it.
struct ServiceState {
  ServiceState(ServicePorts ports_in, ServiceOptions options_in, Logger log_in)
      : ports(std::move(ports_in)),
        options(std::move(options_in)),
        log(std::move(log_in)),
        addresses(options.address_limits),
        sync_openings(options.sync_admission),
        job_openings({.in_setup_max = kJobOpeningsMax,
                      .starting_max = kJobOpeningsMax,
                      .waiting_max = options.sync_admission.waiting_max,
                      .waiting_bytes_max = options.sync_admission.waiting_bytes_max,
                      .wait_max = options.sync_admission.wait_max}),
        departures({.in_setup_max = kDeparturesMax,
                    .starting_max = kDeparturesMax,
                    .waiting_max = std::numeric_limits<std::size_t>::max()}),
        login_(std::make_shared<const LoginSettings>(options.login)) {}

  ServicePorts ports;
  ServiceOptions options;
  Logger log;
  AddressLimiter addresses;
  app::StreamAdmission sync_openings;
  app::StreamAdmission job_openings;
  /// As many as there are streams, and sessions that may have begun without one
  /// (PeerSessions::abandoned): no more than calls that the database took.
  app::StreamAdmission departures;
  app::Departures departed;  // who waits for that, or to be back before
  RecentMaps recent_maps;
  std::vector<std::unique_ptr<LoopState>> loops;
  std::atomic<bool> draining{false};
  std::atomic<std::size_t> streams{0};

  [[nodiscard]] std::shared_ptr<const LoginSettings> login() const {
    const std::lock_guard lock(login_mutex_);
    return login_;
  }
  void learn(LoginSettings login) {
    auto next = std::make_shared<const LoginSettings>(std::move(login));
    const std::lock_guard lock(login_mutex_);
    login_ = std::move(next);
  }
  /// Whether an address may make one more call. Agents try again later; anything but
  /// kResourceExhausted would send their user to a login page.
  [[nodiscard]] Result<> allow(const std::string& ip, CallPrice price) {
    if (!addresses.on() || addresses.allow(ip, price, ports.clock.now())) return {};
    ports.metrics.addresses_limited.add();
    return fail(Code::kResourceExhausted, "too many requests from {}, please try again later", ip);
  }
  [[nodiscard]] LoopState& at(const net::Loop& loop) const { return *loops[loop.index()]; }
  [[nodiscard]] Instant deadline(const std::optional<Instant>& asked) const {
    const Instant ours = ports.clock.now() + options.unary_deadline;
    return asked && *asked < ours ? *asked : ours;
  }

 private:
  mutable std::mutex login_mutex_;
  std::shared_ptr<const LoginSettings> login_;
};

}  // namespace nb::management::grpc
