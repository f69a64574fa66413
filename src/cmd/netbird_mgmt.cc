// netbird-mgmt: reads its configuration, wires the parts, runs until SIGTERM.
#include "base/build_info.h"
#include "base/config/cli.h"
#include "base/log_keys.h"
#include "cmd/host.h"
#include "cmd/mgmt_admin.h"
#include "cmd/mgmt_config.h"
#include "cmd/mgmt_server.h"
#include "cmd/mgmt_settings.h"

#include <memory>

namespace nb::cmd {
namespace {

Result<std::unique_ptr<Assembly>> assemble(MgmtConfig& config, Host& host) {
  const ServiceConfig& service = config.service;
  auto out = std::make_unique<Assembly>(host, service.loops, kMgmtLoops);
  NB_LET(auto part, make_mgmt_part(config, host, out->loops()));
  out->add(std::move(part));
  NB_TRY(out->listen(
      {.main = mgmt_server(config),
       .ops = ops_server({.address = service.listen_address, .port = service.metrics_port},
                         {.address = service.listen_address, .port = service.health_port}),
       .sentence = "management server listens",
       .about = log::f(log::kInstance, service.ha.instance_id)}));
  return out;
}

int serve(MgmtConfig& config, const config::Invocation& invocation) {
  return run_host({.program = "netbird-mgmt",
                   .component = "management",
                   .log = config.service.log,
                   .limits = config.service.program},
                  invocation.warnings, [&config](Host& host) { return assemble(config, host); });
}

}  // namespace
}  // namespace nb::cmd

int main(int argc, char** argv) {
  using namespace nb;
  cmd::MgmtConfig config;
  config::Table table;
  cmd::add_mgmt_rows(table, config);
  config::Cli cli("netbird-mgmt", "keeps NetBird networks: peers, policies, network maps",
                  std::string(build_version()));
  config::Command command = cmd::mgmt_command(table, config);
  command.path = "management";
  command.help = "run the management server";
  command.run = [&config](const config::Invocation& invocation) {
    return cmd::serve(config, invocation);
  };
  cli.command(std::move(command));
  cmd::MgmtAdmin admin(cmd::mgmt_verbs());
  admin.add_to(cli);
  return cli.main(argc, argv);
}
