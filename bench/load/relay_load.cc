#include "load/relay_load.h"

#include "load/relay_peer.h"
#include "load/waiting.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace nb::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr auto kConnectLimit = milliseconds(120'000);
constexpr auto kTick = milliseconds(20);
constexpr std::uint32_t kHandshakesMax = 128;  // under way at once, of each thread
constexpr std::uint32_t kSendsPerTurnMax = 64;
/// A flow without any arrival for so long counts what is under way as lost and goes on.
constexpr std::uint64_t kForgiveNs = 1'000'000'000;

enum class Phase : std::uint8_t { kConnect, kIdle, kTraffic, kStop };

crypto::RelayToken make_token(const Secret& secret) {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  return crypto::RelayTokens({secret}).make(now + std::chrono::hours(24));
}

/// What all threads share.
struct Shared {
  Shared(const RelayPlan& wanted, std::uint32_t run_id)
      : plan(wanted), run(run_id), token(make_token(wanted.secret)) {}
  [[nodiscard]] relay::PeerId id(std::uint32_t number) const {
    return crypto::relay_peer_id(fmt::format("bench {} {}", run, number));
  }
  void fail(std::string_view reason) {
    const std::lock_guard lock(mutex);
    if (failure.empty()) failure = reason;
    connections_lost.fetch_add(1);
  }
  const RelayPlan& plan;
  const std::uint32_t run;
  const crypto::RelayToken token;
  std::atomic<Phase> phase{Phase::kConnect};
  std::atomic<std::uint32_t> open{0};
  std::atomic<std::uint64_t> connections_lost{0};
  std::atomic<std::uint64_t> sent{0}, delivered{0}, damaged{0}, reordered{0};
  std::atomic<std::uint64_t> window_begin_ns{~std::uint64_t{0}}, window_end_ns{~std::uint64_t{0}};
  std::mutex mutex;
  std::string failure;  // the first; guarded by mutex
};

/// Serves every pair whose number is `first` modulo the number of threads: both ends of a flow are
/// here, so nothing but counters is shared.
class Worker final : public RelayPeer::Owner {
 public:
  Worker(Shared& shared, std::uint32_t first)
      : shared_(shared), plan_(shared.plan), first_(first) {}

  void run() {
    if (!connect_all()) return;
    std::uint64_t due = 0;
    for (Phase phase = shared_.phase; phase != Phase::kStop; phase = shared_.phase) {
      if (phase != Phase::kTraffic || flows_.empty())
        loop_.turn(kTick);
      else
        loop_.turn(plan_.rate > 0 ? send_due(due) : send_more());
    }
  }

  void on_open(RelayPeer& /*peer*/) override {
    --handshakes_;
    shared_.open.fetch_add(1);
  }
  void on_packet(RelayPeer& peer, const PacketStamp& stamp, bool whole) override {
    // Peers of a pair stand side by side: 0 and 1, 2 and 3, ...
    if (!whole || stamp.run != shared_.run || stamp.flow != (peer.number() ^ 1U)) {
      shared_.damaged.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    Flow& flow = flows_[index_of(stamp.flow)];
    if (stamp.number < flow.next_expected)
      shared_.reordered.fetch_add(1, std::memory_order_relaxed);
    else
      flow.next_expected = stamp.number + 1;
    if (flow.under_way > 0) --flow.under_way;
    flow.moved_ns = now_ns();
    shared_.delivered.fetch_add(1, std::memory_order_relaxed);
    if (stamp.time_ns >= shared_.window_begin_ns.load(std::memory_order_relaxed) &&
        stamp.time_ns < shared_.window_end_ns.load(std::memory_order_relaxed))
      latency_.add(flow.moved_ns - stamp.time_ns);
    if (!std::exchange(flow.ready, true)) ready_.push_back(&flow);
  }
  void on_closed(RelayPeer& /*peer*/, std::string_view reason) override {
    if (shared_.phase != Phase::kStop) shared_.fail(reason);
  }
  [[nodiscard]] const Histogram& latency() const { return latency_; }

 private:
  struct Flow {
    RelayPeer* sender = nullptr;
    std::uint64_t next_number = 0;
    std::uint64_t next_expected = 0;
    std::uint64_t moved_ns = 0;
    std::uint32_t under_way = 0;
    bool ready = false;
  };

  [[nodiscard]] std::size_t index_of(std::uint32_t flow) const {
    return (flow / 2 / plan_.threads) * 2 + flow % 2;
  }

  bool connect_one(std::uint32_t number) {
    while (handshakes_ >= kHandshakesMax) {
      if (shared_.connections_lost > 0 || shared_.phase == Phase::kStop) return false;
      loop_.turn(kTick);
    }
    auto peer = loop_.connect<RelayPeer>(
        plan_.target, kConnectLimit, plan_.target.text(),
        RelayPeer::Identity{number, shared_.id(number), shared_.token}, *this);
    if (!peer) {
      shared_.fail(peer.error().text);
      return false;
    }
    ++handshakes_;
    if (handshakes_ % 16 == 0) loop_.turn(nanoseconds(0));
    if (number >= 2 * plan_.pairs) return true;
    (*peer)->pair_with(shared_.id(number ^ 1U), plan_.packet_bytes);
    flows_.push_back({.sender = *peer});
    return true;
  }

  bool connect_all() {
    flows_.reserve(2UL * plan_.pairs);  // kept by address
    for (std::uint32_t pair = first_; 2 * pair < plan_.peers; pair += plan_.threads) {
      if (!connect_one(2 * pair) || !connect_one(2 * pair + 1)) return false;
    }
    for (Flow& flow : flows_) {
      flow.ready = true;
      ready_.push_back(&flow);
    }
    return true;
  }

  void send(Flow& flow, std::uint64_t time_ns) {
    flow.sender->send_packet({shared_.run, flow.sender->number(), flow.next_number++, time_ns});
    if (plan_.coalesce)
      loop_.touch(*flow.sender);
    else if (flow.sender->flush() && flow.sender->wants_write())
      loop_.touch(*flow.sender);
    ++flow.under_way;
    shared_.sent.fetch_add(1, std::memory_order_relaxed);
  }

  /// Saturated: every flow is kept full.
  nanoseconds send_more() {
    const std::uint64_t now = now_ns();
    std::vector<Flow*> ready = std::exchange(ready_, {});
    for (Flow* const flow : ready) {
      flow->ready = false;
      if (flow->sender->fd() < 0) continue;
      flow->moved_ns = now;
      while (flow->under_way < plan_.window) send(*flow, now);
    }
    ready.clear();
    if (ready_.empty()) ready_ = std::move(ready);  // keeps its capacity
    if (now - forgiven_at_ns_ > kForgiveNs / 2) {
      forgiven_at_ns_ = now;
      for (Flow& flow : flows_) {
        if (now - flow.moved_ns < kForgiveNs || flow.ready) continue;
        flow.under_way = 0;
        flow.ready = true;
        ready_.push_back(&flow);
      }
    }
    return ready_.empty() ? nanoseconds(kTick) : nanoseconds(0);
  }

  /// Fixed rate: all that is due, and how long until the next. A generator that is late catches up
  /// at most a second, so that the rate stays a rate.
  nanoseconds send_due(std::uint64_t& due) {
    const auto step = static_cast<std::uint64_t>(1e9 * plan_.threads / plan_.rate);
    const std::uint64_t now = now_ns();
    if (due == 0 || due + 1'000'000'000 < now) due = now;
    for (std::uint32_t i = 0; due <= now && i < kSendsPerTurnMax; ++i, due += step) {
      Flow& flow = flows_[next_flow_++ % flows_.size()];
      if (flow.sender->fd() >= 0) send(flow, due);
    }
    return nanoseconds(due > now ? due - now : 0);
  }

  Shared& shared_;
  const RelayPlan& plan_;
  const std::uint32_t first_;
  std::uint32_t handshakes_ = 0;
  std::vector<Flow> flows_;
  std::vector<Flow*> ready_;
  std::size_t next_flow_ = 0;
  std::uint64_t forgiven_at_ns_ = 0;
  Histogram latency_;
  ClientLoop loop_;  // last: its clients refer to what stands above
};

class Run {
 public:
  explicit Run(const RelayPlan& plan)
      : plan_(plan), shared_(plan, static_cast<std::uint32_t>(now_ns())) {}

  Result<RelayResult> run() {
    out_.peers = plan_.peers;
    out_.baseline = read_processes(plan_.pids);
    for (std::uint32_t i = 0; i < plan_.threads; ++i)
      workers_.push_back(std::make_unique<Worker>(shared_, i));
    for (auto& worker : workers_) threads_.emplace_back([&worker] { worker->run(); });
    const bool up = wait_for(kConnectLimit, milliseconds(10), [this] {
      return shared_.connections_lost > 0 || shared_.open >= plan_.peers;
    });
    const bool all = up && shared_.connections_lost == 0;
    if (all) measure();
    shared_.phase = Phase::kStop;
    for (std::thread& thread : threads_) thread.join();
    if (!all)
      return fail(Code::kUnavailable, "{} of {} peers were let in, {} connections lost: {}",
                  shared_.open.load(), plan_.peers, shared_.connections_lost.load(),
                  shared_.failure);
    for (const auto& worker : workers_) out_.latency.add(worker->latency());
    return std::move(out_);
  }

 private:
  void measure() {
    std::this_thread::sleep_for(plan_.settle);
    out_.rss_idle = read_processes(plan_.pids).rss_bytes;
    out_.rss_after = out_.rss_idle;
    if (plan_.duration.count() > 0 && plan_.pairs > 0) traffic();
    out_.connections_lost = shared_.connections_lost;
  }

  void traffic() {
    shared_.phase = Phase::kTraffic;
    std::this_thread::sleep_for(plan_.warm_up);
    const auto begin = std::chrono::steady_clock::now();
    const ProcessStat before = read_processes(plan_.pids);
    const std::int64_t own_before = own_cpu_ns();
    const std::uint64_t delivered_before = shared_.delivered;
    shared_.window_begin_ns = now_ns();
    // Memory is sampled rarely: reading smaps takes the server's map lock.
    wait_for(plan_.duration, milliseconds(1'000), [this] {
      out_.rss_peak = std::max(out_.rss_peak, read_processes(plan_.pids).rss_bytes);
      return false;
    });
    shared_.window_end_ns = now_ns();
    const ProcessStat after = read_processes(plan_.pids);
    out_.window_delivered = shared_.delivered - delivered_before;
    const auto count = static_cast<double>(std::max<std::uint64_t>(1, out_.window_delivered));
    const auto cpu_ns = static_cast<double>(after.cpu_ns - before.cpu_ns);
    out_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    out_.cores = cpu_ns / 1e9 / out_.seconds;
    out_.cpu_us_per_packet = cpu_ns / 1e3 / count;
    out_.own_cpu_us_per_packet = static_cast<double>(own_cpu_ns() - own_before) / 1e3 / count;
    out_.switches_per_packet = static_cast<double>(after.switches - before.switches) / count;
    shared_.phase = Phase::kIdle;
    drain();
    std::this_thread::sleep_for(plan_.settle);
    out_.rss_after = read_processes(plan_.pids).rss_bytes;
    out_.sent = shared_.sent;
    out_.delivered = shared_.delivered;
    out_.damaged = shared_.damaged;
    out_.reordered = shared_.reordered;
  }

  /// Until every packet is there, or nothing has moved for a second.
  void drain() {
    std::uint64_t moved = 0;
    auto since = std::chrono::steady_clock::now();
    wait_for(plan_.drain_max, milliseconds(10), [&] {
      const std::uint64_t delivered = shared_.delivered;
      if (std::exchange(moved, delivered) != delivered) since = std::chrono::steady_clock::now();
      return delivered >= shared_.sent ||
             std::chrono::steady_clock::now() - since > milliseconds(1'000);
    });
  }

  const RelayPlan& plan_;
  Shared shared_;
  RelayResult out_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
};

double kib_per_peer(std::int64_t after, std::int64_t before, std::uint32_t peers) {
  return static_cast<double>(after - before) / 1024 / std::max(1U, peers);
}

}  // namespace

double RelayResult::idle_kib_per_peer() const {
  return kib_per_peer(rss_idle, baseline.rss_bytes, peers);
}
double RelayResult::after_kib_per_peer() const {
  return kib_per_peer(rss_after, baseline.rss_bytes, peers);
}
double RelayResult::rate() const {
  return seconds > 0 ? static_cast<double>(window_delivered) / seconds : 0;
}
double RelayResult::packets_per_cpu_second() const {
  return cpu_us_per_packet > 0 ? 1e6 / cpu_us_per_packet : 0;
}

Result<RelayResult> run_relay(const RelayPlan& plan) {
  if (plan.peers < 2 || plan.peers > 19'000 || plan.peers % 2 != 0)
    return fail(Code::kInvalidArgument, "relay load: peers {}: want an even number in 2..19000",
                plan.peers);
  if (plan.pairs > plan.peers / 2)
    return fail(Code::kInvalidArgument, "relay load: {} pairs of {} peers", plan.pairs, plan.peers);
  if (plan.threads < 1 || plan.threads > plan.peers / 2)
    return fail(Code::kInvalidArgument, "relay load: {} threads", plan.threads);
  if (plan.packet_bytes < kStampBytes || plan.packet_bytes > relay::kPayloadMax)
    return fail(Code::kInvalidArgument, "relay load: packets of {} bytes: want {}..{}",
                plan.packet_bytes, kStampBytes, relay::kPayloadMax);
  if (plan.window < 1 || plan.window > 4'096)
    return fail(Code::kInvalidArgument, "relay load: window {}: want 1..4096", plan.window);
  if (plan.secret.empty()) return fail(Code::kInvalidArgument, "relay load: no secret");
  return Run(plan).run();
}

}  // namespace nb::bench
