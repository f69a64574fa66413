// netbird-signal: reads its configuration, wires the parts, runs until SIGTERM.
#include "base/build_info.h"
#include "base/clock.h"
#include "base/config/cli.h"
#include "base/health.h"
#include "base/log_keys.h"
#include "base/log_sinks.h"
#include "base/metrics.h"
#include "base/program.h"
#include "cmd/signal_cluster.h"
#include "cmd/signal_config.h"
#include "net/health.h"
#include "net/ops.h"
#include "net/server.h"
#include "signal/service.h"

#include <memory>
#include <thread>

namespace nb::cmd {
namespace {

using namespace std::chrono_literals;

/// How long clients have to go elsewhere once streams are being ended (contract/signal-relay-ops.md
/// §2.2 S19, §7.5: the process is gone 10 s after SIGTERM, the drain delay included).
constexpr std::chrono::milliseconds kEndStreamsIn{2'000};
constexpr std::chrono::milliseconds kEndCallsIn{2'500};

signal::Options options_of(const SignalLimits& limits) {
  return {.send_timeout = limits.send_timeout,
          .message_bytes_max = limits.message_bytes_max,
          .queue_messages_max = limits.queue_messages_max,
          .queue_bytes_max = limits.queue_bytes_max,
          .queue_bytes_total_max = limits.queue_bytes_total_max,
          .peers_max = limits.peers_max,
          .peer_id_bytes_max = limits.peer_id_bytes_max,
          .replace_burst = limits.replace_burst,
          .replace_window = limits.replace_window,
          .source_connects_per_second = static_cast<double>(limits.source_connects_per_second),
          .source_sends_per_second = static_cast<double>(limits.source_sends_per_second)};
}

net::ServerConfig main_server(const SignalConfig& config) {
  net::ServerConfig server = net_config(config.service, kSignalLegacyPort);
  server.grpc_tunnel_paths = {"/ws-proxy/signal"};
  server.unmatched_is_grpc = true;  // contract/signal-relay-ops.md §1.4
  server.limits.message_bytes_max = config.limits.message_bytes_max;
  return server;
}

net::ServerConfig ops_server(const ServiceConfig& config) {
  net::ServerConfig server;
  server.listeners.push_back({.address = config.listen_address, .port = config.metrics_port});
  if (config.health_port != 0 && config.health_port != config.metrics_port)
    server.listeners.push_back({.address = config.listen_address, .port = config.health_port});
  return server;
}

int serve(const SignalConfig& config, const config::Invocation& invocation) {
  auto sink = make_log_sink(config.service.log, "netbird-signal");
  if (!sink) {
    fmt::print(stderr, "netbird-signal: {}\n", sink.error().text);
    return 1;
  }
  const Logger log(*sink);
  for (const auto& warning : invocation.warnings) log.warn(warning);

  SystemClock clock;
  const auto metrics = std::make_shared<MetricRegistry>();
  add_process_metrics(*metrics, "signal");
  signal::SignalMetrics signal_metrics(*metrics);
  Health health(clock);
  Program program(health, log, config.service.program);  // before any thread: it takes the signals
  const Health::Part listening = health.add("listeners");

  net::LoopPool loops(config.service.loops);
  signal::Service service(loops, options_of(config.limits), signal_metrics, clock, log);
  const auto cluster =
      SignalCluster::make(config, loops, service, *metrics, signal_metrics, health, clock, log);
  if (!cluster) {
    log.error("cannot use Redis", {log::f(log::kError, cluster.error().text)});
    return 1;
  }

  const auto grpc = std::make_shared<net::GrpcRouter>();
  service.add_to(*grpc);
  const auto grpc_health = net::Health::make({"signalexchange.SignalExchange"});
  grpc_health->add_routes(*grpc);
  health.on_change([grpc_health](bool ready) { grpc_health->set_serving(ready); });
  net::Server server(loops, grpc, std::make_shared<net::HttpRouter>(), main_server(config),
                     *metrics, log);

  const auto routes = std::make_shared<net::HttpRouter>();
  net::add_ops_routes(*routes, {.metrics = {metrics}, .ready = [&health] {
                                  return net::Readiness{.ready = health.ready(),
                                                        .json = health.json(),
                                                        .draining = health.draining()};
                                }});
  prometheus::Registry ops_metrics;  // the operator's own connections are not counted as traffic
  net::Server ops(loops, nullptr, routes, ops_server(config.service), ops_metrics, log);

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
  program.add({.name = "server",
               .start = [&]() -> Result<> {
                 NB_TRY(server.start());
                 listening.set(HealthState::kOk);
                 log.info("signal server listens",
                          {log::f(log::kAddress, fmt::format("{}:{}", config.service.listen_address,
                                                             server.ports().front()))});
                 return {};
               },
               .stop =
                   [&] {
                     std::thread streams([&] { service.drain(kEndStreamsIn); });
                     server.drain(kEndCallsIn);
                     streams.join();
                     server.stop();
                   }});
  return program.run();
}

}  // namespace
}  // namespace nb::cmd

int main(int argc, char** argv) {
  nb::cmd::SignalConfig config;
  nb::config::Table table;
  nb::cmd::add_signal_rows(table, config);
  nb::config::Cli cli("netbird-signal", "passes connection offers between NetBird peers",
                      std::string(nb::build_version()));
  cli.command(nb::cmd::signal_command(table, config, [&](const nb::config::Invocation& invocation) {
    return nb::cmd::serve(config, invocation);
  }));
  return cli.main(argc, argv);
}
