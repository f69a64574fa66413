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

using Phase = Course::Phase;

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

 private:
  static constexpr double kPeriodMs = 50;
  std::jthread thread_;  // its end waits for the period's
};

/// What all threads share.
struct Shared final : Course::Load {
  Shared(const SignalPlan& wanted, std::uint32_t run_id)
      : plan(wanted), ledger(wanted.messages_max), run(run_id), course(wanted, *this) {
    for (std::uint32_t i = 0; i < plan.peers; ++i) keys.push_back(peer_key(i));
  }
  [[nodiscard]] std::uint32_t connected() const override { return registered; }
  [[nodiscard]] bool failed() const override { return refused_to_connect || connections_lost > 0; }
  [[nodiscard]] std::uint64_t sent() const override { return ledger.sent(); }
  [[nodiscard]] std::uint64_t delivered() const override { return ledger.delivered(); }
  [[nodiscard]] std::uint64_t moved() const override {
    return ledger.answered() + ledger.delivered();
  }
  [[nodiscard]] bool all_there() const override {
    return ledger.answered() == ledger.sent() &&
           ledger.delivered() + ledger.refused() >= ledger.sent();
  }
  void traffic(bool begins) override {
    throttle.reset();
    if (begins) throttle.emplace(plan);
  }
  const SignalPlan& plan;
  Ledger ledger;
  std::uint32_t run;
  std::vector<std::string> keys;
  std::atomic<std::uint32_t> registered{0};
  std::atomic<std::uint64_t> held_back{0};
  std::atomic<std::uint64_t> connections_lost{0};
  std::atomic<std::uint64_t> forgiven{0};  // lost messages no longer waited for
  std::atomic<bool> refused_to_connect{false};
  std::optional<Throttle> throttle;  // while traffic flows
  Course course;
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
    if (!connect_all()) return shared_.refused_to_connect.store(true);
    std::uint64_t due = 0;
    for (Phase phase = shared_.course.phase(); phase != Phase::kStop;
         phase = shared_.course.phase()) {
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
    if (shared_.course.phase() != Phase::kStop) shared_.connections_lost.fetch_add(1);
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

Result<SignalResult> run_checked(const SignalPlan& plan) {
  Shared shared(plan, static_cast<std::uint32_t>(now_ns()));
  std::vector<std::unique_ptr<Worker>> workers;
  for (std::uint32_t i = 0; i < plan.threads; ++i)
    workers.push_back(std::make_unique<Worker>(shared, i));
  SignalResult out;
  if (!shared.course.run([&workers](std::uint32_t i) { workers[i]->run(); }, out))
    return fail(Code::kUnavailable, "{} of {} peers registered, {} connections lost",
                shared.registered.load(), plan.peers, shared.connections_lost.load());
  for (const auto& worker : workers) out.latency.add(worker->latency());
  const Ledger& ledger = shared.ledger;
  out.accepted = ledger.accepted();
  out.refused = ledger.refused();
  out.lost_silently = ledger.lost_silently();
  out.duplicates = ledger.duplicates();
  out.misdelivered = ledger.misdelivered_count();
  out.held_back = shared.held_back;
  out.connections_lost = shared.connections_lost;
  return out;
}

}  // namespace

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
  return run_checked(plan);
}

}  // namespace nb::bench
