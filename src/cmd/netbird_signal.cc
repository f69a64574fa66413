// netbird-signal: reads its configuration, wires the parts, runs until SIGTERM.
#include "base/log_keys.h"
#include "cmd/host.h"
#include "cmd/signal_config.h"
#include "cmd/signal_part.h"
#include "cmd/sole_command.h"

namespace nb::cmd {
namespace {

net::ServerConfig main_server(const SignalConfig& config) {
  net::ServerConfig server = net_config(config.service, kSignalLegacyPort);
  server.grpc_tunnel_paths = {"/ws-proxy/signal"};
  server.unmatched_is_grpc = true;  // contract/signal-relay-ops.md §1.4
  server.limits.message_bytes_max = config.limits.message_bytes_max;
  server.limits.peer_table_bytes = kSignalPeerTableBytes;
  return server;
}

Result<std::unique_ptr<Assembly>> assemble(const SignalConfig& config, Host& host) {
  const ServiceConfig& service = config.service;
  auto out = std::make_unique<Assembly>(host, service.loops);
  NB_LET(auto part, make_signal_part(config, host, out->loops()));
  out->add(std::move(part));
  NB_TRY(out->listen(
      {.main = main_server(config),
       .ops = ops_server({.address = service.listen_address, .port = service.metrics_port},
                         {.address = service.listen_address, .port = service.health_port}),
       .sentence = "signal server listens",
       .about = log::f(log::kInstance, service.ha.instance_id)}));
  return out;
}

HostOptions host_options(const SignalConfig& config) {
  return {.program = "netbird-signal",
          .component = "signal",
          .log = config.service.log,
          .limits = config.service.program};
}

}  // namespace
}  // namespace nb::cmd

int main(int argc, char** argv) {
  using namespace nb::cmd;
  return run_sole_command<SignalConfig>(
      argc, argv,
      {.purpose = "passes connection offers between NetBird peers",
       .add_rows = add_signal_rows,
       .command = signal_command,
       .options = host_options,
       .assemble = assemble,
       .named = true});
}
