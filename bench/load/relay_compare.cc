#include "load/relay_compare.h"

#include "load/relay_load.h"
#include "load/report.h"
#include "load/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

namespace nb::bench {
namespace {

// Issue 6, §1.
constexpr double kPacketsRatioMin = 2;
constexpr double kIdleRatioMin = 4;
/// Of the other's p99: what two runs of one relay differ by on a machine that others use too.
constexpr double kP99Tolerance = 1.1;
constexpr auto kIdleSettle = std::chrono::milliseconds(10'000);

struct Scenario {
  const char* name;
  std::uint32_t pairs;
  std::uint32_t window;  // packets of one peer on their way
};
constexpr std::array kSaturated = {
    Scenario{"4 pairs, 64 packets each", 4, 64},
    Scenario{"100 pairs, 16 packets each", 100, 16},
    Scenario{"1,000 pairs, 2 packets each", 1'000, 2},
};
/// The one whose rates decide what half load is.
constexpr std::size_t kReference = 1;
constexpr double kLowRate = 5'000;

/// What is kept of the rounds of one relay under one load.
struct Series {
  std::vector<double> cpu, rate, cores, p50, p99, generator, switches, idle;
  std::uint64_t sent = 0, lost = 0, wrong = 0;
  void add(const RelayResult& r) {
    cpu.push_back(r.cpu_us);
    rate.push_back(r.rate());
    cores.push_back(r.cores);
    p50.push_back(static_cast<double>(r.latency.quantile(0.5)) / 1e6);
    p99.push_back(static_cast<double>(r.latency.quantile(0.99)) / 1e6);
    generator.push_back(r.own_cpu_us);
    switches.push_back(r.switches);
    idle.push_back(r.idle_kib_per_peer());
    sent += r.sent;
    lost += r.lost() + r.connections_lost;
    wrong += r.damaged + r.reordered;
  }
};

struct Pair {
  Series ours, other;
};

class Comparison {
 public:
  explicit Comparison(const RelayComparePlan& plan) : plan_(plan) {}

  Result<bool> run() {
    fmt::print("packets of {} bytes{:>52}\n", plan_.packet_bytes, "other  ->  ours");
    double half = 0;
    for (std::size_t i = 0; i < kSaturated.size(); ++i) {
      NB_LET(const Pair pair, measure(kSaturated[i], 0));
      print_load(kSaturated[i].name, "saturated", pair, true, false);
      if (i != kReference) continue;
      half = median(pair.ours.rate) / 2;
      if (compared()) half = std::min(half, median(pair.other.rate) / 2);
    }
    NB_TRY(fixed_rate(half, "half load"));
    NB_TRY(fixed_rate(kLowRate, "low load"));
    NB_TRY(idle_memory());
    fmt::print("\n{}\n", met_ ? "every goal met" : "NOT every goal met");
    return met_;
  }

 private:
  [[nodiscard]] bool compared() const { return !plan_.other.empty(); }
  const char* judge(bool good) {
    met_ = met_ && good;
    return good ? "met" : "MISSED";
  }

  [[nodiscard]] Result<RelayResult> once(const std::string& server, RelayPlan load) const {
    NB_LET(const Target target, open_target(server));
    load.target = target.endpoint;
    load.pids = {target.pid};
    load.secret = plan_.secret;
    load.packet_bytes = plan_.packet_bytes;
    return run_relay(load);
  }

  Result<Pair> rounds(const RelayPlan& load) {
    Pair pair;
    for (unsigned round = 0; round < plan_.rounds; ++round) {
      NB_LET(const RelayResult a, once(plan_.ours, load));
      pair.ours.add(a);
      if (!compared()) continue;
      NB_LET(const RelayResult b, once(plan_.other, load));
      pair.other.add(b);
    }
    return pair;
  }

  Result<Pair> measure(const Scenario& scenario, double rate) {
    RelayPlan load;
    load.peers = 2 * scenario.pairs;
    load.pairs = scenario.pairs;
    load.window = scenario.window;
    load.rate = rate;
    load.duration = plan_.duration;
    return rounds(load);
  }

  Result<> fixed_rate(double rate, const char* what) {
    NB_LET(const Pair pair, measure(kSaturated[kReference], rate));
    print_load(fmt::format("100 pairs, {:.0f}/s", rate), what, pair, false, true);
    return {};
  }

  /// One figure of both, and how they compare.
  void line(const char* name, const char* unit, const std::vector<double>& us,
            const std::vector<double>& them, const std::string& verdict) const {
    fmt::print("  {:<28} {:>12} {:>12.2f} {:<9} {}\n", name,
               compared() ? fmt::format("{:.2f}", median(them)) : "-", median(us), unit, verdict);
  }

  void print_load(const std::string& name, const char* what, const Pair& pair, bool packets_goal,
                  bool latency_goal) {
    const auto& [ours, other] = pair;
    fmt::print("{}, {}\n", name, what);
    const double ratio = median(other.cpu) / std::max(0.001, median(ours.cpu));
    std::string verdict;
    if (compared()) {
      verdict = fmt::format("{:.1f} x packets per CPU second", ratio);
      if (packets_goal)
        verdict +=
            fmt::format(" (goal {:.0f}: {})", kPacketsRatioMin, judge(ratio >= kPacketsRatioMin));
    }
    line("server CPU per packet", "us", ours.cpu, other.cpu, verdict);
    line("server, cores in use", "", ours.cores, other.cores, "");
    line("context switches per packet", "", ours.switches, other.switches, "");
    line("delivered", "/s", ours.rate, other.rate,
         fmt::format("generator {:.2f} us CPU per packet", median(ours.generator)));
    line("latency p50", "ms", ours.p50, other.p50, "");
    verdict.clear();
    if (compared() && latency_goal)
      verdict = fmt::format("(goal: not worse: {})",
                            judge(median(ours.p99) <= median(other.p99) * kP99Tolerance));
    line("latency p99", "ms", ours.p99, other.p99, verdict);
    fmt::print("  lost: ours {} of {}", ours.lost, ours.sent);
    if (compared()) fmt::print(", other {} of {}", other.lost, other.sent);
    if (ours.lost > 0) fmt::print("  {}", judge(false));
    if (ours.wrong + other.wrong > 0)
      fmt::print("; damaged or out of order: ours {} {}, other {}", ours.wrong,
                 ours.wrong > 0 ? judge(false) : "", other.wrong);
    fmt::print("\n");
    std::fflush(stdout);
  }

  Result<> idle_memory() {
    if (plan_.idle_peers == 0) return {};
    RelayPlan load;
    load.peers = plan_.idle_peers;
    load.pairs = 0;
    load.settle = kIdleSettle;
    load.duration = std::chrono::milliseconds(0);
    NB_LET(const Pair pair, rounds(load));
    fmt::print("{} idle connections\n", plan_.idle_peers);
    std::string verdict;
    if (compared()) {
      const double ratio = median(pair.other.idle) / std::max(0.001, median(pair.ours.idle));
      verdict = fmt::format("1/{:.1f} (goal 1/{:.0f}: {})", ratio, kIdleRatioMin,
                            judge(ratio >= kIdleRatioMin));
    }
    line("memory of each", "KiB", pair.ours.idle, pair.other.idle, verdict);
    return {};
  }

  const RelayComparePlan& plan_;
  bool met_ = true;
};

}  // namespace

Result<bool> run_relay_compare(const RelayComparePlan& plan) {
  if (plan.ours.empty()) return fail(Code::kInvalidArgument, "relay: no relay given");
  if (plan.rounds < 1 || plan.rounds > 20)
    return fail(Code::kInvalidArgument, "relay: rounds {}: want 1..20", plan.rounds);
  return Comparison(plan).run();
}

}  // namespace nb::bench
