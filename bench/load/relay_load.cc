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

using Phase = Course::Phase;

crypto::RelayToken make_token(const Secret& secret) {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  return crypto::RelayTokens({secret}).make(now + std::chrono::hours(24));
}

/// What all threads share.
struct Shared final : Course::Load {
  Shared(const RelayPlan& wanted, std::uint32_t run_id)
      : plan(wanted), run(run_id), token(make_token(wanted.secret)), course(wanted, *this) {}
  [[nodiscard]] std::uint32_t connected() const override { return open; }
  [[nodiscard]] bool failed() const override { return connections_lost > 0; }
  [[nodiscard]] std::uint64_t sent() const override { return packets_sent; }
  [[nodiscard]] std::uint64_t delivered() const override { return packets_delivered; }
  [[nodiscard]] std::uint64_t moved() const override { return packets_delivered; }
  [[nodiscard]] bool all_there() const override { return packets_delivered >= packets_sent; }
  void window(bool open_now) override { (open_now ? window_begin_ns : window_end_ns) = now_ns(); }
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
  std::atomic<std::uint32_t> open{0};
  std::atomic<std::uint64_t> connections_lost{0};
  std::atomic<std::uint64_t> packets_sent{0}, packets_delivered{0}, damaged{0}, reordered{0};
  std::atomic<std::uint64_t> window_begin_ns{~std::uint64_t{0}}, window_end_ns{~std::uint64_t{0}};
  std::mutex mutex;
  std::string failure;  // the first; guarded by mutex
  Course course;
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
    for (Phase phase = shared_.course.phase(); phase != Phase::kStop;
         phase = shared_.course.phase()) {
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
    shared_.packets_delivered.fetch_add(1, std::memory_order_relaxed);
    if (stamp.time_ns >= shared_.window_begin_ns.load(std::memory_order_relaxed) &&
        stamp.time_ns < shared_.window_end_ns.load(std::memory_order_relaxed))
      latency_.add(flow.moved_ns - stamp.time_ns);
    if (!std::exchange(flow.ready, true)) ready_.push_back(&flow);
  }
  void on_closed(RelayPeer& /*peer*/, std::string_view reason) override {
    if (shared_.course.phase() != Phase::kStop) shared_.fail(reason);
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
      if (shared_.connections_lost > 0 || shared_.course.phase() == Phase::kStop) return false;
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
    shared_.packets_sent.fetch_add(1, std::memory_order_relaxed);
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

Result<RelayResult> run_checked(const RelayPlan& plan) {
  Shared shared(plan, static_cast<std::uint32_t>(now_ns()));
  std::vector<std::unique_ptr<Worker>> workers;
  for (std::uint32_t i = 0; i < plan.threads; ++i)
    workers.push_back(std::make_unique<Worker>(shared, i));
  RelayResult out;
  if (!shared.course.run([&workers](std::uint32_t i) { workers[i]->run(); }, out))
    return fail(Code::kUnavailable, "{} of {} peers were let in, {} connections lost: {}",
                shared.open.load(), plan.peers, shared.connections_lost.load(), shared.failure);
  for (const auto& worker : workers) out.latency.add(worker->latency());
  out.damaged = shared.damaged;
  out.reordered = shared.reordered;
  out.connections_lost = shared.connections_lost;
  return out;
}

}  // namespace

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
  if (plan.pairs == 0 && plan.duration.count() > 0)
    return fail(Code::kInvalidArgument, "relay load: traffic without pairs");
  if (plan.window < 1 || plan.window > 4'096)
    return fail(Code::kInvalidArgument, "relay load: window {}: want 1..4096", plan.window);
  if (plan.secret.empty()) return fail(Code::kInvalidArgument, "relay load: no secret");
  return run_checked(plan);
}

}  // namespace nb::bench
