// netbird-mgmt: reads its configuration, wires the parts, runs until SIGTERM.
#include "base/build_info.h"
#include "base/clock.h"
#include "base/config/cli.h"
#include "base/health.h"
#include "base/log_keys.h"
#include "base/log_sinks.h"
#include "base/metrics.h"
#include "base/program.h"
#include "cmd/mgmt_admin.h"
#include "cmd/mgmt_config.h"
#include "cmd/mgmt_server.h"

#include <memory>

namespace nb::cmd {
namespace {

int serve(MgmtConfig& config, const config::Invocation& invocation) {
  auto sink = make_log_sink(config.service.log, "netbird-mgmt");
  if (!sink) {
    fmt::print(stderr, "netbird-mgmt: {}\n", sink.error().text);
    return 1;
  }
  const Logger log(*sink);
  for (const auto& warning : invocation.warnings) log.warn(warning);
  SystemClock clock;
  const auto metrics = std::make_shared<MetricRegistry>();
  add_process_metrics(*metrics, "management");
  Health health(clock);
  Program program(health, log, config.service.program);
  const auto server = MgmtServer::make(config, metrics, health, log);
  if (!server) {
    log.error("cannot start", {log::f(log::kError, server.error().text)});
    return 1;
  }
  (*server)->add_to(program);
  return program.run();
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
  cmd::MgmtAdmin admin;
  admin.add_to(cli);
  return cli.main(argc, argv);
}
