// netbird-relay: reads its configuration, wires the parts, runs until SIGTERM.
#include "cmd/host.h"
#include "cmd/relay_config.h"
#include "cmd/relay_part.h"
#include "cmd/sole_command.h"

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

HostOptions host_options(const RelayServerConfig& config) {
  return {.program = "netbird-relay",
          .component = "relay",
          .log = config.log,
          .limits = config.program};
}

}  // namespace
}  // namespace nb::cmd

int main(int argc, char** argv) {
  using namespace nb::cmd;
  return run_sole_command<RelayServerConfig>(argc, argv,
                                             {.purpose = "carries packets between NetBird peers",
                                              .add_rows = add_relay_rows,
                                              .command = relay_command,
                                              .options = host_options,
                                              .assemble = assemble});
}
