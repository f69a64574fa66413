// main() of the programs that have one command: serve.
#pragma once

#include "base/build_info.h"
#include "base/config/cli.h"
#include "cmd/host.h"

#include <functional>
#include <memory>
#include <string>

namespace nb::cmd {

/// What tells one such program from another.
template <class Config>
struct SoleCommand {
  const char* purpose;  // for --help
  void (*add_rows)(config::Table&, Config&);
  config::Command (*command)(config::Table&, Config&,
                             std::function<int(const config::Invocation&)> run);
  HostOptions (*options)(const Config&);
  Result<std::unique_ptr<Assembly>> (*assemble)(const Config&, Host&);
  bool named = false;  // the command's name must be written, as upstream's
};

/// Reads the configuration and serves until SIGTERM. Returns the exit status.
template <class Config>
int run_sole_command(int argc, char** argv, const SoleCommand<Config>& what) {
  Config config;
  // NOLINTNEXTLINE(misc-const-correctness): changed by add_rows, unseen in a template.
  config::Table table;
  what.add_rows(table, config);
  config::Cli cli(what.options(config).program, what.purpose, std::string(build_version()));
  const auto serve = [&](const config::Invocation& invocation) {
    return run_host(what.options(config), invocation.warnings,
                    [&](Host& host) { return what.assemble(config, host); });
  };
  cli.command(what.command(table, config, serve));
  if (!what.named) cli.fallback("run");
  return cli.main(argc, argv);
}

}  // namespace nb::cmd
