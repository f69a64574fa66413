// netbird-bench: load for any NetBird-compatible server; see bench/README.md.
#include "load/compare.h"
#include "load/management_load.h"
#include "load/report.h"
#include "load/signal_load.h"
#include "load/spawned_server.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdio>
#include <string>
#include <vector>

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
  sub->add_option("--command", o.commands,
                  "starts the server; {port}, {metrics}, {dir} are filled in");
  sub->add_option("--peers", o.plan.peers, "peers, one stream each");
  sub->add_option("--connections", o.plan.connections, "connections they share");
  sub->add_option("--threads", o.plan.threads, "threads of the generator");
  sub->add_option("--rate", o.plan.rate, "messages a second; 0: saturated");
  sub->add_option("--outstanding", o.plan.outstanding, "saturated: messages on their way");
  sub->add_option("--bytes", o.plan.body_bytes, "body of a message");
  sub->add_option("--seconds", o.seconds, "measured time")->check(CLI::Range(0.1, 600.0));
  sub->add_option("--throttle", o.plan.throttle, "share of the time the server may run");
  sub->add_flag("--floor", o.plan.plain_headers, "the target is bench-floor");
}

struct ManagementOptions {
  std::vector<std::string> servers;
  ManagementPlan plan;
};

void add_management(CLI::App& app, ManagementOptions& o) {
  CLI::App* sub =
      app.add_subcommand("management", "agents that join, sync and learn of each other");
  sub->add_option("--server", o.servers, "address,pid,setup-key; several are loaded one by one")
      ->required();
  sub->add_option("--agents", o.plan.agents, "agents with Sync and Job streams");
  sub->add_option("--concurrency", o.plan.concurrency, "logins or first Syncs at once");
  sub->add_option("--burst", o.plan.burst, "joins without a pause");
  sub->add_option("--churn", o.plan.churn, "agents that reconnect all the time, for ten seconds");
  sub->add_flag("--all-at-once", o.plan.all_at_once, "everybody reconnects at the same moment");
}

int run_management_mode(ManagementOptions& o) {
  for (const std::string& text : o.servers) {
    const std::size_t first = text.find(',');
    const std::size_t second = text.find(',', first == std::string::npos ? first : first + 1);
    if (second == std::string::npos)
      return report_error(
          nb::fail(nb::Code::kInvalidArgument, "--server wants address,pid,setup-key"));
    const auto endpoint = parse_endpoint(text.substr(0, first));
    if (!endpoint) return report_error(endpoint.error());
    o.plan.target = *endpoint;
    o.plan.pids = {static_cast<pid_t>(std::atoi(text.c_str() + first + 1))};
    o.plan.setup_key = text.substr(second + 1);
    const auto result = run_management(o.plan);
    if (!result) return report_error(result.error());
    fmt::print("server     {}\n{}\n", endpoint->text(), describe(*result));
    std::fflush(stdout);
  }
  return 0;
}

struct CompareOptions {
  ComparePlan plan;
  double seconds = 4;
  bool strict = false;
};

void add_compare(CLI::App& app, CompareOptions& o) {
  CLI::App* sub = app.add_subcommand("compare", "two signal servers in one run, against the goals");
  sub->add_option("--a,--ours", o.plan.ours,
                  "command with {port}, {metrics}, {dir}, or address,pid")
      ->required();
  sub->add_option("--b,--other", o.plan.other, "the server to compare with, in the same form");
  sub->add_option("--floor", o.plan.floor, "command of bench-floor");
  sub->add_option("--instance", o.plan.instance,
                  "one of two instances of ours; {redis} and {instance} are filled in too");
  sub->add_option("--redis", o.plan.redis, "command of the Redis server they share");
  sub->add_option("--rounds", o.plan.rounds, "rounds A B A B ...; the median counts");
  sub->add_option("--seconds", o.seconds, "measured time of each")->check(CLI::Range(0.5, 60.0));
  sub->add_flag("--large", o.plan.large, "5,000 connections as well");
  sub->add_flag("--strict", o.strict, "exit code 3 when a goal is missed");
}

int run_compare_mode(CompareOptions& o) {
  o.plan.duration = std::chrono::milliseconds(static_cast<std::int64_t>(o.seconds * 1000));
  const auto met = run_compare(o.plan);
  if (!met) return report_error(met.error());
  return o.strict && !*met ? 3 : 0;
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
  CompareOptions compare_options;
  add_compare(app, compare_options);
  ManagementOptions management_options;
  add_management(app, management_options);
  CLI11_PARSE(app, argc, argv);
  if (app.got_subcommand("compare")) return run_compare_mode(compare_options);
  if (app.got_subcommand("management")) return run_management_mode(management_options);
  return run_signal_mode(signal_options);
}
