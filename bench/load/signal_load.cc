#include "load/signal_load.h"

#include "load/h2_client.h"
#include "load/ledger.h"
#include "load/signal_message.h"
#include "load/waiting.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

namespace nb::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::uint64_t kStreamTag = std::uint64_t{1} << 63;
constexpr auto kConnectLimit = milliseconds(120'000);
constexpr auto kTick = milliseconds(20);
constexpr std::uint32_t kSendsPerTurnMax = 64;

enum class Phase : std::uint8_t { kConnect, kIdle, kTraffic, kStop };

/// What all threads share.
struct Shared {
  Shared(const SignalPlan& wanted, std::uint32_t run_id)
      : plan(wanted), ledger(wanted.messages_max), run(run_id) {
    for (std::uint32_t i = 0; i < plan.peers; ++i) keys.push_back(peer_key(i));
  }
  const SignalPlan& plan;
  Ledger ledger;
  std::uint32_t run;
  std::vector<std::string> keys;
  std::atomic<Phase> phase{Phase::kConnect};
  std::atomic<std::uint32_t> registered{0};
  std::atomic<std::uint64_t> held_back{0};
  std::atomic<std::uint64_t> connections_lost{0};
  std::atomic<std::uint64_t> forgiven{0};  // lost messages no longer waited for
  std::atomic<bool> failed{false};
};

/// Serves the connections whose number is `first` modulo the number of threads.
class Worker final : public H2Client::Owner {
 public:
  Worker(Shared& shared, std::uint32_t first)
      : shared_(shared),
        plan_(shared.plan),
        first_(first),
        send_(HpackEncoder::make_call("/signalexchange.SignalExchange/Send", 0, {}, true,
                                      plan_.plain_headers)),
        random_(0x9e3779b97f4a7c15ULL * (first + 1)) {}

  void run() {
    if (!connect_all()) return shared_.failed.store(true);
    std::uint64_t due = 0;
    for (Phase phase = shared_.phase; phase != Phase::kStop; phase = shared_.phase) {
      if (phase != Phase::kTraffic) {
        loop_.turn(kTick);
        continue;
      }
      loop_.turn(plan_.rate > 0 ? send_due(due) : send_more());
    }
  }

  void on_headers(H2Client& /*client*/, std::uint64_t tag, bool registered) override {
    if ((tag & kStreamTag) != 0 && registered) shared_.registered.fetch_add(1);
  }
  void on_message(H2Client& /*client*/, std::uint64_t tag, std::string_view message) override {
    if ((tag & kStreamTag) == 0) return;
    const std::optional<Stamp> stamp = read_message(message);
    if (!stamp || stamp->run != shared_.run) return;
    if (stamp->receiver != static_cast<std::uint32_t>(tag)) shared_.ledger.misdelivered();
    shared_.ledger.delivered(stamp->message);
    latency_.add(now_ns() - stamp->time_ns);
  }
  void on_end(H2Client& /*client*/, std::uint64_t tag, const CallEnd& end) override {
    if ((tag & kStreamTag) != 0) return;
    --unanswered_;
    if (end.grpc_status == 0)
      shared_.ledger.accepted(tag);
    else
      shared_.ledger.refused(tag);
  }
  void on_closed(H2Client& /*client*/, std::string_view /*reason*/) override {
    if (shared_.phase != Phase::kStop) shared_.connections_lost.fetch_add(1);
  }
  [[nodiscard]] const Histogram& latency() const { return latency_; }

 private:
  bool connect_all() {
    const std::uint32_t step = plan_.threads;
    std::vector<H2Client*> own(plan_.connections, nullptr);
    for (std::uint32_t c = first_; c < plan_.connections; c += step) {
      const Endpoint& target = plan_.targets[c % plan_.targets.size()];
      auto client =
          loop_.connect<H2Client>(target, kConnectLimit, target.text(), plan_.plain_headers, *this);
      if (!client) return false;
      own[c] = *client;
      if (c / step % 32 == 31) loop_.turn(nanoseconds(0));
    }
    streams_.reserve(plan_.peers);  // calls are kept by address
    for (std::uint32_t p = 0; p < plan_.peers; ++p) {
      H2Client* client = own[p % plan_.connections];
      if (client == nullptr) continue;
      streams_.push_back(HpackEncoder::make_call("/signalexchange.SignalExchange/ConnectStream", 1,
                                                 shared_.keys[p], false, plan_.plain_headers));
      client->open(streams_.back(), kStreamTag | p);
      loop_.touch(*client);
      peers_.push_back({p, client});
      if (peers_.size() % 32 == 0) loop_.turn(nanoseconds(0));
    }
    return !peers_.empty();
  }

  std::uint64_t random() {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return random_;
  }

  bool send_one(std::uint64_t time_ns) {
    const auto& [from, client] = peers_[random() % peers_.size()];
    if (client->fd() < 0 || client->open_calls() >= plan_.calls_per_connection_max) {
      shared_.held_back.fetch_add(1, std::memory_order_relaxed);
      return true;
    }
    auto to = static_cast<std::uint32_t>(random() % plan_.peers);
    if (plan_.targets.size() == 2 && (to % 2 == from % 2)) to ^= 1U;  // peers are even in number
    if (to == from) to = (to + 1) % plan_.peers;
    const auto number = shared_.ledger.next();
    if (!number) return false;
    write_message(message_, shared_.keys[from], shared_.keys[to], plan_.body_bytes,
                  {shared_.run, to, *number, time_ns});
    client->call(send_, *number, message_, true);
    loop_.touch(*client);
    ++unanswered_;
    return true;
  }

  /// Fixed rate: all that is due, and how long until the next. A generator that is late catches up
  /// at most a second, so that the rate stays a rate.
  nanoseconds send_due(std::uint64_t& due) {
    const auto step = static_cast<std::uint64_t>(1e9 * plan_.threads / plan_.rate);
    const std::uint64_t now = now_ns();
    if (due == 0 || due + 1'000'000'000 < now) due = now;
    for (std::uint32_t i = 0; due <= now && i < kSendsPerTurnMax; ++i, due += step)
      if (!send_one(due)) return kTick;
    return nanoseconds(due > now ? due - now : 0);
  }

  /// Saturated: as many as the limit of outstanding messages allows.
  nanoseconds send_more() {
    const std::uint32_t share = std::max(1U, plan_.outstanding / plan_.threads);
    bool sent = false;
    const auto waiting = [&] {
      const Ledger& l = shared_.ledger;
      const std::uint64_t done = l.delivered() + l.refused() + shared_.forgiven.load();
      return l.sent() > done ? l.sent() - done : 0;
    };
    while (unanswered_ < share && waiting() < plan_.outstanding) {
      if (!send_one(now_ns())) return kTick;
      sent = true;
    }
    if (sent) {
      last_sent_ = now_ns();
    } else if (unanswered_ == 0 && now_ns() - last_sent_ > 300'000'000) {
      shared_.forgiven.fetch_add(waiting());  // lost: do not wait for ever
    }
    return kTick;
  }

  struct Peer {
    std::uint32_t number;
    H2Client* client;
  };
  Shared& shared_;
  const SignalPlan& plan_;
  std::uint32_t first_;
  EncodedCall send_;
  std::vector<EncodedCall> streams_;
  std::vector<Peer> peers_;
  std::string message_;
  std::uint64_t random_;
  std::uint64_t last_sent_ = 0;
  std::uint32_t unanswered_ = 0;
  Histogram latency_;
  ClientLoop loop_;  // last: its clients refer to what stands above
};

/// Lets the servers run only part of each period.
class Throttle {
 public:
  explicit Throttle(const SignalPlan& plan) {
    if (plan.throttle >= 1) return;
    thread_ = std::jthread([&plan](const std::stop_token& stop) {
      const auto on = std::chrono::duration<double, std::milli>(kPeriodMs * plan.throttle);
      const auto off = std::chrono::duration<double, std::milli>(kPeriodMs) - on;
      while (!stop.stop_requested()) {
        for (const pid_t pid : plan.pids) ::kill(pid, SIGSTOP);
        std::this_thread::sleep_for(off);
        for (const pid_t pid : plan.pids) ::kill(pid, SIGCONT);
        std::this_thread::sleep_for(on);
      }
    });
  }
  void end() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  static constexpr double kPeriodMs = 50;
  std::jthread thread_;
};

class Run {
 public:
  explicit Run(const SignalPlan& plan)
      : plan_(plan), shared_(plan, static_cast<std::uint32_t>(now_ns())) {}

  Result<SignalResult> run() {
    out_.peers = plan_.peers;
    out_.baseline = read_processes(plan_.pids);
    for (std::uint32_t i = 0; i < plan_.threads; ++i)
      workers_.push_back(std::make_unique<Worker>(shared_, i));
    for (auto& worker : workers_) threads_.emplace_back([&worker] { worker->run(); });
    const bool up = wait_for(kConnectLimit, milliseconds(10), [this] {
      return shared_.failed || shared_.connections_lost > 0 || shared_.registered >= plan_.peers;
    });
    const bool all = up && shared_.registered >= plan_.peers;
    if (all) measure();
    shared_.phase = Phase::kStop;
    for (std::thread& thread : threads_) thread.join();
    if (!all)
      return fail(Code::kUnavailable, "{} of {} peers registered, {} connections lost",
                  shared_.registered.load(), plan_.peers, shared_.connections_lost.load());
    for (const auto& worker : workers_) out_.latency.add(worker->latency());
    return std::move(out_);
  }

 private:
  void measure() {
    const auto pause = [](milliseconds time) { std::this_thread::sleep_for(time); };
    const Ledger& ledger = shared_.ledger;
    pause(plan_.settle);
    out_.rss_idle = read_processes(plan_.pids).rss_bytes;
    shared_.phase = Phase::kTraffic;
    Throttle throttle(plan_);
    pause(plan_.warm_up);
    const auto begin = std::chrono::steady_clock::now();
    const ProcessStat before = read_processes(plan_.pids);
    const std::int64_t own_before = own_cpu_ns();
    const std::uint64_t delivered_before = ledger.delivered();
    // Memory is sampled rarely: reading smaps takes the server's map lock.
    wait_for(plan_.duration, milliseconds(500), [this] {
      out_.rss_peak = std::max(out_.rss_peak, read_processes(plan_.pids).rss_bytes);
      return false;
    });
    const ProcessStat after = read_processes(plan_.pids);
    out_.window_delivered = ledger.delivered() - delivered_before;
    const auto count = static_cast<double>(std::max<std::uint64_t>(1, out_.window_delivered));
    out_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    out_.cpu_us_per_message = static_cast<double>(after.cpu_ns - before.cpu_ns) / 1e3 / count;
    out_.own_cpu_us_per_message = static_cast<double>(own_cpu_ns() - own_before) / 1e3 / count;
    out_.switches_per_message = static_cast<double>(after.switches - before.switches) / count;
    shared_.phase = Phase::kIdle;
    throttle.end();
    drain();
    pause(plan_.settle);
    out_.rss_after = read_processes(plan_.pids).rss_bytes;
    out_.sent = ledger.sent();
    out_.accepted = ledger.accepted();
    out_.refused = ledger.refused();
    out_.delivered = ledger.delivered();
    out_.lost_silently = ledger.lost_silently();
    out_.duplicates = ledger.duplicates();
    out_.misdelivered = ledger.misdelivered_count();
    out_.held_back = shared_.held_back;
    out_.connections_lost = shared_.connections_lost;
  }

  /// Until every message is answered and delivered or refused, or nothing has moved for 2 s.
  void drain() {
    const Ledger& ledger = shared_.ledger;
    std::uint64_t moved = 0;
    auto since = std::chrono::steady_clock::now();
    wait_for(plan_.drain_max, milliseconds(10), [&] {
      const std::uint64_t sum = ledger.answered() + ledger.delivered();
      if (std::exchange(moved, sum) != sum) since = std::chrono::steady_clock::now();
      const bool all = ledger.answered() == ledger.sent() &&
                       ledger.delivered() + ledger.refused() >= ledger.sent();
      return all || std::chrono::steady_clock::now() - since > milliseconds(2'000);
    });
  }

  const SignalPlan& plan_;
  Shared shared_;
  SignalResult out_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
};

}  // namespace

double SignalResult::idle_kib_per_peer() const {
  return static_cast<double>(rss_idle - baseline.rss_bytes) / 1024 / std::max(1U, peers);
}
double SignalResult::after_kib_per_peer() const {
  return static_cast<double>(rss_after - baseline.rss_bytes) / 1024 / std::max(1U, peers);
}
double SignalResult::rate() const {
  return seconds > 0 ? static_cast<double>(window_delivered) / seconds : 0;
}

Result<SignalResult> run_signal(const SignalPlan& plan) {
  if (plan.targets.empty() || plan.targets.size() > 2)
    return fail(Code::kInvalidArgument, "signal load: one or two servers, not {}",
                plan.targets.size());
  if (plan.peers < 2 || plan.peers > 19'000 || plan.peers % 2 != 0)
    return fail(Code::kInvalidArgument, "signal load: peers {}: want an even number in 2..19000",
                plan.peers);
  if (plan.connections < plan.targets.size() || plan.connections > plan.peers ||
      plan.connections % plan.targets.size() != 0)
    return fail(Code::kInvalidArgument, "signal load: {} connections for {} peers on {} servers",
                plan.connections, plan.peers, plan.targets.size());
  if (plan.threads < 1 || plan.threads > plan.connections)
    return fail(Code::kInvalidArgument, "signal load: {} threads", plan.threads);
  if (plan.body_bytes < 64 || plan.body_bytes > 60'000)
    return fail(Code::kInvalidArgument, "signal load: body {} bytes: want 64..60000",
                plan.body_bytes);
  if (plan.throttle <= 0 || plan.throttle > 1)
    return fail(Code::kInvalidArgument, "signal load: throttle {}: want a share in (0, 1]",
                plan.throttle);
  return Run(plan).run();
}

}  // namespace nb::bench
