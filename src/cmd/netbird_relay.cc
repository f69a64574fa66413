// netbird-relay: reads its configuration, wires the parts, runs until SIGTERM.
#include "base/build_info.h"
#include "base/config/cli.h"
#include "cmd/host.h"
#include "cmd/relay_config.h"
#include "cmd/relay_part.h"

namespace nb::cmd {
namespace {

net::ServerConfig main_server(const RelayServerConfig& config) {
  net::ServerConfig server;
  server.listeners = {config.listener};
  server.tls_files = {config.tls.cert_file, config.tls.cert_key};
  server.limits = config.limits;
  server.trusted_proxies = config.trusted_proxies;
  server.unsent_bytes_max = kRelayUnsentBytesMax;
  return server;
}

Result<std::unique_ptr<Assembly>> assemble(const RelayServerConfig& config, Host& host) {
  auto out = std::make_unique<Assembly>(host, config.loops);
  NB_LET(auto relay, make_relay_part(config, host, out->loops()));
  out->add(std::move(relay));
  // Its metrics are there also while it is off.
  auto stun = make_stun_part(config, host, out->loops());
  if (config.enable_stun) out->add(std::move(stun));
  NB_TRY(out->listen(
      {.main = main_server(config),
       .ops = ops_server({.address = config.listener.address, .port = config.metrics_port},
                         config.health_listener),
       .sentence = "relay listens",
       .about = log::f("url", config.relay.instance_url),
       .drain = config.relay.drain_time + kRelayGoodbyeMargin}));
  return out;
}

int serve(const RelayServerConfig& config, const config::Invocation& invocation) {
  return run_host({.program = "netbird-relay",
                   .component = "relay",
                   .log = config.log,
                   .limits = config.program},
                  invocation.warnings, [&config](Host& host) { return assemble(config, host); });
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
