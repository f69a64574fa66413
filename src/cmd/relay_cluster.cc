#include "cmd/relay_cluster.h"

#include "base/log_keys.h"
#include "base/task_group.h"
#include "ha/announcer.h"
#include "ha/beat_due.h"
#include "ha/redis/adapters.h"
#include "ha/redis/instance_board.h"
#include "redis/client.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

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
constexpr std::chrono::milliseconds kTurn{100};
constexpr std::chrono::seconds kStopMax{4};
}  // namespace

struct RelayCluster::Impl {
  Impl(const HaConfig& config, std::string own_url, redis::Options options, net::LoopPool& loops,
       const relay::Service& service_in, Host& host_in, const std::string& prefix)
      : url(std::move(own_url)),
        loop(loops.at(0)),
        service(service_in),
        host(host_in),
        clock(host.clock),
        log(host.log),
        redis_part(host.health.add(prefix + "redis", HealthState::kDegraded, "connecting")),
        address_part(host.health.add(prefix + "exposed_address", HealthState::kOk)),
        redis_metrics(*host.metrics),
        client(loop.executor(), std::move(options), redis_metrics, log),
        membership(std::make_unique<ha::RedisMemberStore>(client, "relay"), clock,
                   ha::InstanceId(config.instance_id),
                   ha::make_incarnation(clock.wall(), ha::system_random()()),
                   {.service = "relay", .ttl = kTtl, .interval = kBeat, .metadata = {}}),
        board(client, "relay"),
        announcer({.facts = [this] { return facts(); },
                   .tell = [this](ha::FactsTeller::Told now) { return tell(std::move(now)); },
                   .drain_ordered =
                       [this] {
                         return board.drain_ordered(membership.self(), membership.incarnation());
                       },
                   .drain = [this] { host.program.request_drain(); }},
                  clock),
        tasks(loop.executor()) {
    client.set_events({.on_up = [this](std::uint64_t) { on_redis(true); },
                       .on_down = [this](std::uint64_t, const Error&) { on_redis(false); }});
  }

  void start() {
    client.start();
    membership.set_metadata(announcer.now().text);
    tasks.spawn(beat_for_ever());
    tasks.spawn(announcer.run());
  }
  asio::awaitable<void> stop() {
    co_await tasks.stop();
    const auto left = co_await membership.leave();
    ignore(left, "without Redis the key expires by itself");
    co_await client.stop();
  }
  asio::awaitable<void> beat_for_ever() {
    for (;;) {
      if (beat.due(clock.now())) {
        beat.begun();
        const auto beaten = co_await membership.beat();
        beat.ended(clock.now(), static_cast<bool>(beaten));
        if (beaten) judge();
      }
      co_await clock.sleep_for(kTurn);
    }
  }
  ha::InstanceFacts facts() const {
    ha::InstanceFacts out = host.facts();
    out.redis = redis_up ? "up" : "down";
    out.peers = service.peers();
    out.address = url;
    return out;
  }
  asio::awaitable<void> tell(ha::FactsTeller::Told now) {
    membership.set_metadata(std::move(now.text));
    if (now.news) beat.soon();
    co_return;
  }
  void on_redis(bool up) {
    redis_up = up;
    if (up) beat.soon();
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
      if (ha::parse_facts(member.metadata).address != url) continue;
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
  const relay::Service& service;
  Host& host;
  Clock& clock;
  Logger log;
  Health::Part redis_part;
  Health::Part address_part;
  redis::Metrics redis_metrics;
  redis::Client client;
  ha::StoreMembership membership;
  ha::RedisInstanceBoard board;
  ha::BeatDue beat{kBeat, kRetry};
  ha::Announcer announcer;
  TaskGroup tasks;
  bool redis_up = false;
  std::string told;
};

Result<std::unique_ptr<RelayCluster>> RelayCluster::make(const HaConfig& config, std::string url,
                                                         net::LoopPool& loops,
                                                         const relay::Service& service, Host& host,
                                                         const std::string& health_prefix) {
  if (!config.enabled) return std::unique_ptr<RelayCluster>();
  NB_LET(redis::Options options,
         redis_options(config.redis, "netbird-relay " + config.instance_id));
  return std::unique_ptr<RelayCluster>(new RelayCluster(std::make_unique<Impl>(
      config, std::move(url), std::move(options), loops, service, host, health_prefix)));
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
