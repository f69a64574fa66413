#include "management/store/sql_store.h"

#include "base/log_keys.h"
#include "management/store/change_log.h"
#include "management/store/constraints.h"
#include "management/store/migrations.h"
#include "management/store/old_forms.h"
#include "management/store/store_work.h"
#include "management/store/units.h"
#include "sql/never_began.h"

namespace nb::management {
namespace {

using sql::Session;
using work::Context;

class SqlStore final : public Store, private SqlUnits {
 public:
  SqlStore(const SqlStoreParts& parts, SqlStoreOptions options)
      : SqlUnits(parts, std::move(options)) {}

  Task<> ping(Instant deadline) override { return database_.ping(deadline); }

  Task<std::string> installation_id(Instant deadline) override {
    return call(deadline, kWrite, work::installation_id);
  }
  Task<ServerKeys> server_keys(Instant deadline, ServerKeyPair candidate) override {
    return call(deadline, kWrite, work::server_keys, std::move(candidate));
  }
  Task<ServerKeys> rotate_server_key(Instant deadline, std::string expected_current,
                                     ServerKeyPair next) override {
    return call(deadline, kWrite, work::rotate_server_key, std::move(expected_current),
                std::move(next));
  }
  Task<> notify(Instant deadline, std::string channel, std::string payload) override {
    return run<void>(
        deadline, kWriteOne,
        [channel = std::move(channel), payload = std::move(payload)](
            Session& session, const Context&) { return session.notify(channel, payload); });
  }

  Task<Account> first_account(Instant deadline) override {
    return call(deadline, kRead, work::first_account);
  }
  Task<std::pair<Account, bool>> ensure_account(Instant deadline, NewAccount fresh) override {
    return call(deadline, kWrite, work::ensure_account, std::move(fresh));
  }
  Task<Account> account(Instant deadline, AccountId id) override {
    return call(deadline, kRead, work::account, std::move(id));
  }
  Task<AccountId> account_of_peer(Instant deadline, PeerKey key) override {
    return call(deadline, kRead, work::account_of_peer, std::move(key));
  }
  Task<AccountSnapshotPtr> snapshot(Instant deadline, AccountId id) override {
    return call(deadline, kReadBulk, work::snapshot, std::move(id));
  }
  Task<std::optional<SnapshotDelta>> changes(Instant deadline, AccountId id,
                                             std::uint64_t since) override {
    return call(deadline, kReadMany, work::changes_since, std::move(id), since);
  }
  Task<AccountSnapshotPtr> posture_snapshot(Instant deadline, AccountId account,
                                            PeerId peer) override {
    return call(deadline, kReadMany, work::posture_snapshot, std::move(account), std::move(peer));
  }
  Task<std::size_t> prune_changes(Instant deadline, std::chrono::milliseconds age,
                                  std::size_t limit) override {
    return call(deadline, kWrite, work::prune_changes, age, limit);
  }
  Task<std::vector<AccountSerial>> serials(Instant deadline, std::vector<AccountId> ids) override {
    return call(deadline, kRead, work::serials, std::move(ids));
  }
  Task<std::uint64_t> bump_serial(Instant deadline, AccountId id) override {
    return run<std::uint64_t>(deadline, kWrite,
                              [id = std::move(id)](Session& session, const Context& context) {
                                return work::bump_serial(session, context, id);
                              });
  }
  Task<std::vector<Group>> groups(Instant deadline, AccountId account) override {
    return call(deadline, kReadMany, work::groups, std::move(account));
  }

  Task<SetupKey> create_setup_key(Instant deadline, SetupKey key, UserId initiator) override {
    return call(deadline, kWrite, work::create_setup_key, std::move(key), std::move(initiator));
  }
  Task<std::vector<SetupKey>> setup_keys(Instant deadline, AccountId account) override {
    return call(deadline, kRead, work::setup_keys, std::move(account));
  }
  Task<SetupKey> setup_key(Instant deadline, AccountId account, SetupKeyId id) override {
    return call(deadline, kRead, work::setup_key, std::move(account), std::move(id));
  }
  Task<SetupKey> setup_key_by_hash(Instant deadline, SetupKeyHash hash) override {
    return call(deadline, kRead, work::setup_key_by_hash, std::move(hash));
  }
  Task<SetupKey> revoke_setup_key(Instant deadline, AccountId account, SetupKeyId id,
                                  UserId initiator) override {
    return call(deadline, kWrite, work::revoke_setup_key, std::move(account), std::move(id),
                std::move(initiator));
  }

  Task<PeerView> peer_by_key(Instant deadline, PeerKey key) override {
    return call(deadline, kRead, work::peer_by_key, std::move(key));
  }
  Task<PeerView> peer_by_id(Instant deadline, AccountId account, PeerId id) override {
    return call(deadline, kRead, work::peer_by_id, std::move(account), std::move(id));
  }
  Task<Registered> register_peer(Instant deadline, Registration request) override {
    return call(deadline, kWrite, work::register_peer, std::move(request));
  }

  Task<ReloggedIn> relogin(Instant deadline, Relogin request) override {
    // Nearly always nothing changes: one read and no lock.
    auto known = co_await call(deadline, kRead, work::peer_at_login, request.key);
    if (!known) co_return std::move(known).error();
    const auto write = work::relogin_needs_write(known->view, request, context_->clock.wall());
    if (!write) co_return write.error();
    if (!*write) co_return known;
    co_return co_await call(deadline, kWrite, work::relogin, std::move(request));
  }

  Task<MetaUpdated> update_meta(Instant deadline, MetaUpdate update) override {
    auto view = co_await peer_by_key(deadline, update.key);
    if (!view) co_return std::move(view).error();
    const auto allowed = work::check_may_sync(*view, context_->clock.wall());
    if (!allowed) co_return allowed.error();
    MetaUpdated out = work::apply_meta(*std::move(view), update);
    if (!out.change.any && !out.location_changed) co_return out;
    co_return co_await call(deadline, kWrite, work::update_meta, std::move(update));
  }

  Task<DeletedPeer> delete_peer(Instant deadline, PeerKey key, std::string initiator) override {
    return call(deadline, kWrite, work::delete_peer, std::move(key), std::move(initiator));
  }

  Task<Swept> expire_logins(Instant deadline, std::size_t limit) override {
    return call(deadline, kWrite, work::expire_logins, limit);
  }
  Task<Swept> expire_inactive(Instant deadline, std::size_t limit) override {
    return call(deadline, kWrite, work::expire_inactive, limit);
  }
  Task<Swept> delete_ephemeral(Instant deadline, std::chrono::milliseconds lifetime,
                               std::size_t limit) override {
    return call(deadline, kWrite, work::delete_ephemeral, lifetime, limit);
  }

  Task<std::int64_t> heartbeat(Instant deadline, InstanceId instance, std::int64_t incarnation,
                               std::chrono::milliseconds ttl) override {
    return call(deadline, kWrite, work::heartbeat, std::move(instance), incarnation, ttl);
  }
  Task<> retire(Instant deadline, InstanceId instance, std::int64_t incarnation) override {
    return call(deadline, kWrite, work::retire, std::move(instance), incarnation);
  }
  Task<SessionStarted> connect(Instant deadline, SessionCall session) override {
    auto begun = call(deadline, kMark, work::connect, std::move(session));
    auto started = co_await std::move(begun);
    if (!started && sql::never_began(started.error()))
      co_return fail(Code::kResourceExhausted, std::move(started).error().text);
    co_return started;
  }
  Task<SyncBegun> begin_sync(Instant deadline, MetaUpdate update, SessionCall call) override {
    // What was read before a session could begin; the work may fail after that.
    const auto read = std::make_shared<std::optional<MetaUpdated>>();
    auto begun = run<SessionStarted>(
        deadline, kMark,
        [read, update = std::move(update), call = std::move(call)](
            Session& session, const Context& context) -> Result<SessionStarted> {
          NB_LET(MetaUpdated meta, work::update_meta(session, context, update));
          SessionCall named = call;
          named.peer = meta.view.peer.id;
          *read = std::move(meta);
          return work::connect(session, context, named);
        });
    auto started = co_await std::move(begun);
    if (!started && sql::never_began(started.error()))
      co_return fail(Code::kUnavailable, std::move(started).error().text);
    if (!started && !*read) co_return std::move(started).error();
    co_return SyncBegun{std::move(**read), std::move(started)};
  }
  Task<bool> disconnect(Instant deadline, PeerId peer, std::int64_t epoch) override {
    return call(deadline, kMark, work::disconnect, std::move(peer), epoch);
  }
  Task<bool> abandon(Instant deadline, SessionCall session) override {
    return call(deadline, kWrite, work::abandon, std::move(session));
  }
  Task<std::string> lease_mark(Instant deadline) override {
    return call(deadline, kRead, work::lease_mark);
  }
  Task<std::vector<ReapedPeer>> disconnect_dead(Instant deadline, std::size_t limit) override {
    return call(deadline, kWrite, work::disconnect_dead, limit);
  }
  Task<std::vector<SessionFate>> reassert(Instant deadline,
                                          std::vector<OpenSession> open) override {
    return call(deadline, kWrite, work::reassert, std::move(open));
  }

  Task<> add_event(Instant deadline, Event event) override {
    return call(deadline, kWrite, work::add_event, std::move(event));
  }
};

/// Unique indexes that an earlier start had to leave out, because rows stood in their way.
Result<> make_missing_indexes(const SqlStoreParts& parts, Instant deadline,
                              sql::MigrationReport& report) {
  NB_LET(const auto missing, parts.database.run_blocking<std::vector<std::string>>(
                                 deadline, {.read_only = true}, constraints::missing));
  for (const std::string& name : missing) {
    NB_LET(const auto lines,
           parts.database.run_blocking<sql::MigrationReport>(
               deadline, kWrite, [name](Session& session) -> Result<sql::MigrationReport> {
                 sql::MigrationReport out;
                 NB_TRY(constraints::ensure(session, name, out));
                 return out;
               }));
    for (const std::string& line : lines) {
      parts.log.warn("database repaired", {log::f("what", line)});
      report.push_back(line);
    }
  }
  return {};
}

/// Before anything is changed: the official server has to open the database once more.
Result<> refuse_binary(const SqlStoreParts& parts, Instant deadline) {
  NB_LET(const sql::MigrationState state,
         sql::check_migrations(parts.database, main_migrations(), deadline));
  if (state.pending.empty()) return {};
  return parts.database.run_blocking<void>(deadline, {.read_only = true}, old_forms::refuse_binary);
}

}  // namespace

Result<sql::MigrationReport> prepare_main_database(const SqlStoreParts& parts, Instant deadline) {
  NB_TRY(refuse_binary(parts, deadline));
  NB_LET(sql::MigrationReport report,
         sql::migrate(parts.database, main_migrations(), deadline, parts.log));
  NB_TRY(make_missing_indexes(parts, deadline, report));
  // Each time: an official server that had the database meanwhile leaves new ones without.
  NB_LET(const std::int64_t filled,
         parts.database.run_blocking<std::int64_t>(deadline, kWrite, old_forms::fill_public_ids));
  if (filled > 0) parts.log.info("public ids given to rows", {log::f("rows", filled)});
  const auto context = std::make_shared<const Context>(parts, SqlStoreOptions{});
  NB_TRY(parts.database.run_blocking<void>(deadline, kWrite, [context](Session& session) {
    return work::check_data_store_key(session, *context);
  }));
  return report;
}

std::unique_ptr<Store> make_sql_store(SqlStoreParts parts, SqlStoreOptions options) {
  return std::make_unique<SqlStore>(parts, std::move(options));
}

}  // namespace nb::management
