#include "cmd/mgmt_cluster.h"

#include "ha/redis/adapters.h"
#include "ha/redis/instance_board.h"
#include "ha/redis/rate_limiter.h"
#include "ha/sealed_bus.h"
#include "redis/client.h"
#include "redis/metrics.h"

#include <utility>

namespace nb::cmd {

namespace asio = boost::asio;

struct MgmtCluster::Impl {
  Impl(const MgmtConfig& config, asio::any_io_executor home, const redis::Options& options,
       MetricRegistry& registry, Health& health_in, Clock& clock, const Logger& log)
      : health(health_in.add("redis", HealthState::kDegraded, "connecting")),
        metrics(registry),
        errors(registry.counter("netbird_management_login_filter_errors_total",
                                "logins let through because Redis was away")),
        client(home, options, metrics, log),
        plain_bus(client, options, metrics, log),
        bus_metrics(registry),
        bus(plain_bus, ha::InstanceId(config.service.ha.instance_id), clock, ha::system_random(),
            {.secrets = secrets(config.service.ha)}, bus_metrics),
        directory(client,
                  {.registry_key = config.ha.peers_registry_key, .peer_ttl = config.ha.peer_ttl}),
        filter(client, config.ha.login_filter_key, {}, [this](const Error&) { errors.add(); }),
        deadlines(client, config.ha.ephemeral_key),
        leases(home,
               std::make_unique<ha::RedisLeaseStore>(client, config.ha.lock_prefix,
                                                     fence_prefix(config.ha.lock_prefix)),
               clock, ha::system_random()),
        signal_directory(client, {.registry_key = config.ha.signal_registry_key}),
        signal_board(client, "signal"),
        relay_board(client, "relay"),
        limiter(home, client, "nb:mgmt:limit:", clock) {
    client.set_events({.on_up =
                           [this](std::uint64_t) {
                             up = true;
                             health.set(HealthState::kOk);
                             if (on_up) on_up();
                           },
                       .on_down =
                           [this](std::uint64_t, const Error& why) {
                             up = false;
                             // Everything goes on over PostgreSQL: stay in the balancer.
                             health.set(HealthState::kDegraded, why.text);
                           }});
  }

  /// Beside the locks, under a name that no lock has.
  static std::string fence_prefix(const std::string& lock_prefix) {
    return lock_prefix == MgmtHaConfig{}.lock_prefix ? "nb:mgmt:fence:" : lock_prefix + "fence:";
  }
  /// Signs with the first, accepts all.
  static std::vector<Secret> secrets(const HaConfig& ha) {
    std::vector<Secret> out;
    if (!ha.secret.empty()) out.push_back(ha.secret);
    if (!ha.secret_previous.empty()) out.push_back(ha.secret_previous);
    return out;
  }

  Health::Part health;
  redis::Metrics metrics;
  FastCounter& errors;
  redis::Client client;
  ha::RedisBus plain_bus;
  ha::BusMetrics bus_metrics;
  ha::SealedBus bus;
  ha::RedisDirectory directory;
  ha::RedisLoginFilter filter;
  ha::RedisDeadlines deadlines;
  ha::StoreLeases leases;
  ha::RedisDirectory signal_directory;
  ha::RedisInstanceBoard signal_board;
  ha::RedisInstanceBoard relay_board;
  ha::RedisRateLimiter limiter;
  std::function<void()> on_up;
  bool up = false;
};

MgmtCluster::MgmtCluster(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MgmtCluster::~MgmtCluster() = default;

Result<std::unique_ptr<MgmtCluster>> MgmtCluster::make(const MgmtConfig& config,
                                                       asio::any_io_executor home,
                                                       MetricRegistry& registry, Health& health,
                                                       Clock& clock, const Logger& log) {
  NB_LET(const redis::Options options,
         redis_options(config.service.ha.redis, "netbird-mgmt/" + config.service.ha.instance_id));
  return std::unique_ptr<MgmtCluster>(new MgmtCluster(
      std::make_unique<Impl>(config, std::move(home), options, registry, health, clock, log)));
}

ha::MessageBus& MgmtCluster::bus() {
  return impl_->bus;
}
ha::PeerDirectory& MgmtCluster::directory() {
  return impl_->directory;
}
ha::LoginFilter& MgmtCluster::filter() {
  return impl_->filter;
}
ha::Deadlines& MgmtCluster::deadlines() {
  return impl_->deadlines;
}
ha::RateLimiter& MgmtCluster::limiter() {
  return impl_->limiter;
}
ha::Leases& MgmtCluster::leases() {
  return impl_->leases;
}
std::vector<std::string> MgmtCluster::held_leases() const {
  return impl_->leases.held();
}
std::vector<management::app::HaBoard> MgmtCluster::boards() {
  return {{"signal", &impl_->signal_board}, {"relay", &impl_->relay_board}};
}
ha::PeerDirectory& MgmtCluster::signal_directory() {
  return impl_->signal_directory;
}
bool MgmtCluster::redis_up() const {
  return impl_->up;
}
void MgmtCluster::on_up(std::function<void()> call) {
  impl_->on_up = std::move(call);
}

void MgmtCluster::start() {
  impl_->client.start();
  impl_->plain_bus.start();
}

asio::awaitable<void> MgmtCluster::stop() {
  co_await impl_->leases.stop();
  co_await impl_->plain_bus.stop();
  co_await impl_->client.stop();
}

}  // namespace nb::cmd
