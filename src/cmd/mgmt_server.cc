#include "cmd/mgmt_server.h"

#include "base/assert.h"
#include "base/log_keys.h"
#include "base/task_group.h"
#include "cmd/mgmt_announcer.h"
#include "cmd/mgmt_api.h"
#include "cmd/mgmt_cluster.h"
#include "cmd/mgmt_core.h"
#include "cmd/mgmt_discovery.h"
#include "cmd/mgmt_idp.h"
#include "cmd/mgmt_proxies.h"
#include "cmd/mgmt_settings.h"
#include "cmd/mgmt_upkeep.h"
#include "cmd/mgmt_watch.h"
#include "crypto/setup_key.h"
#include "ha/local/adapters.h"
#include "management/app/ephemeral.h"
#include "management/app/expiry.h"
#include "management/app/exposures.h"
#include "management/app/geo_database.h"
#include "management/app/ha_report.h"
#include "management/app/instance_keeper.h"
#include "management/app/janitor_lease.h"
#include "management/app/jobs.h"
#include "management/app/map_pool.h"
#include "management/app/peer_sessions.h"
#include "management/app/presence.h"
#include "management/app/sync_hub.h"
#include "management/auth/counted_provider.h"
#include "management/grpc/service.h"
#include "net/ops.h"
#include "sql/listener.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <functional>
#include <string>
#include <utility>

namespace nb::cmd {
namespace {

namespace asio = boost::asio;
namespace app = management::app;
namespace grpc = management::grpc;
using namespace std::chrono_literals;

constexpr auto kDatabaseWait = 60s;      // at start; containers start in any order
constexpr auto kQuestion = 30s;          // to the database, in the background
constexpr auto kEndStreamsIn = 3'000ms;  // after the drain delay; the process is gone after 10 s

double milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

class MgmtPart final : public Part {
 public:
  MgmtPart(MgmtConfig& config_in, Host& host_in, net::LoopPool& loops_in)
      : config(config_in),
        host(host_in),
        metrics(host.metrics),
        health(host.health),
        log(host.log),
        loops(loops_in),
        store_health(health.add("store")),
        instance_health(health.add("instance")),
        shared(config.service.ha.enabled),
        id(config.service.ha.instance_id) {}

  Result<> build();
  Result<> add_to(Routes& routes) override;
  void loops_started() override {
    control->start();
    if (listening) listening->start();
    service->start();
  }
  void loops_stopped() override {
    control->stop();
    if (listening) listening->stop();
  }
  Result<> start() override {
    NB_TRY(on_home(keeper->begin()));
    start_tasks();
    return {};
  }
  void stop() override { stop_tasks(); }
  void end_streams() override {
    proxies->service().drain();
    service->drain(kEndStreamsIn);
  }

 private:
  void open_geo_database();
  asio::awaitable<Result<bool>> mfa_required(Instant deadline);
  Result<> open_databases();
  Result<> open_adapters();
  void build_hub();
  Result<> build_api();
  void build_use_cases();
  void build_keeper();
  void build_listener();
  void build_service();
  /// Whether the store has to tell others of changes itself.
  std::function<bool()> announce();
  app::AccountCommands::OnIdle on_idle();
  void start_tasks();
  void stop_tasks();
  asio::awaitable<void> reaped(management::ReapedPeer peer);
  grpc::PresenceHandlers presence_handlers();
  [[nodiscard]] bool bus_carries() const;
  template <class T>
  static T on(const asio::any_io_executor& executor, asio::awaitable<T> work) {
    return asio::co_spawn(executor, std::move(work), asio::use_future).get();
  }
  template <class T>
  T on_home(asio::awaitable<T> work) {
    return on(home, std::move(work));
  }

  MgmtConfig& config;
  Host& host;
  std::shared_ptr<MetricRegistry> metrics;
  Health& health;
  Logger log;
  net::LoopPool& loops;  // connections
  Health::Part store_health;
  Health::Part instance_health;
  const bool shared;         // HA on
  const std::string id;      // of this instance
  std::int64_t started = 0;  // its incarnation

  std::unique_ptr<grpc::MgmtMetrics> grpc_metrics;
  std::unique_ptr<MgmtCore> core;
  std::unique_ptr<app::GeoDatabase> geo;         // null: none
  std::unique_ptr<ProviderDiscovery> discovery;  // null: nobody else's provider
  std::unique_ptr<MgmtUpkeep> upkeep;
  std::unique_ptr<MgmtIdp> idp;                                 // EmbeddedIdP on
  std::unique_ptr<management::auth::CountedProvider> provider;  // the same, counted
  std::atomic<app::SyncHub*> hub_seen{nullptr};  // asked by the store's worker threads
  std::unique_ptr<net::LoopPool> control;        // a guest: hub, leases, everything of HA
  asio::any_io_executor home;
  std::unique_ptr<TaskGroup> tasks;          // on home
  std::unique_ptr<net::LoopPool> listening;  // PostgreSQL and HA on: the listener, which may block
  std::unique_ptr<TaskGroup> listening_tasks;
  std::unique_ptr<app::MapPool> maps;
  std::unique_ptr<MgmtCluster> cluster;  // HA on
  // HA off
  std::unique_ptr<ha::MemoryStore> memory;
  std::unique_ptr<ha::DirectAccess> memory_access;
  std::unique_ptr<ha::MemoryStore> filter_memory;
  std::unique_ptr<ha::LockedAccess> filter_access;
  std::unique_ptr<ha::LoginFilter> local_filter;  // asked by the loops of connections, in place
  std::unique_ptr<ha::Deadlines> local_deadlines;
  std::shared_ptr<app::Presence> presence;  // HA on
  std::unique_ptr<app::JanitorLease> janitor;
  std::shared_ptr<app::Ephemeral> ephemeral;
  std::shared_ptr<app::SyncHub> hub;
  std::unique_ptr<management::InstanceRows> instance_rows;
  std::unique_ptr<app::HaOverview> overview;
  std::unique_ptr<MgmtProxies> proxies;
  std::unique_ptr<MgmtApi> api;
  std::unique_ptr<app::PeerSessions> sessions;
  std::shared_ptr<app::Jobs> jobs;
  std::unique_ptr<app::Expiry> expiry;
  std::unique_ptr<app::Exposures> exposures;
  std::unique_ptr<app::InstanceKeeper> keeper;
  std::unique_ptr<MgmtAnnouncer> announcer;
  std::unique_ptr<sql::Listener> listener;
  grpc::ServerKeyRing keys;
  std::optional<MgmtWatch> watch;
  std::optional<grpc::NetbirdConfigs> configs;
  std::unique_ptr<grpc::Service> service;
  std::vector<MetricRegistry::Watch> watches;
};

bool MgmtPart::bus_carries() const {
  const app::SyncHub* const seen = hub_seen.load(std::memory_order_acquire);
  return seen != nullptr && seen->bus_up();
}

asio::awaitable<Result<bool>> MgmtPart::mfa_required(Instant deadline) {
  const auto account = co_await core->store().first_account(deadline);
  if (!account && account.error().code == Code::kNotFound) co_return false;
  if (!account) co_return account.error();
  co_return account->settings.local_mfa_enabled;
}

Result<> MgmtPart::build() {
  grpc_metrics = std::make_unique<grpc::MgmtMetrics>(*metrics);
  NB_TRY(apply_embedded_idp(config));
  NB_LET(grpc::NetbirdConfigs made, netbird_configs(config));
  configs.emplace(std::move(made));
  NB_TRY(open_databases());
  NB_TRY(open_adapters());
  NB_LET(started, MgmtCore::wait(core->agents().next_incarnation(
                      core->clock().now() + kQuestion, management::InstanceId(id),
                      std::chrono::duration_cast<std::chrono::microseconds>(
                          core->clock().wall().time_since_epoch())
                          .count())));
  build_hub();
  NB_TRY(build_api());
  build_use_cases();
  build_keeper();
  build_listener();
  build_service();
  return {};
}

Result<> MgmtPart::open_databases() {
  NB_LET(core, MgmtCore::open(config, announce(), kDatabaseWait, log, metrics.get()));
  NB_LET(discovery, ProviderDiscovery::begin(config, health, core->clock(), log));
  NB_LET(upkeep, MgmtUpkeep::make(config, *core, log));
  // Before anybody can ask for it; the same on every instance.
  NB_LET(auto secrets, core->server_keys(config.ha.server_key_overlap()));
  NB_TRY(keys.set(std::move(secrets)));
  // Nothing is ever sent anywhere with it; the row is what upstream's servers and tools expect.
  NB_TRY(MgmtCore::wait(core->store().installation_id(core->clock().now() + kQuestion)));
  open_geo_database();
  if (!config.embedded_idp.enabled) return {};
  NB_LET(idp, MgmtIdp::open(config, *core,
                            {.mfa_required = [this](Instant by) { return mfa_required(by); }},
                            kDatabaseWait, *metrics, log));
  provider = std::make_unique<management::auth::CountedProvider>(idp->provider(), *metrics);
  return {};
}

/// What instances share, through Redis, or what stands for it in a single one.
Result<> MgmtPart::open_adapters() {
  control = std::make_unique<net::LoopPool>(loops);
  home = control->at(0).executor();
  tasks = std::make_unique<TaskGroup>(home);
  maps = std::make_unique<app::MapPool>(config.limits.map_threads);
  if (shared) {
    NB_LET(cluster, MgmtCluster::make(config, home, *metrics, health, core->clock(), log));
  }
  janitor = std::make_unique<app::JanitorLease>(cluster ? &cluster->leases() : nullptr,
                                                core->clock(), config.ha.lock_ttl, log);
  if (cluster) return {};
  memory = std::make_unique<ha::MemoryStore>(core->clock());
  memory_access = std::make_unique<ha::DirectAccess>(*memory);
  filter_memory = std::make_unique<ha::MemoryStore>(core->clock());
  filter_access = std::make_unique<ha::LockedAccess>(*filter_memory);
  local_filter = std::make_unique<ha::LocalLoginFilter>(*filter_access, config.ha.login_filter_key,
                                                        ha::LoginFilterConfig{});
  local_deadlines = std::make_unique<ha::LocalDeadlines>(*memory_access, config.ha.ephemeral_key);
  return {};
}

void MgmtPart::build_hub() {
  app::SyncHubOptions hub_settings =
      hub_options(config, fmt::format("{}/{}", id, started), core->postgres());
  hub_settings.fan_out.startup_until = core->clock().now() + config.limits.peer_update_startup;
  hub_settings.on_update = [this](std::chrono::nanoseconds took) {
    grpc_metrics->update_account_ms.observe(milliseconds(took));
  };
  hub = std::make_shared<app::SyncHub>(home, core->store(), cluster ? &cluster->bus() : nullptr,
                                       *maps, core->clock(), std::move(hub_settings), log);
  hub_seen.store(hub.get(), std::memory_order_release);
  ephemeral = std::make_shared<app::Ephemeral>(
      home, cluster ? cluster->deadlines() : *local_deadlines, core->store(), *hub, core->clock(),
      app::EphemeralOptions{}, log);
  if (cluster) {
    presence = std::make_shared<app::Presence>(
        home, cluster->directory(), core->clock(),
        app::PresenceOptions{
            .instance = ha::InstanceId(id),
            .incarnation = ha::make_incarnation(core->clock().wall(), ha::system_random()()),
            .interval = config.ha.heartbeat_interval});
    cluster->on_up([this] { presence->refresh(); });
  }
  instance_rows = management::make_sql_instance_rows(core->database());
  overview = std::make_unique<app::HaOverview>(
      app::HaReportPorts{.rows = instance_rows.get(),
                         .boards = cluster ? cluster->boards() : std::vector<app::HaBoard>{},
                         .signal = cluster ? &cluster->signal_directory() : nullptr,
                         .home = home,
                         .clock = core->clock()},
      app::HaReportOptions{.ha = shared, .engine = core->postgres() ? "postgres" : "sqlite"});
}

Result<> MgmtPart::build_api() {
  proxies =
      std::make_unique<MgmtProxies>(MgmtProxies::Ports{.config = config,
                                                       .core = *core,
                                                       .home = home,
                                                       .next = *hub,
                                                       .bus = cluster ? &cluster->bus() : nullptr,
                                                       .keys = keys,
                                                       .announce = announce()},
                                    log);
  NB_LET(api, MgmtApi::make(config,
                            {.core = *core,
                             .events = upkeep->events(),
                             .home = home,
                             .changes = proxies->notices(),
                             .provider = provider.get(),
                             .overview = *overview,
                             .limiter = cluster ? &cluster->limiter() : nullptr,
                             .metrics = *metrics,
                             .proxies = proxies->store(),
                             .seals = proxies->seals(),
                             .announce = announce(),
                             .on_idle = on_idle()},
                            log));
  proxies->open(*api, loops, geo.get(), on_idle());
  return {};
}

void MgmtPart::build_use_cases() {
  app::PeerSessionsOptions options;
  options.on_ephemeral_idle = [this](const app::SessionPeer& peer) { ephemeral->idle(peer); };
  options.on_ephemeral_busy = [this](const app::SessionPeer& peer) { ephemeral->busy(peer); };
  options.on_status_time = [this](bool connected, std::chrono::nanoseconds took) {
    auto& times = connected ? grpc_metrics->status_update_connect_ms
                            : grpc_metrics->status_update_disconnect_ms;
    times.observe(milliseconds(took));
  };
  options.instance = management::InstanceId(id);
  options.incarnation = started;
  options.block_same_peers = config.limits.block_same_peers;
  options.log_blocked_peers = config.limits.log_blocked_peers;
  options.hash_setup_key = [](std::string_view plain) { return crypto::hash_setup_key(plain); };
  sessions = std::make_unique<app::PeerSessions>(
      app::PeerSessionsPorts{.store = core->store(),
                             .agents = core->agents(),
                             .hub = *hub,
                             .tokens = api->tokens(),
                             .filter = cluster ? &cluster->filter() : local_filter.get(),
                             .filter_home = cluster ? home : asio::any_io_executor{},
                             .clock = core->clock(),
                             .geo = geo.get()},
      std::move(options), log);
  expiry =
      std::make_unique<app::Expiry>(core->store(), *hub, core->clock(), app::ExpiryOptions{}, log);
  exposures =
      std::make_unique<app::Exposures>(api->commands(), proxies->store(), proxies->notices(),
                                       core->clock(), app::ExposuresOptions{}, log);
  jobs =
      std::make_shared<app::Jobs>(home, core->agents(), core->store(), *hub, core->clock(),
                                  app::JobsOptions{.instance = management::InstanceId(id),
                                                   .incarnation = started,
                                                   .poll = config.ha.anti_entropy_interval,
                                                   .my_turn = [this] { return janitor->mine(); }},
                                  log);
}

void MgmtPart::build_keeper() {
  keeper = std::make_unique<app::InstanceKeeper>(
      core->store(), core->clock(),
      app::InstanceKeeperOptions{.instance = management::InstanceId(id),
                                 .incarnation = started,
                                 .ttl = config.ha.peer_ttl,
                                 .interval = config.ha.heartbeat_interval},
      app::InstanceKeeper::Handlers{
          .on_lapse =
              [this] {
                hub->reassert();
                if (presence) presence->refresh();
              },
          .on_state =
              [this](Code code) {
                if (code == Code::kOk) instance_health.set(HealthState::kOk);
                if (code == Code::kAborted)
                  instance_health.set(HealthState::kDown, "another process uses this instance id");
              },
          .on_reaped = [this](const management::ReapedPeer& peer) { tasks->spawn(reaped(peer)); }},
      log);
  announcer = std::make_unique<MgmtAnnouncer>(MgmtAnnouncer::Ports{.host = host,
                                                                   .rows = *instance_rows,
                                                                   .hub = *hub,
                                                                   .keeper = *keeper,
                                                                   .cluster = cluster.get()},
                                              management::InstanceId(id), started);
}

void MgmtPart::build_listener() {
  if (!core->postgres() || !shared) return;
  listening = std::make_unique<net::LoopPool>(1);
  listening_tasks = std::make_unique<TaskGroup>(listening->at(0).executor());
  listener = std::make_unique<sql::Listener>(
      core->database().dsn(),
      sql::ListenerOptions{
          .channels = {management::kAccountChannel, kFallbackChannel, management::kProxyChannel}},
      sql::Listener::Handlers{.on_notify =
                                  [this](std::string_view channel, std::string_view payload) {
                                    if (channel == kFallbackChannel)
                                      hub->on_payload(payload);
                                    else if (channel == management::kAccountChannel)
                                      hub->on_database_notice(payload);
                                    proxies->notices().news();
                                  },
                              .on_gap =
                                  [this] {
                                    hub->resync();
                                    proxies->notices().news();
                                  }},
      log);
}

std::function<bool()> MgmtPart::announce() {
  return [this] { return shared && !bus_carries(); };
}

app::AccountCommands::OnIdle MgmtPart::on_idle() {
  return [this](const management::Peer& peer) { ephemeral->idle(app::session_peer(peer)); };
}

/// Without one, or with a broken one, the server works: locations stay unknown.
void MgmtPart::open_geo_database() {
  if (config.limits.disable_geolocation) return;
  const auto path = app::GeoDatabase::newest_in(config.datadir);
  if (!path) return;
  auto opened = app::GeoDatabase::open(*path);
  if (!opened) {
    log.warn("geolocation is off", {log::f(log::kError, opened.error().text)});
    return;
  }
  geo = std::move(*opened);
  log.info("geolocation database opened", {log::f("file", *path)});
}

void MgmtPart::build_service() {
  NB_ASSERT(configs);  // by build()
  watch.emplace(MgmtWatch::Ports{config, *core, keys, store_health}, log);
  watches = grpc::watch_app(*metrics, {.hub = *hub,
                                       .sessions = *sessions,
                                       .maps = *maps,
                                       .jobs = *jobs,
                                       .ephemeral = *ephemeral,
                                       .expiry = *expiry,
                                       .exposures = *exposures});
  service = std::make_unique<grpc::Service>(
      grpc::ServicePorts{.hub = *hub,
                         .sessions = *sessions,
                         .jobs = *jobs,
                         .exposures = *exposures,
                         .keys = keys,
                         .configs = *configs,
                         .random = core->random(),
                         .clock = core->clock(),
                         .metrics = *grpc_metrics,
                         .presence = presence_handlers(),
                         .healthy = [this] { return health.ready(); }},
      loops, service_options(config), log);
  watches.push_back(metrics->watch_gauge(
      "netbird_management_syncs_waiting", "Sync calls that wait for their turn",
      [this] { return static_cast<double>(service->waiting()); }));
  watches.push_back(metrics->watch_gauge(
      "netbird_management_job_streams_waiting", "Job calls that wait for their turn",
      [this] { return static_cast<double>(service->jobs_waiting()); }));
  watches.push_back(metrics->watch_gauge(
      "netbird_management_recent_map_bytes", "maps kept for peers that come back",
      [this] { return static_cast<double>(service->recent_map_bytes()); }));
}

grpc::PresenceHandlers MgmtPart::presence_handlers() {
  if (!presence) return {};
  return {.opened = [this](const std::string& key,
                           std::int64_t epoch) { presence->on_open(key, epoch); },
          .closed = [this](const std::string& key,
                           std::int64_t epoch) { presence->on_close(key, epoch); }};
}

/// What a dead instance left behind of one peer.
asio::awaitable<void> MgmtPart::reaped(management::ReapedPeer peer) {
  const auto view =
      co_await core->store().peer_by_id(core->clock().now() + kQuestion, peer.account, peer.peer);
  if (!view || view->peer.status.connected) co_return;
  const app::SessionPeer gone = app::session_peer(view->peer);
  if (gone.ephemeral) ephemeral->idle(gone);
  if (presence) co_await presence->forget(gone.key.value());
}

Result<> MgmtPart::add_to(Routes& routes) {
  service->add_to(*routes.grpc);
  routes.services.emplace_back("management.ManagementService");
  proxies->service().add_to(*routes.grpc);
  routes.services.emplace_back("management.ProxyService");
  api->add_to(*routes.http, *jobs);
  net::add_health_routes(*routes.http, {.metrics = {}, .alive = {}, .ready = [this] {
                                          return net::Readiness{.ready = health.ready(),
                                                                .json = health.json(),
                                                                .draining = health.draining()};
                                        }});
  if (idp) idp->provider().add_routes(*routes.http);
  return {};
}

void MgmtPart::start_tasks() {
  hub->start();
  jobs->start();
  if (listener)
    asio::post(listening->at(0).executor(), [this] { listening_tasks->spawn(listener->run()); });
  asio::post(home, [this] {
    if (cluster) cluster->start();
    if (presence) presence->start();
    proxies->start(*tasks);
    ephemeral->start();
    watch->start(*tasks);
    upkeep->start(*tasks, [this] { return janitor->mine(); });
    tasks->spawn(janitor->run());
    tasks->spawn(keeper->run());
    tasks->spawn(announcer->run());
    tasks->spawn(expiry->run());
    tasks->spawn(exposures->run());
    if (idp) tasks->spawn(idp->provider().run());
    if (discovery)
      tasks->spawn(discovery->run(config, [this](const MgmtConfig& news) {
        api->learn(news);
        service->learn(login_settings(news));
      }));
    api->start(*tasks);
  });
}

void MgmtPart::stop_tasks() {
  service->stop();
  proxies->service().stop();
  // First, so that what it has posted to home is done before that ends.
  if (listening_tasks) on(listening->at(0).executor(), listening_tasks->stop());
  on_home(proxies->stop());
  on_home(tasks->stop());
  on_home(jobs->stop());
  on_home(hub->stop());
  on_home(ephemeral->stop());
  if (presence) on_home(presence->stop());
  if (cluster) on_home(cluster->stop());
  maps->stop();
  on_home(keeper->retire());
}

}  // namespace

Result<std::unique_ptr<Part>> make_mgmt_part(MgmtConfig& config, Host& host, net::LoopPool& loops) {
  auto part = std::make_unique<MgmtPart>(config, host, loops);
  NB_TRY(part->build());
  return part;
}

}  // namespace nb::cmd
