// netbird-bench: load for any NetBird-compatible server; see bench/README.md.
#include "load/compare.h"
#include "load/management_load.h"
#include "load/relay_compare.h"
#include "load/relay_load.h"
#include "load/report.h"
#include "load/signal_load.h"
#include "load/spawned_server.h"
#include "load/target.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
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

std::chrono::milliseconds milliseconds_of(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
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
  std::vector<std::string> others;
  ManagementPlan plan;
  double churn_seconds = 10;
  double churn_period = 2;
};

void add_management(CLI::App& app, ManagementOptions& o) {
  CLI::App* sub =
      app.add_subcommand("management", "agents that join, sync and learn of each other");
  sub->add_option("--server", o.servers, "address,pid,setup-key; several are loaded one by one")
      ->required();
  sub->add_option("--instance", o.others, "address,pid of another instance of that server");
  sub->add_option("--agents", o.plan.agents, "agents with Sync and Job streams");
  sub->add_option("--concurrency", o.plan.concurrency, "logins or first Syncs at once");
  sub->add_option("--burst", o.plan.burst, "joins without a pause, after one; 0: nobody joins");
  sub->add_option("--churn", o.plan.churn, "agents that reconnect all the time");
  sub->add_option("--churn-seconds", o.churn_seconds, "for so long")
      ->check(CLI::Range(1.0, 3600.0));
  sub->add_option("--churn-period", o.churn_period, "seconds in which each of them comes back once")
      ->check(CLI::Range(0.001, 3600.0));
  sub->add_flag("--all-at-once", o.plan.all_at_once, "everybody reconnects at the same moment");
  sub->add_flag("--crowd", o.plan.crowd, "everybody arrives at the same moment, with Login");
  sub->add_option("--keys", o.plan.keys_file,
                  "file of the agents' private keys: read if it is there, else written");
  sub->add_flag("--hold", o.plan.hold, "streams stay open until standard input ends");
  sub->add_flag("--register-only", o.plan.register_only, "ends when the agents are registered");
}

int run_management_mode(ManagementOptions& o) {
  o.plan.churn_time = milliseconds_of(o.churn_seconds);
  o.plan.churn_period = milliseconds_of(o.churn_period);
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
    std::vector<Target> others;
    o.plan.others.clear();
    for (const std::string& other : o.others) {
      auto target = open_target(other);
      if (!target) return report_error(target.error());
      o.plan.others.push_back(target->endpoint);
      o.plan.pids.push_back(target->pid);
      others.push_back(std::move(*target));
    }
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
  o.plan.duration = milliseconds_of(o.seconds);
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
  o.plan.duration = milliseconds_of(o.seconds);
  const auto result = run_signal(o.plan);
  if (!result) return report_error(result.error());
  fmt::print("{}", describe(*result));
  return 0;
}

struct RelayOptions {
  std::string server;
  RelayPlan plan;
  double seconds = 5;
  double settle = 2;
  bool separate = false;
};

void add_relay(CLI::App& app, RelayOptions& o) {
  CLI::App* sub = app.add_subcommand("relay", "packets between pairs of peers of one relay");
  sub->add_option("--server", o.server,
                  "command with {port}, {metrics}, {health}, {dir}, or address,pid")
      ->required();
  sub->add_option("--peers", o.plan.peers, "connected peers");
  sub->add_option("--pairs", o.plan.pairs, "pairs of them that exchange packets");
  sub->add_option("--threads", o.plan.threads, "threads of the generator");
  sub->add_option("--rate", o.plan.rate, "packets a second; 0: saturated");
  sub->add_option("--window", o.plan.window, "saturated: packets of one peer on their way");
  sub->add_option("--bytes", o.plan.packet_bytes, "payload of a packet");
  sub->add_option("--seconds", o.seconds, "measured time; 0: idle")->check(CLI::Range(0.0, 600.0));
  sub->add_option("--settle", o.settle, "seconds before memory is read")
      ->check(CLI::Range(0.0, 600.0));
  sub->add_flag("--separate-writes", o.separate, "one write for each packet");
}

struct RelayCompareOptions {
  RelayComparePlan plan;
  double seconds = 4;
  bool strict = false;
};

void add_relay_compare(CLI::App& app, RelayCompareOptions& o) {
  CLI::App* sub = app.add_subcommand("compare-relay", "two relays in one run, against the goals");
  sub->add_option("--a,--ours", o.plan.ours,
                  "command with {port}, {metrics}, {health}, {dir}, or address,pid")
      ->required();
  sub->add_option("--b,--other", o.plan.other, "the relay to compare with, in the same form");
  sub->add_option("--rounds", o.plan.rounds, "rounds A B A B ...; the median counts");
  sub->add_option("--seconds", o.seconds, "measured time of each")->check(CLI::Range(0.5, 60.0));
  sub->add_option("--bytes", o.plan.packet_bytes, "payload of a packet");
  sub->add_option("--idle", o.plan.idle_peers, "connections for the figure of memory; 0: none");
  sub->add_flag("--strict", o.strict, "exit code 3 when a goal is missed");
}

/// Not an option: command lines are for everybody to read.
nb::Result<nb::Secret> relay_secret() {
  const char* const text = std::getenv("NB_AUTH_SECRET");
  if (text == nullptr || *text == '\0')
    return nb::fail(nb::Code::kInvalidArgument, "NB_AUTH_SECRET is not set: the relay's secret");
  return nb::Secret(std::string(text));
}

int run_relay_mode(RelayOptions& o) {
  auto secret = relay_secret();
  if (!secret) return report_error(secret.error());
  o.plan.secret = std::move(*secret);
  const auto target = open_target(o.server);
  if (!target) return report_error(target.error());
  o.plan.target = target->endpoint;
  o.plan.pids = {target->pid};
  o.plan.duration = milliseconds_of(o.seconds);
  o.plan.settle = milliseconds_of(o.settle);
  o.plan.coalesce = !o.separate;
  const auto result = run_relay(o.plan);
  if (!result) return report_error(result.error());
  fmt::print("{}", describe(*result));
  return 0;
}

int run_relay_compare_mode(RelayCompareOptions& o) {
  auto secret = relay_secret();
  if (!secret) return report_error(secret.error());
  o.plan.secret = std::move(*secret);
  o.plan.duration = milliseconds_of(o.seconds);
  const auto met = run_relay_compare(o.plan);
  if (!met) return report_error(met.error());
  return o.strict && !*met ? 3 : 0;
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
  RelayOptions relay_options;
  add_relay(app, relay_options);
  RelayCompareOptions relay_compare_options;
  add_relay_compare(app, relay_compare_options);
  CLI11_PARSE(app, argc, argv);
  if (app.got_subcommand("compare")) return run_compare_mode(compare_options);
  if (app.got_subcommand("management")) return run_management_mode(management_options);
  if (app.got_subcommand("relay")) return run_relay_mode(relay_options);
  if (app.got_subcommand("compare-relay")) return run_relay_compare_mode(relay_compare_options);
  return run_signal_mode(signal_options);
}
