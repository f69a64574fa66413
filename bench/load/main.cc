// netbird-bench: load for any NetBird-compatible server; see bench/README.md.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdio>
#include <string>
#include <vector>

#include "load/report.h"
#include "load/signal_load.h"
#include "load/spawned_server.h"

namespace {

using namespace nb::bench;  // NOLINT: the program's only file

struct SignalOptions {
  std::vector<std::string> targets;
  std::vector<std::string> commands;
  SignalPlan plan;
  double seconds = 5;
};

int report_error(const nb::Error& error) {
  fmt::print(stderr, "netbird-bench: {}: {}\n", nb::code_name(error.code), error.text);
  return 1;
}

void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void add_signal(CLI::App& app, SignalOptions& o) {
  CLI::App* sub = app.add_subcommand("signal", "messages between random pairs of peers");
  sub->add_option("--target", o.targets, "address of a running server (twice: across two)");
  sub->add_option("--pid", o.plan.pids, "server process whose cost is counted");
  sub->add_option("--command", o.commands, "starts the server; {port}, {metrics}, {dir} are filled in");
  sub->add_option("--peers", o.plan.peers, "peers, one stream each");
  sub->add_option("--connections", o.plan.connections, "connections they share");
  sub->add_option("--threads", o.plan.threads, "threads of the generator");
  sub->add_option("--rate", o.plan.rate, "messages a second; 0: saturated");
  sub->add_option("--outstanding", o.plan.outstanding, "saturated: messages on their way");
  sub->add_option("--bytes", o.plan.body_bytes, "body of a message");
  sub->add_option("--seconds", o.seconds, "measured time")->check(CLI::Range(0.1, 600.0));
  sub->add_flag("--floor", o.plan.plain_headers, "the target is bench-floor");
}

int run_signal_mode(SignalOptions& o) {
  std::vector<std::unique_ptr<SpawnedServer>> servers;
  for (const std::string& command : o.commands) {
    auto server = SpawnedServer::start(command);
    if (!server) return report_error(server.error());
    o.plan.targets.push_back((*server)->endpoint());
    o.plan.pids.push_back((*server)->pid());
    servers.push_back(std::move(*server));
  }
  for (const std::string& text : o.targets) {
    const auto endpoint = parse_endpoint(text);
    if (!endpoint) return report_error(endpoint.error());
    o.plan.targets.push_back(*endpoint);
  }
  o.plan.duration = std::chrono::milliseconds(static_cast<std::int64_t>(o.seconds * 1000));
  const auto result = run_signal(o.plan);
  if (!result) return report_error(result.error());
  fmt::print("{}", describe(*result));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  raise_file_limit();
  CLI::App app("Load generator for NetBird-compatible servers (loopback only)", "netbird-bench");
  app.require_subcommand(1);
  SignalOptions signal_options;
  add_signal(app, signal_options);
  CLI11_PARSE(app, argc, argv);
  return run_signal_mode(signal_options);
}
