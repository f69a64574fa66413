// Login, Sync, SyncMeta and Logout of a machine: what is checked, stored and told to whom.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "ha/login_filter.h"
#include "management/app/geo_database.h"
#include "management/app/session_peer.h"
#include "management/app/sync_hub.h"
#include "management/app/token_validator.h"
#include "management/app/welcome_peers.h"
#include "management/store/agent_store.h"
#include "management/store/store.h"

#include <boost/asio/any_io_executor.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nb::management::app {

struct LoginCommand {
  PeerKey key;
  std::optional<PeerMeta> meta;
  PeerLocation location;
  std::string setup_key;  // plain, as typed
  std::string jwt;
  std::string ssh_key;
  std::vector<std::string> extra_dns_labels;
  Instant deadline{};
};

struct LoggedIn {
  Peer peer;  // with the meta just sent: its capabilities decide what the answer may hold
  AccountSettings settings;
  AccountNetwork network;
  bool registered = false;
  /// Store::posture_snapshot() of the peer; null: no check of the account names files.
  AccountSnapshotPtr posture{};
};

struct ExtendCommand {
  PeerKey key;
  std::string jwt;
  Instant deadline{};
};

/// A session that may have begun although start() failed: the database's answer was lost.
struct SessionInDoubt {
  SessionPeer peer;
  SessionCall call;
};

struct SyncCommand {
  PeerKey key;
  std::optional<PeerMeta> meta;
  PeerLocation location;
  Instant deadline{};
  std::function<void(SessionInDoubt)> on_doubt{};  // see start()
};

struct SyncStarted {
  PeerView view;
  std::int64_t epoch = 0;
  InstanceId replaces;       // that held the peer's last session, if it was another one
  std::uint64_t lapses = 0;  // of the instance's lease, before the session began
};

/// What sessions stand on; all of it outlives them.
struct PeerSessionsPorts {
  Store& store;
  AgentStore& agents;
  SyncHub& hub;
  TokenValidator* tokens = nullptr;            // null: no user can log in
  ha::LoginFilter* filter = nullptr;           // null: none; lives on filter_home
  boost::asio::any_io_executor filter_home{};  // empty: any thread may ask it
  Clock& clock;
  const GeoDatabase* geo = nullptr;  // null: nobody knows where peers are
};

struct PeerSessionsOptions {
  InstanceId instance;
  std::int64_t incarnation = 0;
  bool block_same_peers = false;
  bool log_blocked_peers = false;
  std::function<std::string(std::string_view)> hash_setup_key{};
  /// Told about ephemeral peers that are not connected; may be empty.
  std::function<void(const SessionPeer&)> on_ephemeral_idle{};
  std::function<void(const SessionPeer&)> on_ephemeral_busy{};
  /// How long marking a peer connected, or not, took; may be empty.
  std::function<void(bool connected, std::chrono::nanoseconds took)> on_status_time{};
};

/// Read by metrics.
struct PeerSessionCounters {
  std::atomic<std::uint64_t> sync_blocked{0};
  std::atomic<std::uint64_t> login_blocked{0};
  std::atomic<std::uint64_t> meta_updates{0};
  std::atomic<std::uint64_t> connects{0};
  std::atomic<std::uint64_t> connect_errors{0};
  std::atomic<std::uint64_t> disconnects{0};
  std::atomic<std::uint64_t> disconnects_stale{0};  // had a successor, or never began
  std::atomic<std::uint64_t> disconnect_errors{0};
};

/// Threads  functions may be called on any executor and finish there.
/// Errors   code and text of every failure are what the agent gets (contract/management-grpc.md
///          §4): infrastructure is always kUnavailable, never a statement about the peer.
class PeerSessions {
 public:
  PeerSessions(PeerSessionsPorts ports, PeerSessionsOptions options, Logger log);

  Task<LoggedIn> login(LoginCommand command);
  /// Moves the deadline of a user's peer without touching its streams.
  Task<PeerView> extend(ExtendCommand command);
  /// Checks, stores what is new and marks the peer connected. The caller opens its stream at the
  /// hub next, and calls stopped() with the epoch when it has ended, whatever happened. On failure
  /// on_doubt may be called before, in the caller's coroutine: then the caller calls abandoned().
  Task<SyncStarted> start(SyncCommand command);
  /// kNotFound "account not found: index lookup failed" for an unknown peer.
  Task<> update_meta(SyncCommand command);
  /// Removes the peer. A request with the same `nonce` is refused for an hour, on every instance:
  /// who recorded it cannot remove the peer again.
  Task<> logout(PeerKey key, std::string nonce, Instant deadline);
  /// Kept and repeated until the database has taken it.
  boost::asio::awaitable<void> stopped(SessionPeer peer, std::int64_t epoch);
  /// Instead of stopped(), for a session that a newer one of this instance has replaced.
  void succeeded() { counters_.disconnects_stale.fetch_add(1, std::memory_order_relaxed); }
  /// The same for a session without a stream: otherwise its peer would be shown as connected as
  /// long as this process lives.
  boost::asio::awaitable<void> abandoned(SessionInDoubt session);
  /// Registered at all? kPermissionDenied "peer is not registered".
  Task<PeerView> registered(PeerKey key, Instant deadline);

  [[nodiscard]] const PeerSessionCounters& counters() const { return counters_; }

 private:
  using EndSession = std::function<Task<bool>(Instant deadline)>;
  boost::asio::awaitable<void> end_session(SessionPeer peer, EndSession end, std::uint64_t seed);
  Task<MetaUpdated> store_meta(SyncCommand command);
  [[nodiscard]] MetaUpdate meta_update(SyncCommand command) const;
  void noticed(const MetaUpdated& stored);
  /// A refusal of the login filter, enforced or only counted.
  Task<> let_through(ha::LoginVerdict verdict, PeerKey key, Instant deadline);
  /// Of a peer that was welcome before, in one step, which takes its turn among the writers.
  Task<SyncBegun> begin_known(SyncCommand command, SessionCall call);
  /// Strangers, who are refused, must not wait there, nor be remembered: in two steps.
  Task<SyncBegun> begin_new(SyncCommand command, ha::LoginAttempt attempt, SessionCall call);
  /// With what posture checks ask of the peer. From the database, not from a view that an instance
  /// has by chance: an agent that starts without them says nothing of what they look for, and
  /// fails them until its first map.
  Task<LoggedIn> with_posture(LoggedIn done, Instant deadline);
  Task<LoggedIn> enroll(LoginCommand command, std::optional<TokenUser> user);
  /// Whose token it is; from now on it is this peer's.
  Task<TokenUser> authenticate(std::string jwt, PeerKey peer, Instant deadline);
  boost::asio::awaitable<ha::LoginVerdict> filter(ha::LoginAttempt attempt, bool record);
  Result<> judge(const ha::LoginVerdict& verdict, const PeerKey& key,
                 std::atomic<std::uint64_t>& counter, bool applies);

  Store& store_;
  AgentStore& agents_;
  SyncHub& hub_;
  TokenValidator* const tokens_;
  ha::LoginFilter* const filter_;
  const boost::asio::any_io_executor filter_home_;
  Clock& clock_;
  const GeoDatabase* const geo_;
  const PeerSessionsOptions options_;
  const Logger log_;
  PeerSessionCounters counters_;
  std::atomic<std::int64_t> calls_{0};  // SessionCall::number
  WelcomePeers welcome_;
};

/// Failures of database and bus never say anything about a peer: one code for all of them.
[[nodiscard]] Error as_agent_error(Error error);

}  // namespace nb::management::app
