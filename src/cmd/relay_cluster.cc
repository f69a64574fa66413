#include "cmd/relay_cluster.h"

#include "base/build_info.h"
#include "base/log_keys.h"
#include "base/task_group.h"
#include "ha/redis/adapters.h"
#include "redis/client.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <chrono>
#include <future>
#include <utility>

namespace nb::cmd {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {
constexpr std::chrono::milliseconds kTtl{30'000};
constexpr std::chrono::milliseconds kBeat{10'000};
constexpr std::chrono::milliseconds kRetry{500};
constexpr std::chrono::seconds kStopMax{4};
constexpr std::string_view kAddressMark = " address=";

std::string metadata_of(const std::string& url) {
  return fmt::format("version={}{}{}", build_version(), kAddressMark, url);
}
}  // namespace

struct RelayCluster::Impl {
  Impl(const HaConfig& config, std::string own_url, redis::Options options, net::LoopPool& loops,
       MetricRegistry& registry, Health& health, Clock& time, const Logger& lines,
       const std::string& prefix)
      : url(std::move(own_url)),
        loop(loops.at(0)),
        clock(time),
        log(lines),
        redis_part(health.add(prefix + "redis", HealthState::kDegraded, "connecting")),
        address_part(health.add(prefix + "exposed_address", HealthState::kOk)),
        redis_metrics(registry),
        client(loop.executor(), std::move(options), redis_metrics, log),
        membership(
            std::make_unique<ha::RedisMemberStore>(client, "relay"), clock,
            ha::InstanceId(config.instance_id),
            ha::make_incarnation(clock.wall(), ha::system_random()()),
            {.service = "relay", .ttl = kTtl, .interval = kBeat, .metadata = metadata_of(url)}),
        tasks(loop.executor()) {
    client.set_events({.on_up = [this](std::uint64_t) { on_redis(true); },
                       .on_down = [this](std::uint64_t, const Error&) { on_redis(false); }});
  }

  void start() {
    client.start();
    tasks.spawn(beat_for_ever());
  }
  asio::awaitable<void> stop() {
    co_await tasks.stop();
    const auto left = co_await membership.leave();
    ignore(left, "without Redis the key expires by itself");
    co_await client.stop();
  }
  asio::awaitable<void> beat_for_ever() {
    for (;;) {
      const auto beaten = co_await membership.beat();
      if (beaten) judge();
      co_await clock.sleep_for(beaten ? kBeat : kRetry);
    }
  }
  void on_redis(bool up) {
    redis_part.set(up ? HealthState::kOk : HealthState::kDegraded,
                   up ? "" : "not connected; peers are served");
  }

  /// Of two relays with one id or one address the one that started later yields.
  void judge() {
    std::string why;
    if (membership.duplicate()) why = "another live relay uses this instance id";
    for (const ha::Member& member : membership.members()) {
      if (member.id == membership.self() || !(member.incarnation < membership.incarnation()))
        continue;
      const auto at = member.metadata.find(kAddressMark);
      if (at == std::string::npos || member.metadata.substr(at + kAddressMark.size()) != url)
        continue;
      why = fmt::format("relay '{}' has the same exposed address", member.id.value());
    }
    if (why == told) return;
    told = why;
    if (why.empty()) return address_part.set(HealthState::kOk);
    log.error("two relays as one: their peers would never meet",
              {log::f(log::kReason, why), log::f("url", url)});
    address_part.set(HealthState::kDown, why);
  }

  const std::string url;
  net::Loop& loop;
  Clock& clock;
  Logger log;
  Health::Part redis_part;
  Health::Part address_part;
  redis::Metrics redis_metrics;
  redis::Client client;
  ha::StoreMembership membership;
  TaskGroup tasks;
  std::string told;
};

Result<std::unique_ptr<RelayCluster>> RelayCluster::make(const HaConfig& config, std::string url,
                                                         net::LoopPool& loops,
                                                         MetricRegistry& registry, Health& health,
                                                         Clock& clock, const Logger& log,
                                                         const std::string& health_prefix) {
  if (!config.enabled) return std::unique_ptr<RelayCluster>();
  NB_LET(redis::Options options,
         redis_options(config.redis, "netbird-relay " + config.instance_id));
  return std::unique_ptr<RelayCluster>(
      new RelayCluster(std::make_unique<Impl>(config, std::move(url), std::move(options), loops,
                                              registry, health, clock, log, health_prefix)));
}

RelayCluster::RelayCluster(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RelayCluster::~RelayCluster() = default;

void RelayCluster::start() {
  impl_->loop.post([this] { impl_->start(); });
}

void RelayCluster::stop() {
  auto done = asio::co_spawn(impl_->loop.executor(), impl_->stop(), asio::use_future);
  if (done.wait_for(kStopMax) != std::future_status::ready)
    impl_->log.warn("Redis did not take our farewell in time");
}

}  // namespace nb::cmd
