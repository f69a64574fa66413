// netbird-relay: reads its configuration, wires the parts, runs until SIGTERM.
#include "base/build_info.h"
#include "base/clock.h"
#include "base/config/cli.h"
#include "base/health.h"
#include "base/log_keys.h"
#include "base/log_sinks.h"
#include "base/metrics.h"
#include "base/program.h"
#include "cmd/level_sink.h"
#include "cmd/relay_cluster.h"
#include "cmd/relay_config.h"
#include "cmd/relay_health.h"
#include "net/ops.h"
#include "net/server.h"
#include "relay/service.h"
#include "stun/server.h"

#include <atomic>
#include <memory>

namespace nb::cmd {
namespace {

using namespace std::chrono_literals;

/// Beyond the time over which goodbyes are spread, for peers to take theirs.
constexpr std::chrono::milliseconds kGoodbyeMargin{1'000};
/// A peer's socket keeps at most this much that has not left yet; the rest waits in its queue,
/// where it counts, and where messages about presence and health pass it.
constexpr std::size_t kUnsentBytesMax = 256 * 1024;

net::ServerConfig main_server(const RelayServerConfig& config) {
  net::ServerConfig server;
  server.listeners = {config.listener};
  server.tls_files = {config.tls.cert_file, config.tls.cert_key};
  server.limits = config.limits;
  server.trusted_proxies = config.trusted_proxies;
  server.unsent_bytes_max = kUnsentBytesMax;
  return server;
}

net::ServerConfig ops_server(const RelayServerConfig& config) {
  net::ServerConfig server;
  server.listeners.push_back({.address = config.listener.address, .port = config.metrics_port});
  const auto& health = config.health_listener;
  if (health.port != config.metrics_port || health.address != config.listener.address)
    server.listeners.push_back(health);
  return server;
}

crypto::RelayTokens tokens_of(const RelayServerConfig& config) {
  std::vector<Secret> secrets = {config.auth_secret};
  if (!config.auth_secret_previous.empty()) secrets.push_back(config.auth_secret_previous);
  return crypto::RelayTokens(secrets);
}

int serve(const RelayServerConfig& config, const config::Invocation& invocation) {
  auto sink = make_log_sink(config.log, "netbird-relay");
  if (!sink) {
    fmt::print(stderr, "netbird-relay: {}\n", sink.error().text);
    return 1;
  }
  const Logger log(*sink);
  for (const auto& warning : invocation.warnings) log.warn(warning);

  SystemClock clock;
  const auto metrics = std::make_shared<MetricRegistry>();
  add_process_metrics(*metrics, "relay");
  relay::RelayMetrics relay_metrics(*metrics);
  stun::StunMetrics stun_metrics(*metrics);
  Health health(clock);
  Program program(health, log, config.program);  // before any thread: it takes the signals
  const Health::Part listening = health.add("listeners");

  net::LoopPool loops(config.loops);
  relay::Service service(loops, config.relay, tokens_of(config), relay_metrics, clock, log);
  const auto cluster =
      RelayCluster::make(config.ha, config.relay.instance_url, loops, *metrics, health, clock, log);
  if (!cluster) {
    log.error("cannot use Redis", {log::f(log::kError, cluster.error().text)});
    return 1;
  }
  const auto router = std::make_shared<net::HttpRouter>();
  service.add_to(*router);
  net::Server server(loops, nullptr, router, main_server(config), *metrics, log);
  stun::Server stun(loops, config.stun, stun_metrics,
                    Logger(std::make_shared<LevelSink>(*sink, config.stun_log_level)));

  std::atomic<std::uint16_t> bound_port = 0;
  const auto routes = std::make_shared<net::HttpRouter>();
  net::add_ops_routes(*routes, {.metrics = {metrics}, .ready = [&health] {
                                  return net::Readiness{.ready = health.ready(),
                                                        .json = health.json(),
                                                        .draining = health.draining()};
                                }});
  const auto health_page =
      add_relay_health(*routes,
                       {.instance_url = config.relay.instance_url,
                        .local_address = config.listener.address,
                        .local_tls = config.listener.tls,
                        .local_port = [&bound_port] { return bound_port.load(); }},
                       clock);
  if (!health_page) {
    log.error("cannot watch the listener", {log::f(log::kError, health_page.error().text)});
    return 1;
  }
  prometheus::Registry ops_metrics;  // the operator's own connections are not counted as traffic
  net::Server ops(loops, nullptr, routes, ops_server(config), ops_metrics, log);

  program.add({.name = "loops",
               .start = [&]() -> Result<> {
                 loops.start();
                 service.start();
                 return {};
               },
               .stop = [&] { loops.stop(); }});
  program.add(
      {.name = "metrics", .start = [&] { return ops.start(); }, .stop = [&] { ops.stop(); }});
  if (*cluster) {
    program.add({.name = "cluster",
                 .start = [&]() -> Result<> {
                   (*cluster)->start();
                   return {};
                 },
                 .stop = [&] { (*cluster)->stop(); }});
  }
  if (config.enable_stun) {
    program.add(
        {.name = "stun", .start = [&] { return stun.start(); }, .stop = [&] { stun.stop(); }});
  }
  program.add({.name = "server",
               .start = [&]() -> Result<> {
                 NB_TRY(server.start());
                 bound_port = server.ports().front();
                 listening.set(HealthState::kOk);
                 log.info("relay listens", {log::f(log::kAddress, config.listen_address),
                                            log::f("url", config.relay.instance_url)});
                 return {};
               },
               .stop =
                   [&] {
                     bound_port = 0;
                     server.drain(config.relay.drain_time + kGoodbyeMargin);
                   },
               .stop_limit = config.relay.drain_time + 8s});
  return program.run();
}

}  // namespace
}  // namespace nb::cmd

int main(int argc, char** argv) {
  nb::cmd::RelayServerConfig config;
  nb::config::Table table;
  nb::cmd::add_relay_rows(table, config);
  nb::config::Cli cli("netbird-relay", "carries packets between NetBird peers",
                      std::string(nb::build_version()));
  cli.command(nb::cmd::relay_command(table, config, [&](const nb::config::Invocation& invocation) {
    return nb::cmd::serve(config, invocation);
  }));
  cli.fallback("run");
  return cli.main(argc, argv);
}
