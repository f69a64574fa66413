// The driver of FanOut: snapshots, map threads, bus and polling around its rules.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/task_group.h"
#include "ha/message_bus.h"
#include "management/app/bus_message.h"
#include "management/app/changes.h"
#include "management/app/fan_out.h"
#include "management/app/map_pool.h"
#include "management/app/sync_sink.h"
#include "management/app/update_counters.h"
#include "management/store/store.h"

#include <boost/asio/any_io_executor.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nb::management::app {

struct SyncHubOptions {
  FanOutOptions fan_out{};
  std::string self;      // names this start of this instance on the bus
  std::string instance;  // its name alone; messages for it come on a channel of its own
  std::string channel_prefix = "nb:mgmt:account:";
  std::string instance_prefix = "nb:mgmt:instance:";
  /// PostgreSQL channel for messages that the bus could not carry; empty: there is no other.
  std::string fallback_channel;
  std::chrono::milliseconds poll_interval{2'000};  // anti-entropy
  std::chrono::milliseconds load_deadline{10'000};
  /// Not everything that changes an account raises its serial: now and then it is read whole.
  std::chrono::milliseconds whole_interval{600'000};
  /// Nor is every newer session heard of: now and then the sessions of all streams are looked at.
  std::chrono::milliseconds session_interval{60'000};
  netmap::MapViewOptions view;
  /// From a change being noticed to its streams being known; may be empty. On home.
  std::function<void(std::chrono::nanoseconds took)> on_update{};
};

/// What the hub did; read by metrics.
struct SyncHubCounters {
  std::atomic<std::uint64_t> loads{0};
  std::atomic<std::uint64_t> loads_whole{0};  // of these: not from what changed
  std::atomic<std::uint64_t> load_failures{0};
  std::atomic<std::uint64_t> published{0};
  std::atomic<std::uint64_t> published_fallback{0};
  std::atomic<std::uint64_t> publish_failures{0};
  std::atomic<std::uint64_t> received{0};
  std::atomic<std::uint64_t> refused{0};  // not understood
  std::atomic<std::uint64_t> repairs{0};  // accounts a poll found behind
  // Sessions after a lapse of the lease or a gap of the bus.
  std::atomic<std::uint64_t> sessions_held{0};
  std::atomic<std::uint64_t> sessions_restored{0};
  std::atomic<std::uint64_t> sessions_ended{0};
  UpdateCounters updates;  // accounts brought up to date, by what changed
};

/// Shared because work queued on other threads may outlive its owner's interest in it.
/// Threads  public functions may be called from anywhere; the rest happens on home.
/// Failure  bus away: messages go over PostgreSQL; both away: polling closes the gap; database
///          away: streams keep what they have, loads are retried.
class SyncHub final : public Changes, public std::enable_shared_from_this<SyncHub> {
 public:
  /// `bus` may be null (a single instance). Ports first; all outlive stop().
  SyncHub(boost::asio::any_io_executor home, Store& store, ha::MessageBus* bus, MapWorkers& maps,
          Clock& clock, SyncHubOptions options, Logger log);

  void start();
  /// Ends all tasks of the hub; streams are not told (see end_all).
  boost::asio::awaitable<void> stop();

  [[nodiscard]] StreamNumber new_stream() { return next_stream_.fetch_add(1); }
  struct Opening {
    StreamNumber stream = 0;
    std::string account;
    std::string peer;
    std::int64_t epoch = 0;
    Serial serial = 0;         // read before this call
    std::string replaces{};    // instance that may hold an older stream of the peer, if another
    std::uint64_t lapses = 0;  // as they were before the session began
  };
  void open(Opening opening, std::shared_ptr<SyncSink> sink);
  /// `changes_at`: when the map just made changes by time alone.
  void ready(StreamNumber stream, std::optional<WallTime> changes_at = std::nullopt);
  void close(StreamNumber stream);
  /// A session began and ended before it had a stream: older streams of the peer are over all the
  /// same.
  void superseded(const AccountId& account, const PeerId& peer, std::int64_t epoch);

  // Changes: local streams at once, other instances over the bus.
  void committed(const AccountId& account, Serial serial) override;
  void end_peer(const AccountId& account, const PeerId& peer, EndReason reason) override;

  /// Who gets the messages about jobs, and those of peers whose streams have to end; set before
  /// start().
  void on_job_message(std::function<void(const BusMessage&)> handler) {
    job_handler_ = std::move(handler);
  }
  /// Who else has sessions to look after when those of Sync streams are compared with the database;
  /// called on home. Set before start().
  void on_reassert(std::function<void()> handler) { reassert_handler_ = std::move(handler); }
  /// While it is held, the job handler hears of the account's peers whose streams have to end, also
  /// when no stream of the account is open here. On home.
  [[nodiscard]] std::shared_ptr<void> watch_endings(const std::string& account);
  /// Sends a message to the one instance it concerns.
  void send_to(std::string instance, BusMessage message);

  /// A payload of an account's channel or of the fallback channel.
  void on_payload(std::string_view payload);
  /// "<account> <serial>" from the database itself.
  void on_database_notice(std::string_view payload);
  /// Messages were or may have been lost: compares with the database at once.
  void resync();
  /// This instance holds its lease again: takes back the sessions of its streams, and ends the
  /// streams whose peers have newer ones or are not welcome any more. Repeated until the database
  /// has answered.
  void reassert();
  /// How often reassert() was called; a session that began before a call may have been missed.
  [[nodiscard]] std::uint64_t lapses() const { return lapses_.load(std::memory_order_relaxed); }

  /// Whether the bus is known to carry messages: the store then needs no NOTIFY of its own.
  [[nodiscard]] bool bus_up() const { return bus_up_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t streams() const { return streams_.load(std::memory_order_relaxed); }
  [[nodiscard]] const SyncHubCounters& counters() const { return counters_; }

 private:
  struct AccountState {
    std::uint64_t number = 0;  // no other has it: an account may leave and come back
    netmap::MapViewPtr view;
    Instant read_whole_at{};
    ha::Subscription subscription;
  };

  void post(std::function<void()> work);
  void step();  // performs effects, arms the timer
  void perform(FanOut::Effect effect);
  void build(const FanOut::Build& build);
  void end(const FanOut::End& end);
  void forget(const std::string& account);
  /// Drops what may be the last reference.
  void let_go(netmap::MapViewPtr view);
  void subscribe(const std::string& account);
  void deliver(const BusMessage& message);
  void subscribe_self();
  void send(BusMessage message);
  void publish_to(std::string instance, BusMessage message);
  boost::asio::awaitable<void> send_task(std::string channel, BusMessage message);
  boost::asio::awaitable<void> load_task(std::string account);
  struct Loaded {
    netmap::MapViewPtr view;
    FanOut::Affected affected;
    std::vector<std::string> unwelcome;  // peers that must have no stream any more
    Instant began{};
  };
  Loaded update(const netmap::MapViewPtr& before, AccountSnapshotPtr snapshot, Instant began);
  void take(const std::string& account, std::uint64_t number, const Loaded& loaded);
  /// Null if the account's last stream has left since its state had this number.
  AccountState* state_of(const std::string& account, std::uint64_t number);
  /// What the account is now: from `before` and what changed since, or read whole.
  Task<AccountSnapshotPtr> read(AccountId account, AccountSnapshotPtr before);
  void start_reassert();
  void settle(StreamNumber stream, SessionFate fate);
  /// The account says that the peer may have no stream, and nobody told us: its sessions are
  /// compared with the database at the end of the step.
  void doubt(const std::string& account, const std::string& peer);
  void ask_about_doubted();
  boost::asio::awaitable<void> reassert_task();
  boost::asio::awaitable<void> reassert_batch(std::vector<FanOut::OpenStream> batch);
  boost::asio::awaitable<void> poll_loop();
  boost::asio::awaitable<void> poll(std::vector<std::string> accounts);
  void arm();
  boost::asio::awaitable<void> wake_at(Instant at);

  const boost::asio::any_io_executor home_;
  Store& store_;
  ha::MessageBus* const bus_;
  MapWorkers& maps_;
  Clock& clock_;
  const SyncHubOptions options_;
  const Logger log_;

  std::atomic<StreamNumber> next_stream_{1};
  std::atomic<std::uint64_t> lapses_{0};
  std::atomic<bool> bus_up_{false};
  std::atomic<std::size_t> streams_{0};
  SyncHubCounters counters_;

  // Only on home.
  FanOut fan_out_;
  std::unordered_map<StreamNumber, std::shared_ptr<SyncSink>> sinks_;
  std::unordered_map<std::string, AccountState> accounts_;
  std::uint64_t account_states_ = 0;  // ever
  std::map<StreamNumber, FanOut::OpenStream> doubted_;
  std::unordered_map<std::string, std::weak_ptr<ha::Subscription>> ending_watches_;
  std::unique_ptr<TaskGroup> tasks_;
  ha::Subscription own_channel_;
  std::function<void(const BusMessage&)> job_handler_;
  std::function<void()> reassert_handler_;
  std::optional<Instant> armed_for_;
  Instant built_here_at_{};  // the last map, not on a map thread
  bool reasserting_ = false;
  bool reassert_again_ = false;
  bool stopped_ = false;
};

}  // namespace nb::management::app
