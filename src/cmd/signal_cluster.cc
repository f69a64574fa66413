#include "cmd/signal_cluster.h"

#include "base/log_keys.h"
#include "base/task_group.h"
#include "ha/announcer.h"
#include "ha/redis/adapters.h"
#include "ha/redis/instance_board.h"
#include "redis/client.h"
#include "signal/exchange.h"
#include "signal/housekeeper.h"
#include "signal/signed_bus.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <future>
#include <utility>

namespace nb::cmd {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kStopMax{4};

std::uint64_t random_word() {
  return ha::system_random()();
}

ha::SealOptions seal_options(const HaConfig& config) {
  ha::SealOptions options;
  if (!config.secret.empty()) options.secrets.push_back(config.secret);
  if (!config.secret.empty() && !config.secret_previous.empty())
    options.secrets.push_back(config.secret_previous);
  return options;
}

signal::Router::Options router_options(const SignalConfig& config) {
  signal::Router::Options options;
  options.channel_prefix = config.channel_prefix;
  options.arrivals_channel = config.registry_key + ":arrivals";
  options.negative_ttl = config.limits.absent_cache;
  options.cache_max = config.limits.absent_cache_entries;
  options.send_timeout = config.limits.send_timeout;
  return options;
}

/// The streams of this process, seen from loop 0.
class LocalStreams final : public signal::ExchangeHost {
 public:
  explicit LocalStreams(signal::Service& service) : service_(service) {}
  [[nodiscard]] std::optional<std::uint64_t> stream_of(std::string_view peer) const override {
    const auto place = service_.context().registry.find(peer);
    if (!place) return std::nullopt;
    return place->stream;
  }
  void deliver(signal::Parcel parcel) override {
    const auto place = service_.context().registry.find(parcel.peer);
    home().hand(place ? place->loop : 0, std::move(parcel));
  }
  void reply(const signal::ReplyMail& reply) override {
    home().hand(signal::Shard::loop_of(reply.ticket), reply);
  }
  void end(signal::EndMail end) override {
    const auto place = service_.context().registry.find(end.peer);
    if (place) home().hand(place->loop, std::move(end));
  }
  void flapped(std::string_view peer) override { service_.flapped(peer); }

 private:
  [[nodiscard]] signal::Shard& home() { return service_.shard(0); }
  signal::Service& service_;
};

}  // namespace

/// Everything on loop 0, built in order, stopped in reverse.
struct SignalCluster::Impl {
  Impl(const SignalConfig& config, const redis::Options& options, net::LoopPool& loops,
       signal::Service& service_in, signal::SignalMetrics& signal_metrics, Host& host_in,
       const std::string& prefix)
      : loop(loops.at(0)),
        host(host_in),
        service(service_in),
        metrics(signal_metrics),
        clock(host.clock),
        log(host.log),
        redis_part(host.health.add(prefix + "redis", HealthState::kDegraded, "connecting")),
        id_part(host.health.add(prefix + "instance", HealthState::kOk)),
        redis_metrics(*host.metrics),
        refused(host.metrics->counter("nb_signal_bus_refused_total",
                                      "bus messages without a valid envelope")),
        client(loop.executor(), options, redis_metrics, log),
        bus(client, options, redis_metrics, log),
        membership(std::make_unique<ha::RedisMemberStore>(client, "signal"), clock,
                   ha::InstanceId(config.service.ha.instance_id),
                   ha::make_incarnation(clock.wall(), random_word()),
                   {.service = "signal",
                    .ttl = config.peer_ttl,
                    .interval = config.heartbeat_interval,
                    .metadata = {}}),
        directory(client, {.registry_key = config.registry_key, .peer_ttl = config.peer_ttl}),
        leases(loop.executor(),
               std::make_unique<ha::RedisLeaseStore>(client, "nb:signal:lock:", "nb:signal:fence:"),
               clock, ha::system_random()),
        signed_bus(bus,
                   ha::Sealer(membership.self(), random_word(), seal_options(config.service.ha)),
                   clock, [this](ha::Refusal) { refused.add(); }),
        streams(service_in),
        exchange(loop.executor(), {membership, directory, signed_bus}, {}, router_options(config),
                 random_word() >> 16U, metrics, clock, log),
        housekeeper(loop.executor(), membership, directory, &leases, clock,
                    {.beat_interval = config.heartbeat_interval},
                    {.on_store_lost = [this] { exchange.store_back(); },
                     .on_beat = [this](bool up) { on_beat(up); },
                     .on_purged = [this](std::size_t entries) { metrics.repairs.add(entries); }},
                    log),
        board(client, "signal"),
        probe(bus, clock, "nb:signal:probe:" + membership.self().value()),
        announcer({.facts = [this] { return facts(); },
                   .tell = [this](ha::FactsTeller::Told told) { return tell(std::move(told)); },
                   .drain_ordered =
                       [this] {
                         return board.drain_ordered(membership.self(), membership.incarnation());
                       },
                   .drain = [this] { host.program.request_drain(); },
                   .probe = &probe},
                  clock),
        tasks(loop.executor()) {
    client.set_events({.on_up = [this](std::uint64_t) { on_redis(true); },
                       .on_down = [this](std::uint64_t, const Error&) { on_redis(false); }});
    service_in.use_home(
        [this](std::vector<signal::HomeMail> mail) { exchange.receive(std::move(mail)); });
  }

  void start() {
    client.start();
    bus.start();
    exchange.start(streams);
    membership.set_metadata(announcer.now().text);
    housekeeper.start();
    tasks.spawn(announcer.run());
  }
  asio::awaitable<void> stop() {
    co_await tasks.stop();
    co_await housekeeper.stop();
    co_await exchange.stop();
    const auto left = co_await membership.leave();
    ignore(left, "without Redis the key expires by itself");
    co_await leases.stop();
    co_await bus.stop();
    co_await client.stop();
  }
  ha::InstanceFacts facts() const {
    ha::InstanceFacts out = host.facts();
    out.redis = redis_up ? "up" : "down";
    out.peers = service.context().registry.size();
    out.reclaimed = metrics.repairs.value();
    out.leases = leases.held();
    return out;
  }
  asio::awaitable<void> tell(ha::FactsTeller::Told told) {
    membership.set_metadata(std::move(told.text));
    if (told.news) housekeeper.beat_soon();
    co_return;
  }
  void on_redis(bool up) {
    redis_up = up;
    if (up) {
      redis_part.set(HealthState::kOk);
      housekeeper.beat_soon();
      exchange.store_back();
    } else {
      redis_part.set(HealthState::kDegraded, "not connected; peers of this instance are served");
      exchange.store_lost();
    }
  }
  void on_beat(bool up) {
    if (up) exchange.joined();
    if (const bool twin = membership.duplicate(); twin != duplicate) {
      duplicate = twin;
      if (twin) {
        log.error("another live instance uses this instance id",
                  {log::f(log::kInstance, membership.self().value())});
        id_part.set(HealthState::kDown, "another live instance uses this id");
      } else {
        id_part.set(HealthState::kOk);
      }
    }
  }

  net::Loop& loop;
  Host& host;
  signal::Service& service;
  signal::SignalMetrics& metrics;
  Clock& clock;
  Logger log;
  Health::Part redis_part;
  Health::Part id_part;
  redis::Metrics redis_metrics;
  FastCounter& refused;
  redis::Client client;
  ha::RedisBus bus;
  ha::StoreMembership membership;
  ha::RedisDirectory directory;
  ha::StoreLeases leases;
  signal::SignedBus signed_bus;
  LocalStreams streams;
  signal::Exchange exchange;
  signal::Housekeeper housekeeper;
  ha::RedisInstanceBoard board;
  ha::BusProbe probe;
  ha::Announcer announcer;
  TaskGroup tasks;
  bool duplicate = false;
  bool redis_up = false;
};

Result<std::unique_ptr<SignalCluster>> SignalCluster::make(
    const SignalConfig& config, net::LoopPool& loops, signal::Service& service,
    signal::SignalMetrics& metrics, Host& host, const std::string& health_prefix) {
  const HaConfig& ha = config.service.ha;
  if (!ha.enabled) return std::unique_ptr<SignalCluster>();
  NB_LET(const redis::Options options, redis_options(ha.redis, "netbird-signal " + ha.instance_id));
  return std::unique_ptr<SignalCluster>(new SignalCluster(
      std::make_unique<Impl>(config, options, loops, service, metrics, host, health_prefix)));
}

SignalCluster::SignalCluster(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SignalCluster::~SignalCluster() = default;

void SignalCluster::start() {
  impl_->loop.post([this] { impl_->start(); });
}

void SignalCluster::stop() {
  auto done = asio::co_spawn(impl_->loop.executor(), impl_->stop(), asio::use_future);
  if (done.wait_for(kStopMax) != std::future_status::ready)
    impl_->log.warn("Redis did not take our farewell in time", {});
}

}  // namespace nb::cmd
