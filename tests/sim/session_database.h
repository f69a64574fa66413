// The database of the sessions' simulation: what the statements of work_sessions.cc and
// work_leases.cc do to their rows, and the ways to it.
#pragma once

#include "ha/sim/world.h"
#include "sim/lease_rows.h"
#include "sim/sim_store.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace nb::sim {

inline constexpr const char* kSessionAccount = "acc";
/// A statement whose answer does not come.
inline constexpr std::chrono::seconds kLostCall{3};
inline constexpr std::chrono::milliseconds kWayMax{50};

/// What a planted flaw changes; the alarms of the simulation must hear each of them.
struct SessionFlaws {
  bool sleeps_on = false;          // nobody looks for sessions after a lapse
  bool reopens_all = false;        // ends all streams after a lapse, as it was once
  bool restores_anything = false;  // takes peers back that have newer sessions
  bool forgets_leaving = false;    // a reaped session may come back after its stream has ended
  bool welcomes_early = false;     // a peer counts as back when it asks, not when it is let in
  bool trusts_hosts = false;       // epochs are the time of the host that asks
  bool forgets_doubt = false;      // nobody ends a session whose beginning was not heard of
};

/// The rows of nb_instances, nb_peer_sessions and peers, with what the statements of
/// work_sessions.cc and work_leases.cc do to them.
struct SessionDatabase {
  struct Peer {
    bool connected = false;
    std::int64_t started = 0;
    std::int64_t epoch = 0;
    std::string instance{};
    std::int64_t incarnation = 0;
    std::int64_t reaped = 0;
    std::int64_t call = 0;
  };
  std::map<std::string, Peer> peers;
  LeaseRows leases;
  std::int64_t last_incarnation = 0;
  std::int64_t last_epoch = 0;
  bool down = false;
  std::uint64_t restored = 0;
  SessionFlaws flaws;

  bool covered(const Peer& peer, Instant now) const {
    return peer.epoch == peer.started && leases.lives(peer.instance, peer.incarnation, now);
  }
  management::SessionFate reassert(const management::OpenSession& open) {
    const auto found = peers.find(open.peer.value());
    if (found == peers.end()) return management::SessionFate::kDeleted;
    Peer& peer = found->second;
    const bool newer =
        peer.epoch != open.epoch || (peer.started != 0 && peer.started != open.epoch);
    if (newer && !flaws.restores_anything) return management::SessionFate::kSuperseded;
    if (!newer && peer.started == open.epoch && peer.connected)
      return management::SessionFate::kHeld;
    if (!newer && peer.reaped != open.epoch) return management::SessionFate::kEnded;
    ++restored;
    peer.connected = true;
    peer.started = open.epoch;
    peer.reaped = 0;
    return management::SessionFate::kRestored;
  }
  bool end(Peer& peer, std::int64_t epoch) const {
    if (peer.started == epoch) {
      peer.connected = false;
      peer.started = 0;
      return true;
    }
    if (peer.reaped == epoch && !flaws.forgets_leaving) peer.reaped = 0;
    return false;
  }
};

class SessionStore final : public SimStore {
 public:
  SessionStore(NodeEnv& env, SessionDatabase& database)
      : SimStore(env, kSessionAccount,
                 {.delay_max = kWayMax, .lost_call = kLostCall, .reads_come_back = false}),
        database_(database) {}

  management::Task<std::int64_t> heartbeat(Instant, management::InstanceId instance,
                                           std::int64_t incarnation,
                                           std::chrono::milliseconds ttl) override {
    if (!co_await way()) co_return away();
    const auto held = database_.leases.heartbeat(instance.value(), incarnation, ttl, now());
    if (!held) co_return held.error();
    if (!co_await way()) co_return away();
    co_return *held;
  }
  management::Task<management::SessionStarted> connect(Instant,
                                                       management::SessionCall call) override {
    if (!co_await way()) co_return away();
    SessionDatabase::Peer& row = database_.peers.at(call.peer.value());
    management::SessionStarted out;
    out.previous_epoch = row.started != 0 ? row.started : row.reaped == row.epoch ? row.epoch : 0;
    if (out.previous_epoch != 0) out.previous_instance = management::InstanceId(row.instance);
    out.epoch = ++database_.last_epoch;
    if (database_.flaws.trusts_hosts) out.epoch = env().clock.wall().time_since_epoch().count();
    row.connected = true;
    row.started = row.epoch = out.epoch;
    row.instance = call.instance.value();
    row.incarnation = call.incarnation;
    row.call = call.number;
    if (!co_await way()) co_return away();
    co_return out;
  }
  management::Task<bool> disconnect(Instant, management::PeerId peer, std::int64_t epoch) override {
    if (!co_await way()) co_return away();
    const bool was = database_.end(database_.peers.at(peer.value()), epoch);
    if (!co_await way()) co_return away();
    co_return was;
  }
  management::Task<bool> abandon(Instant, management::SessionCall call) override {
    if (!co_await way()) co_return away();
    SessionDatabase::Peer& row = database_.peers.at(call.peer.value());
    const bool newest = row.instance == call.instance.value() &&
                        row.incarnation == call.incarnation && row.call == call.number;
    const bool was = newest && database_.end(row, row.epoch);
    if (!co_await way()) co_return away();
    co_return was;
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
    for (auto& [id, row] : database_.peers) {
      if (!row.connected || database_.covered(row, now())) continue;
      row.connected = false;
      if (row.epoch == row.started) row.reaped = row.epoch;
      row.started = 0;
      out.push_back({management::PeerId(id), management::AccountId(kSessionAccount), false});
    }
    if (!co_await way()) co_return away();
    co_return out;
  }
  management::Task<std::vector<management::SessionFate>> reassert(
      Instant, std::vector<management::OpenSession> open) override {
    if (!co_await way()) co_return away();
    std::vector<management::SessionFate> out;
    for (const auto& session : open) out.push_back(database_.reassert(session));
    if (!co_await way()) co_return away();
    co_return out;
  }

 private:
  [[nodiscard]] Instant now() const { return env().world.now(); }  // the database's clock
  [[nodiscard]] bool down() const override { return database_.down; }
  [[nodiscard]] std::uint64_t serial() const override { return 1; }
  [[nodiscard]] std::vector<management::Peer> peers() const override {
    std::vector<management::Peer> out;
    for (const auto& [id, row] : database_.peers) out.push_back(peer(id, id));
    return out;
  }
  SessionDatabase& database_;
};

}  // namespace nb::sim
