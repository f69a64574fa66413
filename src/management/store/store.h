// management/store: everything of management that outlives a process.
//
// Purpose      port for accounts, peers, sessions, keys and events, plus SqlStore, its adapter for
//              PostgreSQL and SQLite with upstream's tables (contract/schema/README.md).
// Not here     SQL connections and transactions (sql/); who is told about a change (app/).
// Start with   Store below; sql_store.h to build one; migrations.h for the schema.
// Threads      any executor; an answer is posted back to the caller's executor.
// Limits       StoreOptions; past the queue of sql/ a call ends with kResourceExhausted.
// Failure      kUnavailable: database away (retry), kDeadlineExceeded: not done in time. These are
//              never a statement about a peer or account; everything else is.
// Decisions    docs/decisions/ on drivers, sessions and the event outbox.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "management/domain/account_snapshot.h"
#include "management/domain/event.h"
#include "management/domain/new_account.h"
#include "management/domain/setup_key.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nb::management {

template <class T = void>
using Task = boost::asio::awaitable<Result<T>>;

/// A peer as its login and sync see it: one indexed read.
struct PeerView {
  Peer peer;
  AccountSettings settings;
  AccountNetwork network;
  std::uint64_t serial = 0;
  bool owner_blocked = false;  // the owning user exists and is blocked
};

/// First registration of a machine (contract/management-grpc.md §5.2.1).
struct Registration {
  PeerKey key;
  /// Wins over the setup key when both are present.
  std::optional<UserId> user;
  std::optional<SetupKeyHash> setup_key;
  std::string name;  // host name; the DNS label is made from it
  PeerMeta meta;
  PeerLocation location;
  std::string ssh_key;
  std::vector<std::string> extra_dns_labels;
  bool temporary = false;  // browser client: ephemeral, no expiry flags, no event
  /// The peer by which a reverse proxy reaches an account; nobody else vouches for it, and it is in
  /// no group.
  struct Proxy {
    AccountId account;
    std::string cluster;
  };
  std::optional<Proxy> proxy{};
};

struct Registered {
  Peer peer;
  std::uint64_t serial = 0;
  std::vector<GroupId> groups;  // that the peer joined, All included
  bool posture_checks = false;  // see ReloggedIn
};

/// Login of a known peer (contract/management-grpc.md §5.2.2).
struct Relogin {
  PeerKey key;
  std::optional<UserId> user;  // from a valid JWT
  std::string ssh_key;
  bool has_extra_dns_labels = false;
};

struct ReloggedIn {
  PeerView view;
  bool ssh_key_changed = false;
  bool renewed = false;      // an expired login was renewed: affected peers have to be told
  bool was_changed = false;  // something was written; view.serial is the new serial
  /// The account has posture checks that name files: see posture_snapshot().
  bool posture_checks = false;
};

/// What a Sync or SyncMeta says about a machine.
struct MetaUpdate {
  PeerKey key;
  std::optional<PeerMeta> meta;          // absent or empty: the stored one stays
  std::optional<PeerLocation> location;  // absent: the stored one stays
};

struct MetaUpdated {
  PeerView view;  // as stored now
  MetaChange change;
  bool location_changed = false;
};

/// One Sync stream of one peer. Epochs of a peer only grow, whichever instance asks.
struct SessionStarted {
  std::int64_t epoch = 0;
  bool login_expired = false;
  /// The session that this one replaces, if it had not ended; the instance may be this one.
  std::int64_t previous_epoch = 0;
  InstanceId previous_instance;
};

/// One attempt of an instance to begin a session of a peer; it names the session before there is an
/// epoch, so that one can be ended whose beginning nobody heard of.
struct SessionCall {
  PeerId peer;
  InstanceId instance;
  std::int64_t incarnation = 0;
  std::int64_t number = 0;  // no other call of this process has it; from 1
};

/// A Sync of a peer that may have one: what became of its two steps.
struct SyncBegun {
  MetaUpdated meta;                // as of update_meta()
  Result<SessionStarted> session;  // as of connect()
};

/// A session whose stream its instance still holds.
struct OpenSession {
  PeerId peer;
  std::int64_t epoch = 0;
};

/// What became of it while the instance's lease had lapsed.
enum class SessionFate : std::uint8_t {
  kHeld,        // nobody touched it
  kRestored,    // others had marked the peer disconnected; it is connected again, in this session
  kSuperseded,  // the peer has a newer session, or had one
  kRefused,     // its login expired, or its user is blocked
  kDeleted,
  kEnded,  // cannot be told from one that has ended: the peer has to connect again
};

/// A peer that a dead instance had left connected.
struct ReapedPeer {
  PeerId peer;
  AccountId account;
  bool ephemeral = false;
};

/// What one round of a scheduled job did, all in one transaction.
struct Swept {
  std::vector<Peer> peers;              // expired: as they are now; deleted: as they were
  std::vector<AccountSerial> accounts;  // of these peers, with their new serials
};

struct DeletedPeer {
  Peer peer;
  std::uint64_t serial = 0;
  std::vector<GroupId> groups;  // that it was in
};

/// A server's Curve25519 key pair (WireGuard form).
struct ServerKeyPair {
  std::string public_key;  // base64
  Secret private_key;      // base64
};

struct ServerKeys {
  ServerKeyPair current;
  std::optional<ServerKeyPair> previous;
  WallTime current_since{};
};

class Store {
 public:
  virtual ~Store() = default;

  // --- the database as such -------------------------------------------------------------------

  /// Readiness: one round trip.
  virtual Task<> ping(Instant deadline) = 0;
  /// Upper-case UUID of this installation; made at the first call of any instance.
  virtual Task<std::string> installation_id(Instant deadline) = 0;
  /// The deployment's server keys. `candidate` is stored if there are none yet; whoever comes first
  /// wins and everybody gets the winner's.
  virtual Task<ServerKeys> server_keys(Instant deadline, ServerKeyPair candidate) = 0;
  /// The current key becomes the previous one, `next` the current one.
  /// Errors   kAborted: current is no longer `expected_current` (another instance rotated).
  virtual Task<ServerKeys> rotate_server_key(Instant deadline, std::string expected_current,
                                             ServerKeyPair next) = 0;
  /// Sends `payload` (at most 7,900 bytes) to every instance that listens on `channel`, through
  /// PostgreSQL. On SQLite there is nobody else: nothing happens.
  virtual Task<> notify(Instant deadline, std::string channel, std::string payload) = 0;

  // --- accounts -------------------------------------------------------------------------------

  /// The only account, or the oldest if there are several.
  /// Errors   kNotFound: the database holds none.
  virtual Task<Account> first_account(Instant deadline) = 0;
  /// The same, but makes `fresh` if there is none; safe against any number of instances.
  /// Second   whether it was made.
  virtual Task<std::pair<Account, bool>> ensure_account(Instant deadline, NewAccount fresh) = 0;
  /// Errors   kNotFound "account not found: <id>".
  virtual Task<Account> account(Instant deadline, AccountId id) = 0;
  /// Errors   kNotFound "account not found: index lookup failed".
  virtual Task<AccountId> account_of_peer(Instant deadline, PeerKey key) = 0;
  /// One consistent picture (REPEATABLE READ READ ONLY); its serial is the map's serial.
  virtual Task<AccountSnapshotPtr> snapshot(Instant deadline, AccountId id) = 0;
  /// Of an account only what its posture checks ask of one peer: the peer, the groups it is in with
  /// no other member, policies with checks, and the checks.
  /// Errors   kNotFound: the account; without the peer if that is not there.
  virtual Task<AccountSnapshotPtr> posture_snapshot(Instant deadline, AccountId account,
                                                    PeerId peer) = 0;
  /// What changed since a snapshot with this serial, as it is now, read in one transaction; apply
  /// it with applied(). Nothing: take a whole snapshot, because not every serial in between says
  /// what it changed (another server wrote it, or it is too long ago), or it would be too much. Not
  /// every write raises the serial: see peers' `last_seen` and the like (decision 0060).
  virtual Task<std::optional<SnapshotDelta>> changes(Instant deadline, AccountId id,
                                                     std::uint64_t since) = 0;
  /// Forgets what changes() would tell about times longer ago than `age`. Returns how many rows, at
  /// most about `limit`.
  virtual Task<std::size_t> prune_changes(Instant deadline, std::chrono::milliseconds age,
                                          std::size_t limit) = 0;
  /// Serials of those accounts that exist, in one query; for anti-entropy. At most 10,000 ids.
  virtual Task<std::vector<AccountSerial>> serials(Instant deadline,
                                                   std::vector<AccountId> ids) = 0;
  /// Raises the serial of an account without any other change.
  virtual Task<std::uint64_t> bump_serial(Instant deadline, AccountId id) = 0;

  // --- groups ---------------------------------------------------------------------------------

  virtual Task<std::vector<Group>> groups(Instant deadline, AccountId account) = 0;

  // --- setup keys -----------------------------------------------------------------------------

  /// Stores a key made by new_setup_key(), with id and hash filled in.
  /// Errors   kNotFound: the account; kInvalidArgument: an auto group is unknown or All;
  ///          kAlreadyExists: the id.
  virtual Task<SetupKey> create_setup_key(Instant deadline, SetupKey key, UserId initiator) = 0;
  virtual Task<std::vector<SetupKey>> setup_keys(Instant deadline, AccountId account) = 0;
  /// Errors   kNotFound.
  virtual Task<SetupKey> setup_key(Instant deadline, AccountId account, SetupKeyId id) = 0;
  virtual Task<SetupKey> setup_key_by_hash(Instant deadline, SetupKeyHash hash) = 0;
  /// Revoked stays revoked; doing it twice is the same as once.
  virtual Task<SetupKey> revoke_setup_key(Instant deadline, AccountId account, SetupKeyId id,
                                          UserId initiator) = 0;

  // --- peers ----------------------------------------------------------------------------------

  /// One indexed read from the primary database.
  /// Errors   kNotFound "peer is not registered".
  virtual Task<PeerView> peer_by_key(Instant deadline, PeerKey key) = 0;
  virtual Task<PeerView> peer_by_id(Instant deadline, AccountId account, PeerId id) = 0;

  /// Address, label, groups, key usage, event and serial in one transaction.
  /// Errors   the texts and codes of management-grpc.md §4.1: kPermissionDenied (no method, user
  ///          blocked or pending), kNotFound (setup key, user), kFailedPrecondition (known key,
  ///          used-up key, labels, no address left), kInvalidArgument (labels, host name).
  virtual Task<Registered> register_peer(Instant deadline, Registration request) = 0;

  /// Errors   kNotFound "peer is not registered"; kPermissionDenied: expired, another user's,
  ///          blocked; kFailedPrecondition: labels.
  virtual Task<ReloggedIn> relogin(Instant deadline, Relogin request) = 0;

  /// Checks what Sync and SyncMeta check (owner not blocked, login not expired) and stores what
  /// changed; nothing changed costs one read.
  /// Errors   kNotFound "peer is not registered"; kPermissionDenied: blocked or expired.
  virtual Task<MetaUpdated> update_meta(Instant deadline, MetaUpdate update) = 0;

  /// Errors   kNotFound "peer not found: <key>".
  virtual Task<DeletedPeer> delete_peer(Instant deadline, PeerKey key, std::string initiator) = 0;

  // --- scheduled jobs (network-map.md §5) -------------------------------------------------------
  // At most `limit` peers a call, of all accounts; fewer came back: none is left. By the database's
  // clock. Each peer is taken once, with one event, whichever instances sweep at the same time.

  /// Connected peers whose login is too old become expired and disconnected; close their streams.
  virtual Task<Swept> expire_logins(Instant deadline, std::size_t limit) = 0;
  /// Peers that were away for too long have to log in again.
  virtual Task<Swept> expire_inactive(Instant deadline, std::size_t limit) = 0;
  /// Ephemeral peers without a session for `lifetime` are deleted, unless something depends on
  /// them.
  virtual Task<Swept> delete_ephemeral(Instant deadline, std::chrono::milliseconds lifetime,
                                       std::size_t limit) = 0;

  // --- sessions -------------------------------------------------------------------------------

  /// This process of this instance is alive for `ttl` from now. `incarnation` grows with each
  /// start. Returns since when the lease is held without a gap, as the database's clock saw it:
  /// another answer than the last time means that others may have marked our peers disconnected.
  /// Errors   kAborted: a newer incarnation holds the id.
  virtual Task<std::int64_t> heartbeat(Instant deadline, InstanceId instance,
                                       std::int64_t incarnation, std::chrono::milliseconds ttl) = 0;
  /// Ends the lease at once (drain), so that others need not wait for it.
  virtual Task<> retire(Instant deadline, InstanceId instance, std::int64_t incarnation) = 0;
  /// Marks the peer connected with a new epoch from the database's clock. Does not clear
  /// login_expired (only a login does).
  /// Errors   kNotFound "peer is not registered"; kResourceExhausted: the database never got to it,
  ///          and it has not begun; after any other the session may have begun: abandon() it.
  virtual Task<SessionStarted> connect(Instant deadline, SessionCall call) = 0;
  /// update_meta() and connect() in one transaction, for a peer that is likely to be welcome:
  /// unlike the former, it takes its turn among the writers to find out. `call.peer` is read.
  /// Errors   update_meta()'s, and any other as long as no session can have begun.
  virtual Task<SyncBegun> begin_sync(Instant deadline, MetaUpdate update, SessionCall call) = 0;
  /// Marks it disconnected if `epoch` is still its session; otherwise nothing. True: it was.
  virtual Task<bool> disconnect(Instant deadline, PeerId peer, std::int64_t epoch) = 0;
  /// As disconnect() for the session that exactly this call of connect() began, if it is the peer's
  /// newest. Asked after connect() has failed, it is the last word: what the call did is seen, and
  /// it can do nothing later.
  virtual Task<bool> abandon(Instant deadline, SessionCall call) = 0;
  /// All leases, as a text that is another one when any has begun, ended or changed hands.
  virtual Task<std::string> lease_mark(Instant deadline) = 0;
  /// Marks the peers disconnected whose instance has no living lease, at most `limit` of them.
  /// Looks at every connected peer.
  virtual Task<std::vector<ReapedPeer>> disconnect_dead(Instant deadline, std::size_t limit) = 0;
  /// For an instance that holds its lease again after a gap: takes back the sessions that were
  /// taken away from it, unless their peers have newer ones, and says for each what became of it.
  /// At most a few thousand at once; in the order asked for.
  virtual Task<std::vector<SessionFate>> reassert(Instant deadline,
                                                  std::vector<OpenSession> open) = 0;

  // --- events ---------------------------------------------------------------------------------

  /// For what has no write of its own. The store's writes add their events themselves, in their
  /// own transaction.
  virtual Task<> add_event(Instant deadline, Event event) = 0;
};

}  // namespace nb::management
