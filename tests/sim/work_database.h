// The database of the simulation of scheduled work: what the statements of work_sweeps.cc,
// work_jobs.cc and work_leases.cc do to their rows, and the ways to it. A sweep holds its rows
// from its SELECT to its COMMIT, in between the connection may be cut; whoever writes one of them
// waits, and other sweeps skip them.
#pragma once

#include "ha/sim/world.h"
#include "sim/lease_rows.h"
#include "sim/mgmt_stub_agent_store.h"
#include "sim/sim_store.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nb::sim {

inline constexpr const char* kWorkAccount = "acc";
inline constexpr std::chrono::seconds kLoginLife{50};
inline constexpr std::chrono::seconds kIdleLife{40};
inline constexpr std::chrono::seconds kEphemeralLife{40};

/// What a planted flaw changes; the alarms of the simulation must hear each of them.
struct WorkFlaws {
  bool forgets_locks = false;  // a sweep takes rows that another one has in hand
  bool trusts_hosts = false;   // what is due is decided by the clock of the host that asks
  bool trusts_set = false;     // ephemeral peers leave only when Redis says that it is time
  bool gives_twice = false;    // a job is given to whoever asks
  bool never_sweeps = false;   // it is nobody's turn to tidy up
  bool never_looks = false;    // Job streams end only when a message says so
  bool loses_claims = false;   // no flaw: nobody ever hears which job he was given
};

struct WorkDatabase {
  struct Row {
    bool ephemeral = false;
    bool connected = false;
    bool expired = false;
    bool deleted = false;
    bool locked = false;
    WallTime last_login{};
    WallTime last_seen{};
    std::uint64_t session = 0;
    std::string instance{};
    std::int64_t incarnation = 0;
    std::uint64_t logins = 1;
    std::uint64_t told = 0;  // the login of whose end there is an event
  };
  struct JobRow {
    management::Job job;
    bool pending = true;
    std::int64_t given_to = 0;  // epoch of a stream; 0: nobody has it
  };
  struct JobStream {
    std::string instance{};
    std::int64_t incarnation = 0;
    std::int64_t epoch = 0;
  };
  std::map<std::string, Row> rows;
  std::map<std::string, JobRow> jobs;
  std::map<std::string, JobStream> streams;
  LeaseRows leases;
  std::int64_t last_incarnation = 0;
  std::uint64_t last_job = 0;
  std::uint64_t serial = 1;
  std::uint64_t ended = 0;  // logins that expired, and peers that were deleted
  bool down = false;
  std::uint64_t cut_one_in = 50;  // connections, also between a transaction's read and COMMIT
  std::string alarm{};
  WorkFlaws flaws;

  using Due = bool (*)(const Row&, WallTime now);
  static bool login_due(const Row& row, WallTime now) {
    return !row.ephemeral && row.connected && !row.expired && now - row.last_login > kLoginLife;
  }
  static bool idle_due(const Row& row, WallTime now) {
    return !row.ephemeral && !row.connected && !row.expired && now - row.last_seen > kIdleLife;
  }
  static bool ephemeral_due(const Row& row, WallTime now) {
    return row.ephemeral && !row.connected && !row.deleted && now - row.last_seen > kEphemeralLife;
  }
  [[nodiscard]] bool welcome(const std::string& peer) const {
    const Row& row = rows.at(peer);
    return !row.deleted && !row.expired;
  }
  /// The one write of a sweep; its event is what must not be there twice.
  void end(const std::string& id, Row& row, WallTime now) {
    if (row.told == row.logins) alarm = id + ": ended twice";
    row.told = row.logins;
    ++ended;
    if (row.connected) row.last_seen = now;
    row.connected = false;
    (row.ephemeral ? row.deleted : row.expired) = true;
  }
  void fail_jobs(const std::string& peer) {
    for (auto& [id, row] : jobs)
      if (row.job.peer_id.value() == peer) row.pending = false;
  }
  JobRow* pending_job(const std::string& peer) {
    for (auto& [id, row] : jobs)
      if (row.pending && row.job.peer_id.value() == peer) return &row;
    return nullptr;
  }
};

/// Rows in the hand of one transaction; given up without a COMMIT, too.
class RowLocks {
 public:
  RowLocks() = default;
  ~RowLocks() {
    for (WorkDatabase::Row* const row : rows_) row->locked = false;
  }
  RowLocks(const RowLocks&) = delete;
  RowLocks& operator=(const RowLocks&) = delete;
  void take(WorkDatabase::Row& row) {
    row.locked = true;
    rows_.push_back(&row);
  }

 private:
  std::vector<WorkDatabase::Row*> rows_;
};

class WorkStore final : public SimStore {
 public:
  WorkStore(NodeEnv& env, WorkDatabase& database)
      : SimStore(
            env, kWorkAccount,
            {.delay_max = std::chrono::milliseconds(50), .lost_call = std::chrono::seconds(3)}),
        database_(database) {}

  management::Task<management::Swept> expire_logins(Instant, std::size_t limit) override {
    return sweep(&WorkDatabase::login_due, limit);
  }
  management::Task<management::Swept> expire_inactive(Instant, std::size_t limit) override {
    return sweep(&WorkDatabase::idle_due, limit);
  }
  management::Task<management::Swept> delete_ephemeral(Instant, std::chrono::milliseconds,
                                                       std::size_t limit) override {
    return sweep(&WorkDatabase::ephemeral_due, limit);
  }
  management::Task<management::PeerView> peer_by_id(Instant, management::AccountId,
                                                    management::PeerId id) override {
    if (!co_await way()) co_return away();
    management::PeerView out;
    out.peer = peer_of(id.value());
    out.peer.meta.wt_version = "0.77.1";
    const bool there = !database_.rows.at(id.value()).deleted;
    if (!co_await way()) co_return away();
    if (!there) co_return fail(Code::kNotFound, "peer not found");
    co_return out;
  }
  management::Task<std::int64_t> heartbeat(Instant, management::InstanceId instance,
                                           std::int64_t incarnation,
                                           std::chrono::milliseconds ttl) override {
    if (!co_await way()) co_return away();
    const auto held = database_.leases.heartbeat(instance.value(), incarnation, ttl, now());
    if (!held) co_return held.error();
    if (!co_await way()) co_return away();
    co_return *held;
  }
  management::Task<std::string> lease_mark(Instant) override {
    if (!co_await way()) co_return away();
    std::string out = database_.leases.mark(now());
    if (!co_await way()) co_return away();
    co_return out;
  }
  management::Task<std::vector<management::ReapedPeer>> disconnect_dead(Instant,
                                                                        std::size_t) override {
    if (!co_await way()) co_return away();
    std::vector<management::ReapedPeer> out;
    for (auto& [id, row] : database_.rows) {
      if (!row.connected || row.locked) continue;
      if (database_.leases.lives(row.instance, row.incarnation, now())) continue;
      disconnect(row);
      out.push_back({management::PeerId(id), management::AccountId(kWorkAccount), row.ephemeral});
    }
    if (!co_await way()) co_return away();
    co_return out;
  }

  /// A machine comes, and logs in again if it has to; `session` is its name for that.
  management::Task<> arrive(std::string id, std::uint64_t session, std::int64_t incarnation) {
    if (!co_await way() || !co_await row_free(id)) co_return away();
    WorkDatabase::Row& row = database_.rows.at(id);
    if (row.deleted) co_return fail(Code::kNotFound, "peer is not registered");
    if (row.expired || row.last_login == WallTime{}) {
      if (row.expired) ++row.logins;
      row.expired = false;
      row.last_login = wall();
    }
    row.connected = true;
    row.session = session;
    row.instance = env().name;
    row.incarnation = incarnation;
    if (!co_await way()) co_return away();
    co_return Result<>{};
  }
  /// True: it was there in this session.
  management::Task<bool> leave(std::string id, std::uint64_t session) {
    if (!co_await way() || !co_await row_free(id)) co_return away();
    WorkDatabase::Row& row = database_.rows.at(id);
    const bool was = row.connected && row.session == session;
    if (was) disconnect(row);
    if (!co_await way()) co_return away();
    co_return was;
  }

  /// Waits like whoever writes a row that another transaction has in hand.
  boost::asio::awaitable<bool> row_free(std::string id) {
    for (int look = 0; look < 100 && database_.rows.at(id).locked; ++look)
      co_await env().clock.sleep_for(std::chrono::milliseconds(20));
    co_return !database_.rows.at(id).locked;
  }
  [[nodiscard]] WorkDatabase& database() const { return database_; }
  [[nodiscard]] Instant now() const { return env().world.now(); }  // the database's clocks
  [[nodiscard]] WallTime wall() const { return env().world.clock().wall(); }

 private:
  management::Task<management::Swept> sweep(WorkDatabase::Due due, std::size_t limit) {
    if (!co_await way()) co_return away();
    const WorkFlaws& flaws = database_.flaws;
    const WallTime asked_at = flaws.trusts_hosts ? env().clock.wall() : wall();
    RowLocks locks;
    std::vector<std::string> taken;
    for (auto& [id, row] : database_.rows) {
      if (taken.size() == limit) break;
      if ((row.locked && !flaws.forgets_locks) || !due(row, asked_at)) continue;
      if (!due(row, wall())) database_.alarm = id + ": ended too early";
      locks.take(row);
      taken.push_back(id);
    }
    if (!co_await way()) co_return away();  // cut in mid-transaction: rolled back
    management::Swept out;
    for (const std::string& id : taken) {
      database_.end(id, database_.rows.at(id), wall());
      out.peers.push_back(peer_of(id));
    }
    if (!taken.empty())
      out.accounts.push_back({management::AccountId(kWorkAccount), ++database_.serial});
    if (!co_await way()) co_return away();  // done, and nobody heard of it
    co_return out;
  }
  void disconnect(WorkDatabase::Row& row) {
    row.connected = false;
    row.session = 0;
    row.last_seen = wall();
  }
  management::Peer peer_of(const std::string& id) const {
    management::Peer out = peer(id, id);
    out.account_id = management::AccountId(kWorkAccount);
    out.ephemeral = database_.rows.at(id).ephemeral;
    return out;
  }
  [[nodiscard]] bool down() const override { return database_.down; }
  [[nodiscard]] std::uint64_t cut_one_in() const override { return database_.cut_one_in; }
  [[nodiscard]] std::uint64_t serial() const override { return database_.serial; }
  [[nodiscard]] std::vector<management::Peer> peers() const override {
    std::vector<management::Peer> out;
    for (const auto& [id, row] : database_.rows)
      if (!row.deleted) out.push_back(peer_of(id));
    return out;
  }
  WorkDatabase& database_;
};

}  // namespace nb::sim
