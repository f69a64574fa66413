#include "load/compare.h"

#include "load/report.h"
#include "load/signal_load.h"
#include "load/spawned_server.h"
#include "load/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

namespace nb::bench {
namespace {

constexpr double kFloorFactorMax = 1.5;
constexpr double kIdleKibMax = 14;
constexpr double kAfterKibMax = 18;
constexpr double kCrossP99MsMax = 5;
constexpr double kOverloadShare = 0.1;

struct Scenario {
  const char* name;
  std::uint32_t peers;
  std::uint32_t connections;
  double rate;        // 0: saturated
  double goal_ratio;  // other / ours at least
  bool floor_goal;    // judged against the floor as well
};
// Issue "the ground and the first real mesh", §6. On few connections nearly nothing is left for the
// floor to do (no PING, no system call of its own per message), so it is shown but not judged.
constexpr Scenario kScenarios[] = {
    {"1,000 connections, saturated", 1000, 1000, 0, 6, true},
    {"1,000 connections, 1,000/s", 1000, 1000, 1000, 5, true},
    {"8 connections, saturated", 1000, 8, 0, 20, false},
};
constexpr Scenario kLarge = {"5,000 connections, saturated", 5000, 5000, 0, 6, true};

void replace_all(std::string& text, std::string_view what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
}

Result<SignalResult> run_once(const std::string& server, SignalPlan plan) {
  NB_LET(const Target target, open_target(server));
  plan.targets = {target.endpoint};
  plan.pids = {target.pid};
  return run_signal(plan);
}

/// What is kept of the rounds of one server under one load.
struct Series {
  std::vector<double> cpu, idle, after, rate;
  std::uint64_t lost = 0, wrong = 0;
  void add(const SignalResult& r) {
    cpu.push_back(r.cpu_us);
    idle.push_back(r.idle_kib_per_peer());
    after.push_back(r.after_kib_per_peer());
    rate.push_back(r.rate());
    lost += r.lost_silently + r.connections_lost;
    wrong += r.duplicates + r.misdelivered;
  }
};

class Comparison {
 public:
  explicit Comparison(const ComparePlan& plan) : plan_(plan) {}

  Result<bool> run() {
    std::vector<Scenario> scenarios(std::begin(kScenarios), std::end(kScenarios));
    if (plan_.large) scenarios.push_back(kLarge);
    fmt::print("{:<30} {:>10} {:>10} {:>8} {:>8} {:>7} {:>8}\n", "CPU us per message", "other",
               "ours", "ratio", "goal", "floor", "x floor");
    for (const Scenario& scenario : scenarios) NB_TRY(run_scenario(scenario));
    print_memory();
    NB_TRY(run_overload());
    NB_TRY(run_cluster());
    fmt::print("\n{}\n", met_ ? "every goal met" : "NOT every goal met");
    return met_;
  }

 private:
  static const char* verdict(bool good) { return good ? "met" : "MISSED"; }
  bool judge(bool good) {
    met_ = met_ && good;
    return good;
  }

  Result<> run_scenario(const Scenario& s) {
    SignalPlan load;
    load.peers = s.peers;
    load.connections = s.connections;
    load.rate = s.rate;
    load.duration = plan_.duration;
    Series ours, other, floor;
    for (unsigned round = 0; round < plan_.rounds; ++round) {
      NB_LET(const SignalResult a, run_once(plan_.ours, load));
      ours.add(a);
      saturated_rate_ = s.rate > 0 || s.connections < s.peers ? saturated_rate_ : a.rate();
      if (!plan_.other.empty()) {
        NB_LET(const SignalResult b, run_once(plan_.other, load));
        other.add(b);
      }
      if (!plan_.floor.empty()) {
        SignalPlan bare = load;
        bare.plain_headers = true;
        NB_LET(const SignalResult f, run_once(plan_.floor, bare));
        floor.add(f);
      }
    }
    print_scenario(s, ours, other, floor);
    if (s.connections == s.peers && s.rate == 0 && s.peers == 1000) {
      memory_ours_ = ours;
      memory_other_ = other;
    }
    return {};
  }

  void print_scenario(const Scenario& s, const Series& ours, const Series& other,
                      const Series& floor) {
    const double us = median(ours.cpu);
    const double them = median(other.cpu);
    const double bare = median(floor.cpu);
    std::string line = fmt::format("{:<30} {:>10} {:>10.1f}", s.name,
                                   other.cpu.empty() ? "-" : fmt::format("{:.1f}", them), us);
    if (!other.cpu.empty())
      line += fmt::format(" {:>8.1f} {:>8.0f}", them / us, s.goal_ratio);
    else
      line += fmt::format(" {:>8} {:>8.0f}", "-", s.goal_ratio);
    if (!floor.cpu.empty()) line += fmt::format(" {:>7.1f} {:>8.2f}", bare, us / bare);
    if (!other.cpu.empty()) line += fmt::format("  {}", verdict(judge(them / us >= s.goal_ratio)));
    if (!floor.cpu.empty() && s.floor_goal)
      line += fmt::format(", floor {}", verdict(judge(us / bare <= kFloorFactorMax)));
    if (ours.lost + ours.wrong > 0) {
      judge(false);
      line += fmt::format("  OURS LOST {}, WRONG {}", ours.lost, ours.wrong);
    }
    if (other.lost + other.wrong > 0)
      line += fmt::format("  (other lost {}, wrong {})", other.lost, other.wrong);
    line += fmt::format("  [{:.0f}/s ours, {:.0f}/s other]", median(ours.rate), median(other.rate));
    fmt::print("{}\n", line);
    std::fflush(stdout);
  }

  void print_memory() {
    const auto line = [this](const char* name, const std::vector<double>& us,
                             const std::vector<double>& them, double goal) {
      const double kib = median(us);
      fmt::print("{:<30} {:>10.1f} {:>10.1f} {:>8.1f} {:>6.0f} K  {}\n", name, median(them), kib,
                 kib > 0 ? median(them) / kib : 0, goal, verdict(judge(kib <= goal)));
    };
    fmt::print("\nKiB per connected peer (1,000 connections)\n");
    line("idle", memory_ours_.idle, memory_other_.idle, kIdleKibMax);
    line("after saturated traffic", memory_ours_.after, memory_other_.after, kAfterKibMax);
    std::fflush(stdout);
  }

  /// The rate ours had when saturated, offered to ours with a tenth of its time.
  Result<> run_overload() {
    SignalPlan load;
    load.rate = std::max(2'000.0, saturated_rate_);
    load.throttle = kOverloadShare;
    load.duration = plan_.duration;
    load.drain_max = std::chrono::milliseconds(60'000);
    NB_LET(const SignalResult r, run_once(plan_.ours, load));
    const double growth =
        static_cast<double>(r.rss_peak - r.rss_idle) / 1024 / static_cast<double>(r.peers);
    fmt::print(
        "\n10x overload ({:.0f}/s offered to a tenth of the CPU): sent {}, delivered {}, refused "
        "{}, "
        "held back {}, lost silently {}, duplicates {}; memory +{:.1f} KiB per peer at most  {}\n",
        load.rate, r.sent, r.delivered, r.refused, r.held_back, r.lost_silently, r.duplicates,
        growth, verdict(judge(r.lost_silently == 0 && r.connections_lost == 0)));
    std::fflush(stdout);
    return {};
  }

  Result<std::unique_ptr<SpawnedServer>> start_instance(const SpawnedServer& redis, int number) {
    std::string command = plan_.instance;
    replace_all(command, "{redis}", redis.endpoint().text());
    replace_all(command, "{instance}", fmt::format("bench-{}", number));
    return SpawnedServer::start(command);
  }

  Result<> run_cluster() {
    if (plan_.instance.empty() || plan_.redis.empty()) return {};
    NB_LET(const auto redis, SpawnedServer::start(plan_.redis));
    NB_LET(const auto a, start_instance(*redis, 1));
    NB_LET(const auto b, start_instance(*redis, 2));
    SignalPlan load;
    load.targets = {a->endpoint(), b->endpoint()};
    load.pids = {a->pid(), b->pid()};
    load.duration = plan_.duration;
    NB_LET(const SignalResult full, run_signal(load));
    load.rate = full.rate() / 2;
    NB_LET(const SignalResult half, run_signal(load));
    const std::uint64_t p99 = half.latency.quantile(0.99);
    fmt::print(
        "\nacross two instances: saturated {:.0f}/s, {:.1f} us CPU of both per message, lost {}; "
        "half of it: p50 {}, p99 {} (goal {} ms), lost {}  {}\n",
        full.rate(), full.cpu_us, full.lost_silently, milliseconds_text(half.latency.quantile(0.5)),
        milliseconds_text(p99), kCrossP99MsMax, half.lost_silently,
        verdict(judge(static_cast<double>(p99) < kCrossP99MsMax * 1e6 && half.lost_silently == 0 &&
                      full.lost_silently == 0)));
    std::fflush(stdout);
    return {};
  }

  const ComparePlan& plan_;
  Series memory_ours_, memory_other_;
  double saturated_rate_ = 0;
  bool met_ = true;
};

}  // namespace

Result<bool> run_compare(const ComparePlan& plan) {
  if (plan.ours.empty()) return fail(Code::kInvalidArgument, "compare: no server given");
  if (plan.rounds < 1 || plan.rounds > 20)
    return fail(Code::kInvalidArgument, "compare: rounds {}: want 1..20", plan.rounds);
  return Comparison(plan).run();
}

}  // namespace nb::bench
