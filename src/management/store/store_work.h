// The transactions of SqlStore as functions on a session. Private to store/.
#pragma once

#include "crypto/xid.h"
#include "management/store/field_codec.h"
#include "management/store/rows.h"
#include "management/store/sql_store.h"
#include "management/store/store_metrics.h"
#include "sql/session.h"

#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace nb::management::work {

using sql::Session;

/// What the transactions share; lives as long as the store.
struct Context {
  FieldCodec codec;
  crypto::RandomSource& random;
  const Clock& clock;
  SqlStoreOptions options;
  Logger log;
  mutable crypto::XidGenerator ids;
  StoreMetrics metrics;
  mutable std::mutex reported_mutex;
  mutable std::set<std::pair<std::string, std::string>> reported;  // said once per process

  Context(const SqlStoreParts& parts, SqlStoreOptions options_in)
      : codec(parts.cipher, parts.random),
        random(parts.random),
        clock(parts.clock),
        options(std::move(options_in)),
        log(parts.log),
        ids(parts.clock, parts.random),
        metrics(parts.registry) {}

  [[nodiscard]] RandomFn random_fn() const;
  /// Counts damaged fields, and logs them once per object.
  void report(const columns::Damage& damage, std::string_view what, std::string_view id) const;
  /// The same for rows that are left out of an account, and for ids of what is not there.
  void report_skipped(std::size_t rows, std::string_view what, std::string_view account) const;
  void report_dangling(std::size_t count, std::string_view in, std::string_view account) const;

 private:
  /// Whether nobody has said that of it before.
  bool is_news(std::string_view what, std::string_view id) const;
};

// --- dialect ----------------------------------------------------------------------------------

/// An expression for the database's clock.
std::string_view now_time(const Session& session);  // for a time column
std::string_view now_ms(const Session& session);    // Unix milliseconds
std::string_view now_ns(const Session& session);    // Unix nanoseconds
/// " FOR UPDATE OF p" and the like; SQLite has one writer and needs none.
std::string locking(const Session& session, std::string_view clause);
/// `time` plus `nanoseconds` is not later than the database's clock; no time: for ever ago.
std::string passed(const Session& session, std::string_view time, std::string_view nanoseconds);
/// "(SELECT value FROM …)" over a JSON list of texts in parameter `number`.
std::string json_list(const Session& session, int number);

/// Runs a statement of rows.h; the suffix follows it.
Result<sql::Rows> insert(Session& session, const rows::Write& row, std::string_view suffix = {});

// --- common -----------------------------------------------------------------------------------

/// A serial that nobody describes: every instance reads the whole account. Transactions that know
/// what they changed use the one in change_log.h.
Result<std::uint64_t> bump_serial(Session& session, const Context& context, const AccountId& id);
Result<> add_event(Session& session, const Context& context, const Event& event);
/// Told again under the same key, it is kept once all the same.
Result<> add_event_once(Session& session, const Context& context, const std::string& key,
                        const Event& event);
Result<Account> account(Session& session, const Context& context, const AccountId& id);
/// The same, and what could not be read of it.
Result<Account> read_account(Session& session, const Context& context, const AccountId& id,
                             columns::Damage& damage);
Result<Account> first_account(Session& session, const Context& context);
/// No map is made of an account whose net cannot be read: agents would put a /0 on their interface.
/// Those that have a map keep it.
Result<> require_network(const AccountNetwork& network, const AccountId& account);
Result<AccountId> account_of_peer(Session& session, const Context& context, const PeerKey& key);
Result<PeerView> peer_by_key(Session& session, const Context& context, const PeerKey& key);
/// The same, holding the peer's row until the end of the transaction.
Result<PeerView> peer_by_key_locked(Session& session, const Context& context, const PeerKey& key);
Result<PeerView> peer_by_id(Session& session, const Context& context, const AccountId& account,
                            const PeerId& id);
/// peer_by_key() with what only a login asks, in one read: nothing is written yet.
Result<ReloggedIn> peer_at_login(Session& session, const Context& context, const PeerKey& key);
/// Whether posture checks of the account name files.
Result<bool> looks_for_files(Session& session, const AccountId& account);
Result<std::vector<Group>> groups(Session& session, const Context& context, const AccountId& id);
/// Holds a user's row until the end of the transaction, whether there is one or not. Comes before
/// groups, peers and the account: machines join, log in and follow their user one after the other,
/// and none comes to a user who is being blocked or deleted.
Result<> lock_user(Session& session, const UserId& id);
/// Of a peer `p` with its owner `u`, joined from the left: nobody may use it. An owner who is gone
/// vouches for nothing.
inline constexpr std::string_view kOwnerBlocked =
    "(COALESCE(u.blocked, FALSE) OR (COALESCE(p.user_id, '') <> '' AND u.id IS NULL))";
/// What events say about a peer.
Event peer_event(const Context& context, Activity activity, std::string initiator, const Peer& peer,
                 const AccountSettings& settings);

// --- operations -------------------------------------------------------------------------------

Result<std::pair<Account, bool>> ensure_account(Session& session, const Context& context,
                                                const NewAccount& fresh);
Result<AccountSnapshotPtr> snapshot(Session& session, const Context& context, const AccountId& id);
Result<AccountSnapshotPtr> posture_snapshot(Session& session, const Context& context,
                                            const AccountId& id, const PeerId& peer);
Result<std::vector<AccountSerial>> serials(Session& session, const std::vector<AccountId>& ids);

Result<SetupKey> create_setup_key(Session& session, const Context& context, const SetupKey& key,
                                  const UserId& initiator);
Result<std::vector<SetupKey>> setup_keys(Session& session, const Context& context,
                                         const AccountId& account);
Result<SetupKey> setup_key(Session& session, const Context& context, const AccountId& account,
                           const SetupKeyId& id);
Result<SetupKey> setup_key_by_hash(Session& session, const Context& context,
                                   const SetupKeyHash& hash);
Result<SetupKey> revoke_setup_key(Session& session, const Context& context,
                                  const AccountId& account, const SetupKeyId& id,
                                  const UserId& initiator);

Result<Registered> register_peer(Session& session, const Context& context,
                                 const Registration& request);
/// Checks first; second: something has to be written.
Result<bool> relogin_needs_write(const PeerView& view, const Relogin& request, WallTime now);
Result<ReloggedIn> relogin(Session& session, const Context& context, const Relogin& request);
Result<> check_may_sync(const PeerView& view, WallTime now);
/// Applies the update to view.peer and says what is different.
MetaUpdated apply_meta(PeerView view, const MetaUpdate& update);
Result<MetaUpdated> update_meta(Session& session, const Context& context, const MetaUpdate& update);
Result<DeletedPeer> delete_peer(Session& session, const Context& context, const PeerKey& key,
                                const std::string& initiator);

Result<std::int64_t> heartbeat(Session& session, const InstanceId& instance,
                               std::int64_t incarnation, std::chrono::milliseconds ttl);
Result<> retire(Session& session, const InstanceId& instance, std::int64_t incarnation);
Result<SessionStarted> connect(Session& session, const Context& context, const SessionCall& call);
Result<bool> disconnect(Session& session, const Context& context, const PeerId& peer,
                        std::int64_t epoch);
Result<bool> abandon(Session& session, const Context& context, const SessionCall& call);
Result<std::string> lease_mark(Session& session);
Result<std::vector<ReapedPeer>> disconnect_dead(Session& session, const Context& context,
                                                std::size_t limit);
Result<std::vector<SessionFate>> reassert(Session& session, const Context& context,
                                          const std::vector<OpenSession>& open);

Result<Swept> expire_logins(Session& session, const Context& context, std::size_t limit);
Result<Swept> expire_inactive(Session& session, const Context& context, std::size_t limit);
Result<Swept> delete_ephemeral(Session& session, const Context& context,
                               std::chrono::milliseconds lifetime, std::size_t limit);

Result<std::string> installation_id(Session& session, const Context& context);
Result<ServerKeys> server_keys(Session& session, const Context& context,
                               const ServerKeyPair& candidate);
Result<ServerKeys> rotate_server_key(Session& session, const Context& context,
                                     const std::string& expected_current,
                                     const ServerKeyPair& next);
Result<> check_data_store_key(Session& session, const Context& context);

}  // namespace nb::management::work
