#include "load/management_load.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <utility>

namespace nb::bench {
namespace {

using Clock = AgentGroup::Clock;
using std::chrono::milliseconds;

double per_agent_ms(std::int64_t ns, std::uint32_t agents) {
  return static_cast<double>(ns) / 1e6 / std::max(1U, agents);
}

double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

class Run {
 public:
  explicit Run(const ManagementPlan& plan)
      : plan_(plan), group_(group_plan(0)), joined_(plan.agents) {}

  Result<ManagementResult> run() {
    out_.agents = plan_.agents;
    out_.baseline = read_processes(plan_.pids);
    NB_TRY(prepare());
    if (!plan_.register_only) NB_TRY(work());
    group_.close();
    out_.serial_fell = group_.serial_fell();
    out_.failures = group_.failures();
    out_.first_failure = group_.first_failure();
    out_.first_map = group_.first_map();
    return std::move(out_);
  }

 private:
  [[nodiscard]] AgentGroup::Plan group_plan(std::uint32_t first) const {
    return {.target = plan_.target,
            .others = plan_.others,
            .setup_key = plan_.setup_key,
            .first = first,
            .concurrency = plan_.concurrency,
            .step_max = plan_.step_max};
  }

  /// Agents that the server knows.
  Result<> prepare() {
    if (!plan_.keys_file.empty() && std::filesystem::exists(plan_.keys_file)) {
      NB_TRY(group_.load(plan_.keys_file, plan_.agents));
      return plan_.crowd ? Result<>{} : group_.connect(0, plan_.agents);
    }
    group_.make(plan_.agents);
    out_.registered = true;
    const std::int64_t before = read_cpu_ns(plan_.pids);
    NB_TRY(group_.log_in(0, plan_.agents, out_.login));
    out_.login_cpu_ms = per_agent_ms(read_cpu_ns(plan_.pids) - before, plan_.agents);
    if (plan_.keys_file.empty()) return {};
    return group_.save(plan_.keys_file);
  }

  Result<> work() {
    out_.opened = true;
    if (plan_.crowd)
      crowd();
    else
      NB_TRY(sync_agents());
    settle();
    out_.idle_kib_per_agent = kib_per_agent(read_processes(plan_.pids).rss_bytes);
    out_.idle_cpu_percent = cpu_percent([this] { wait(plan_.idle_time); });
    if (plan_.hold) {
      hold();
      return {};
    }
    if (plan_.burst > 0) {
      NB_TRY(storm(1, out_.one));
      NB_TRY(storm(plan_.burst, out_.burst));
    }
    NB_TRY(reconnect());
    return plan_.churn > 0 ? churn() : Result<>{};
  }

  void crowd() {
    group_.cut(0, plan_.agents, "before the crowd");
    reset_peaks(plan_.pids);
    Bystander bystander(group_plan(plan_.agents), 0);
    const std::int64_t before = read_cpu_ns(plan_.pids);
    out_.crowd = group_.arrive(plan_.step_max);
    out_.crowd_cpu_ms = per_agent_ms(read_cpu_ns(plan_.pids) - before, plan_.agents);
    out_.crowd_server_key = bystander.end().server_key;
    out_.crowd_rss_peak = read_processes(plan_.pids).rss_peak_bytes;
  }

  Result<> sync_agents() {
    const std::int64_t before = read_cpu_ns(plan_.pids);
    NB_TRY(group_.open_streams(0, plan_.agents, plan_.concurrency));
    out_.sync_cpu_ms = per_agent_ms(read_cpu_ns(plan_.pids) - before, plan_.agents);
    double bytes = 0;
    for (const auto& agent : group_.agents()) bytes += static_cast<double>(agent->first_map_bytes);
    out_.first_map_kib = bytes / 1024 / std::max(1U, plan_.agents);
    return {};
  }

  void wait(milliseconds time) {
    for (const auto until = Clock::now() + time; Clock::now() < until;) group_.turn();
  }

  /// Of one core, while `work` runs.
  template <class Work>
  double cpu_percent(const Work& work) {
    const auto began = Clock::now();
    const std::int64_t before = read_cpu_ns(plan_.pids);
    work();
    return static_cast<double>(read_cpu_ns(plan_.pids) - before) / 1e7 / seconds_since(began);
  }

  /// Until nothing was received for `quiet`.
  void settle() {
    const auto began = Clock::now();
    while (Clock::now() - std::max(began, group_.last_received()) < plan_.quiet &&
           Clock::now() < began + plan_.step_max)
      group_.turn();
  }

  /// More than before the first agent.
  [[nodiscard]] double kib_per_agent(std::int64_t rss) const {
    return static_cast<double>(rss - out_.baseline.rss_bytes) / 1024 / std::max(1U, plan_.agents);
  }

  /// Until something comes from standard input, or it ends.
  void hold() {
    const std::uint64_t maps = group_.maps();
    const std::uint64_t bytes = group_.map_bytes();
    fmt::print("holding {} agents\n", plan_.agents);
    std::fflush(stdout);
    for (pollfd input{STDIN_FILENO, POLLIN, 0}; ::poll(&input, 1, 0) == 0;) group_.turn();
    out_.held_maps = group_.maps() - maps;
    out_.held_mib = static_cast<double>(group_.map_bytes() - bytes) / 1048576;
  }

  /// `joins` new agents log in at once; the streams of the first ones must all learn of them.
  Result<> storm(std::uint32_t joins, StormResult& out) {
    const std::uint64_t maps = group_.maps();
    const std::uint64_t bytes = group_.map_bytes();
    const std::uint32_t expected = joined_ + joins - 1;
    reset_peaks(plan_.pids);
    const std::int64_t cpu = read_cpu_ns(plan_.pids);
    group_.expect_peers(expected);
    Bystander bystander(group_plan(joined_), joins);
    joined_ += joins;
    const auto deadline = Clock::now() + plan_.step_max;
    std::uint64_t seen = 0;
    for (auto moved = Clock::now(); Clock::now() < deadline;) {
      group_.turn();
      if (std::exchange(seen, group_.maps()) != group_.maps() || !bystander.joined())
        moved = Clock::now();
      // Its questions are for the time in which the server has maps to send.
      if (group_.informed() == plan_.agents && !out.server_key.total() && bystander.joined())
        take(bystander, out);
      if (Clock::now() - moved > plan_.quiet) break;
    }
    take(bystander, out);
    NB_TRY(outcome_);
    out.cpu_seconds = static_cast<double>(read_cpu_ns(plan_.pids) - cpu) / 1e9;
    for (const auto& agent : group_.agents()) out.stale += agent->peers != expected ? 1U : 0U;
    out.rounds = static_cast<double>(group_.maps() - maps) / plan_.agents;
    out.mib = static_cast<double>(group_.map_bytes() - bytes) / 1048576;
    out.first_ns = group_.first_informed_ns();
    out.last_ns = group_.last_informed_ns();
    out.rss_peak = read_processes(plan_.pids).rss_peak_bytes;
    out.peak_kib_per_agent = kib_per_agent(out.rss_peak);
    group_.expect_peers(0);
    return {};
  }

  void take(Bystander& bystander, StormResult& out) {
    if (out.server_key.total() > 0) return;
    auto report = bystander.end();
    out.server_key = report.server_key;
    out.join = report.join;
    outcome_ = report.outcome;
  }

  /// Every agent's connection is cut and made anew, with Sync and Job: what a dead instance causes.
  Result<> reconnect() {
    group_.cut(0, plan_.agents, "reconnect");
    settle();
    const std::int64_t before = read_cpu_ns(plan_.pids);
    const auto began = Clock::now();
    Bystander bystander(group_plan(joined_), 0);
    NB_TRY(group_.connect(0, plan_.agents));
    NB_TRY(
        group_.open_streams(0, plan_.agents, plan_.all_at_once ? plan_.agents : plan_.concurrency));
    out_.reconnect_seconds = seconds_since(began);
    out_.reconnect_cpu_ms = per_agent_ms(read_cpu_ns(plan_.pids) - before, plan_.agents);
    out_.reconnect_server_key = bystander.end().server_key;
    return {};
  }

  /// Some agents lose their connection and come back, one after the other, all the time.
  Result<> churn() {
    settle();
    const std::uint32_t agents = std::min(plan_.churn, plan_.agents);
    std::uint64_t reconnects = 0;
    Result<> outcome;
    const auto began = Clock::now();
    out_.churn_cpu_percent = cpu_percent([&] {
      while (outcome && Clock::now() - began < plan_.churn_time) {
        const auto at = static_cast<std::uint32_t>(reconnects++ % agents);
        group_.cut(at, at + 1, "churn");
        outcome = group_.connect(at, at + 1);
        if (outcome) outcome = group_.open_streams(at, at + 1, 1);
        // When the next one is due, however long this one took.
        while (outcome && Clock::now() < began + plan_.churn_period * reconnects / agents)
          group_.turn();
      }
    });
    out_.churn_per_second = static_cast<double>(reconnects) / seconds_since(began);
    return outcome;
  }

  const ManagementPlan& plan_;
  ManagementResult out_;
  AgentGroup group_;
  std::uint32_t joined_;  // agents of the account
  Result<> outcome_;      // of the joins
};

}  // namespace

Result<ManagementResult> run_management(const ManagementPlan& plan) {
  if (plan.agents < 1 || plan.agents > 10'000)
    return fail(Code::kInvalidArgument, "management load: agents {}: want 1..10000", plan.agents);
  if (plan.burst > 1'000)
    return fail(Code::kInvalidArgument, "management load: burst {}: want 0..1000", plan.burst);
  if (plan.concurrency < 1)
    return fail(Code::kInvalidArgument, "management load: concurrency must be at least 1");
  if (plan.churn_period.count() < 1)
    return fail(Code::kInvalidArgument, "management load: churn period must be at least 1 ms");
  if (plan.setup_key.empty()) return fail(Code::kInvalidArgument, "management load: no setup key");
  return Run(plan).run();
}

}  // namespace nb::bench
