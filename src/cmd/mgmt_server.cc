#include "cmd/mgmt_server.h"

#include "base/log_keys.h"
#include "base/task_group.h"
#include "cmd/mgmt_announcer.h"
#include "cmd/mgmt_api.h"
#include "cmd/mgmt_cluster.h"
#include "cmd/mgmt_core.h"
#include "cmd/mgmt_discovery.h"
#include "cmd/mgmt_idp.h"
#include "cmd/mgmt_settings.h"
#include "cmd/mgmt_upkeep.h"
#include "crypto/setup_key.h"
#include "ha/local/adapters.h"
#include "management/app/ephemeral.h"
#include "management/app/expiry.h"
#include "management/app/geo_database.h"
#include "management/app/ha_report.h"
#include "management/app/instance_keeper.h"
#include "management/app/jobs.h"
#include "management/app/map_pool.h"
#include "management/app/peer_sessions.h"
#include "management/app/presence.h"
#include "management/app/proxy_notices.h"
#include "management/app/proxy_seals.h"
#include "management/app/sync_hub.h"
#include "management/auth/counted_provider.h"
#include "management/auth/proxy_sign_in.h"
#include "management/grpc/proxy_service.h"
#include "management/grpc/service.h"
#include "management/store/proxy_store.h"
#include "net/ops.h"
#include "sql/listener.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <utility>

namespace nb::cmd {
namespace {

namespace asio = boost::asio;
namespace app = management::app;
namespace grpc = management::grpc;
using namespace std::chrono_literals;

constexpr auto kDatabaseWait = 60s;  // at start; containers start in any order
constexpr auto kStorePing = 1s;      // readiness follows the database this fast
constexpr auto kStorePingDeadline = 3s;
constexpr int kKeyReloadPolls = 15;      // a rotated server key is known everywhere after so many
constexpr auto kQuestion = 30s;          // to the database, in the background
constexpr auto kEndStreamsIn = 3'000ms;  // after the drain delay; the process is gone after 10 s
constexpr const char* kProxyChannel = "nb:mgmt:proxies";
constexpr auto kPruneProxiesEvery = 5min;
constexpr auto kPruneProxiesIn = 60s;
constexpr auto kProxySilence = 1h;  // then nobody lists a proxy any more, not even as offline

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
        instance_health(health.add("instance")) {}

  Result<> build();
  Result<> add_to(Routes& routes) override;
  void loops_started() override {
    control->start();
    service->start();
  }
  void loops_stopped() override { control->stop(); }
  Result<> start() override {
    NB_TRY(on_home(keeper->begin()));
    start_tasks();
    return {};
  }
  void stop() override { stop_tasks(); }
  void end_streams() override {
    proxies->drain();
    service->drain(kEndStreamsIn);
  }

 private:
  void open_geo_database();
  asio::awaitable<Result<bool>> mfa_required(Instant deadline);
  void build_service(grpc::NetbirdConfigs configs_in);
  void build_proxy_parts();
  void build_proxy_service();
  void start_tasks();
  void stop_tasks();
  asio::awaitable<void> watch_store();
  asio::awaitable<void> watch_keys();
  asio::awaitable<void> prune_proxies();
  asio::awaitable<void> reaped(management::ReapedPeer peer);
  grpc::PresenceHandlers presence_handlers();
  [[nodiscard]] bool bus_carries() const;
  template <class T>
  T on_home(asio::awaitable<T> work) {
    return asio::co_spawn(home, std::move(work), asio::use_future).get();
  }

  MgmtConfig& config;
  Host& host;
  std::shared_ptr<MetricRegistry> metrics;
  Health& health;
  Logger log;
  net::LoopPool& loops;  // connections
  Health::Part store_health;
  Health::Part instance_health;

  std::unique_ptr<grpc::MgmtMetrics> grpc_metrics;
  std::unique_ptr<MgmtCore> core;
  std::unique_ptr<app::GeoDatabase> geo;  // null: none
  std::unique_ptr<MgmtUpkeep> upkeep;
  std::unique_ptr<MgmtIdp> idp;                                 // EmbeddedIdP on
  std::unique_ptr<management::auth::CountedProvider> provider;  // the same, counted
  std::atomic<app::SyncHub*> hub_seen{nullptr};  // asked by the store's worker threads
  std::unique_ptr<net::LoopPool> control;        // one thread: hub, leases, everything of HA
  asio::any_io_executor home;
  std::unique_ptr<TaskGroup> tasks;  // on home
  std::unique_ptr<app::MapPool> maps;
  std::unique_ptr<MgmtCluster> cluster;  // HA on
  // HA off
  std::unique_ptr<ha::MemoryStore> memory;
  std::unique_ptr<ha::DirectAccess> memory_access;
  std::unique_ptr<ha::LoginFilter> local_filter;
  std::unique_ptr<ha::Deadlines> local_deadlines;
  std::shared_ptr<app::Presence> presence;  // HA on
  std::shared_ptr<app::Ephemeral> ephemeral;
  std::shared_ptr<app::SyncHub> hub;
  std::unique_ptr<management::InstanceRows> instance_rows;
  std::unique_ptr<app::HaOverview> overview;
  std::unique_ptr<management::ProxyStore> proxy_store;
  std::unique_ptr<app::ProxySeals> seals;
  std::unique_ptr<app::ProxyNotices> notices;
  app::Hasher hasher;  // of visitors' secrets
  std::unique_ptr<MgmtApi> api;
  std::unique_ptr<app::PeerSessions> sessions;
  std::shared_ptr<app::Jobs> jobs;
  std::unique_ptr<app::Expiry> expiry;
  std::unique_ptr<app::InstanceKeeper> keeper;
  std::unique_ptr<MgmtAnnouncer> announcer;
  std::unique_ptr<sql::Listener> listener;
  grpc::ServerKeyRing keys;
  std::optional<grpc::NetbirdConfigs> configs;
  std::unique_ptr<grpc::Service> service;
  std::unique_ptr<grpc::ProxyService> proxies;
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
  const bool shared = config.service.ha.enabled;
  NB_LET(core, MgmtCore::open(
                   config, [this, shared] { return shared && !bus_carries(); }, kDatabaseWait, log,
                   metrics.get()));
  NB_TRY(discover_provider(config, {}, core->clock(), log));
  NB_LET(upkeep, MgmtUpkeep::make(config, *core, log));
  // Before anybody can ask for it; the same on every instance.
  NB_LET(auto secrets, core->server_keys());
  NB_TRY(keys.set(std::move(secrets)));
  open_geo_database();
  if (config.embedded_idp.enabled) {
    NB_LET(idp, MgmtIdp::open(config, *core,
                              {.mfa_required = [this](Instant by) { return mfa_required(by); }},
                              kDatabaseWait, *metrics, log));
    provider = std::make_unique<management::auth::CountedProvider>(idp->provider(), *metrics);
  }
  control = std::make_unique<net::LoopPool>(1);
  home = control->at(0).executor();
  tasks = std::make_unique<TaskGroup>(home);
  maps = std::make_unique<app::MapPool>(config.limits.map_threads);
  if (shared) {
    NB_LET(cluster, MgmtCluster::make(config, home, *metrics, health, core->clock(), log));
  } else {
    memory = std::make_unique<ha::MemoryStore>(core->clock());
    memory_access = std::make_unique<ha::DirectAccess>(*memory);
    local_filter = std::make_unique<ha::LocalLoginFilter>(
        *memory_access, config.ha.login_filter_key, ha::LoginFilterConfig{});
    local_deadlines = std::make_unique<ha::LocalDeadlines>(*memory_access, config.ha.ephemeral_key);
  }

  const std::string id = config.service.ha.instance_id;
  const auto now =
      std::chrono::duration_cast<std::chrono::microseconds>(core->clock().wall().time_since_epoch())
          .count();
  NB_LET(const std::int64_t started,
         MgmtCore::wait(core->agents().next_incarnation(core->clock().now() + kQuestion,
                                                        management::InstanceId(id), now)));
  app::SyncHubOptions hub_settings =
      hub_options(config, fmt::format("{}/{}", id, started), core->postgres());
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
  build_proxy_parts();
  NB_LET(api, MgmtApi::make(config,
                            {.core = *core,
                             .events = upkeep->events(),
                             .home = home,
                             .changes = *notices,
                             .provider = provider.get(),
                             .overview = *overview,
                             .limiter = cluster ? &cluster->limiter() : nullptr,
                             .metrics = *metrics,
                             .proxies = *proxy_store,
                             .seals = *seals,
                             .announce = [this, shared] { return shared && !bus_carries(); },
                             .on_idle =
                                 [this](const management::Peer& peer) {
                                   ephemeral->idle(app::session_peer(peer));
                                 }},
                            log));
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
                             .filter_home = home,
                             .clock = core->clock(),
                             .geo = geo.get()},
      std::move(options), log);
  expiry =
      std::make_unique<app::Expiry>(core->store(), *hub, core->clock(), app::ExpiryOptions{}, log);
  jobs = std::make_shared<app::Jobs>(home, core->agents(), core->store(), *hub, core->clock(),
                                     app::JobsOptions{.instance = management::InstanceId(id),
                                                      .incarnation = started,
                                                      .poll = config.ha.anti_entropy_interval},
                                     log);
  keeper = std::make_unique<app::InstanceKeeper>(
      core->store(), core->clock(),
      app::InstanceKeeperOptions{.instance = management::InstanceId(id),
                                 .incarnation = started,
                                 .ttl = config.ha.peer_ttl,
                                 .interval = config.ha.heartbeat_interval},
      app::InstanceKeeper::Handlers{
          .on_lapse = [this] { service->restart_streams(); },
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
  if (core->postgres() && shared)
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
                                      notices->news();
                                    },
                                .on_gap =
                                    [this] {
                                      hub->resync();
                                      notices->news();
                                    }},
        log);
  build_service(std::move(made));
  return {};
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

void MgmtPart::build_service(grpc::NetbirdConfigs configs_in) {
  configs.emplace(std::move(configs_in));
  watches = grpc::watch_app(*metrics, {.hub = *hub,
                                       .sessions = *sessions,
                                       .maps = *maps,
                                       .jobs = *jobs,
                                       .ephemeral = *ephemeral,
                                       .expiry = *expiry});
  service = std::make_unique<grpc::Service>(
      grpc::ServicePorts{.hub = *hub,
                         .sessions = *sessions,
                         .jobs = *jobs,
                         .keys = keys,
                         .configs = *configs,
                         .random = core->random(),
                         .clock = core->clock(),
                         .metrics = *grpc_metrics,
                         .presence = presence_handlers(),
                         .healthy = [this] { return health.ready(); }},
      loops, service_options(config), log);
  build_proxy_service();
}

void MgmtPart::build_proxy_parts() {
  const bool shared = config.service.ha.enabled;
  proxy_store = management::make_sql_proxy_store(
      {.database = core->database(),
       .cipher = core->cipher(),
       .random = core->random(),
       .clock = core->clock(),
       .log = log},
      {.announce = [this, shared] { return shared && !bus_carries(); },
       .dns_domain = config.dns_domain});
  // What all instances share in secret: the keys that agents know them by.
  seals = std::make_unique<app::ProxySeals>(
      [this] {
        std::vector<Secret> out;
        for (const auto& key : *keys.keys()) out.push_back(key.secret.base64());
        return out;
      },
      core->random());
  notices = std::make_unique<app::ProxyNotices>(home, *hub, cluster ? &cluster->bus() : nullptr,
                                                kProxyChannel, [this] {
                                                  if (proxies) proxies->news();
                                                });
}

void MgmtPart::build_proxy_service() {
  grpc::ProxyPorts ports{.store = *proxy_store,
                         .seals = *seals,
                         .hasher = hasher,
                         .limiter = api->limiter(),
                         .random = core->random(),
                         .clock = core->clock(),
                         .geo = geo.get(),
                         .on_idle = [this](const management::Peer& peer) {
                           ephemeral->idle(app::session_peer(peer));
                         }};
  if (management::auth::ProxySignIn* const sign_in = api->sign_in())
    ports.sign_in_url = [sign_in](Instant deadline, std::string url) {
      return sign_in->begin(deadline, std::move(url));
    };
  proxies = std::make_unique<grpc::ProxyService>(
      std::move(ports), loops, grpc::ProxyOptions{.poll = config.ha.anti_entropy_interval}, log);
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
  proxies->add_to(*routes.grpc);
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

asio::awaitable<void> MgmtPart::watch_store() {
  for (;;) {
    const auto alive = co_await core->store().ping(core->clock().now() + kStorePingDeadline);
    if (alive)
      store_health.set(HealthState::kOk);
    else
      store_health.set(HealthState::kDown, alive.error().text);
    co_await core->clock().sleep_for(kStorePing);
  }
}

asio::awaitable<void> MgmtPart::watch_keys() {
  for (;;) {
    co_await core->clock().sleep_for(kKeyReloadPolls * config.ha.anti_entropy_interval);
    const auto known = keys.keys();
    management::ServerKeyPair current{known->front().public_text, known->front().secret.base64()};
    const auto stored =
        co_await core->store().server_keys(core->clock().now() + kQuestion, std::move(current));
    if (!stored || stored->current.public_key == known->front().public_text) continue;
    auto fresh = crypto::PrivateKey::parse(stored->current.private_key.reveal());
    if (!fresh) continue;
    std::vector<crypto::PrivateKey> secrets{std::move(*fresh)};
    // What running streams were opened with stays good as the previous key.
    secrets.push_back(known->front().secret);
    ignore(keys.set(std::move(secrets)), "not empty");
    log.info("server key was rotated");
  }
}

asio::awaitable<void> MgmtPart::prune_proxies() {
  // contract/rest-api.md §7.13: a week of accesses, unless the file says otherwise.
  const std::int64_t days =
      config.access_log_days == 0 ? 7 : std::max<std::int64_t>(config.access_log_days, 0);
  for (;;) {
    co_await core->clock().sleep_for(kPruneProxiesEvery);
    const auto done = co_await proxy_store->prune(core->clock().now() + kPruneProxiesIn,
                                                  kProxySilence, std::chrono::hours(24 * days));
    if (!done) log.debug("proxies not pruned", {log::f(log::kError, done.error().text)});
  }
}

void MgmtPart::start_tasks() {
  hub->start();
  jobs->start();
  asio::post(home, [this] {
    if (cluster) cluster->start();
    if (presence) presence->start();
    notices->start();
    ephemeral->start();
    tasks->spawn(watch_store());
    tasks->spawn(watch_keys());
    tasks->spawn(prune_proxies());
    upkeep->start(*tasks);
    tasks->spawn(keeper->run());
    tasks->spawn(announcer->run());
    tasks->spawn(expiry->run());
    if (listener) tasks->spawn(listener->run());
    if (idp) tasks->spawn(idp->provider().run());
  });
}

void MgmtPart::stop_tasks() {
  service->stop();
  proxies->stop();
  on_home(notices->stop());
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
