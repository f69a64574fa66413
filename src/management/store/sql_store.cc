#include "management/store/sql_store.h"

#include "management/store/change_log.h"
#include "management/store/migrations.h"
#include "management/store/store_work.h"

namespace nb::management {
namespace {

using sql::RunOptions;
using sql::Session;
using work::Context;

constexpr RunOptions kRead{.read_only = true, .single_statement = true};
constexpr RunOptions kReadMany{.isolation = sql::Isolation::kRepeatableRead, .read_only = true};
constexpr RunOptions kReadBulk{
    .isolation = sql::Isolation::kRepeatableRead, .read_only = true, .bulk = true};
constexpr RunOptions kWrite{};

class SqlStore final : public Store {
 public:
  SqlStore(SqlStoreParts parts, SqlStoreOptions options)
      : database_(parts.database), context_(std::make_shared<Context>(parts, std::move(options))) {}

  Task<> ping(Instant deadline) override { return database_.ping(deadline); }

  Task<std::string> installation_id(Instant deadline) override {
    return run<std::string>(deadline, kWrite, [](Session& session, const Context& context) {
      return work::installation_id(session, context);
    });
  }

  Task<ServerKeys> server_keys(Instant deadline, ServerKeyPair candidate) override {
    return run<ServerKeys>(
        deadline, kWrite,
        [candidate = std::move(candidate)](Session& session, const Context& context) {
          return work::server_keys(session, context, candidate);
        });
  }

  Task<ServerKeys> rotate_server_key(Instant deadline, std::string expected_current,
                                     ServerKeyPair next) override {
    return run<ServerKeys>(deadline, kWrite,
                           [expected = std::move(expected_current), next = std::move(next)](
                               Session& session, const Context& context) {
                             return work::rotate_server_key(session, context, expected, next);
                           });
  }

  Task<> notify(Instant deadline, std::string channel, std::string payload) override {
    return run<void>(
        deadline, RunOptions{.single_statement = true},
        [channel = std::move(channel), payload = std::move(payload)](
            Session& session, const Context&) { return session.notify(channel, payload); });
  }

  Task<Account> first_account(Instant deadline) override {
    return run<Account>(deadline, kRead, [](Session& session, const Context& context) {
      return work::first_account(session, context);
    });
  }

  Task<std::pair<Account, bool>> ensure_account(Instant deadline, NewAccount fresh) override {
    return run<std::pair<Account, bool>>(
        deadline, kWrite, [fresh = std::move(fresh)](Session& session, const Context& context) {
          return work::ensure_account(session, context, fresh);
        });
  }

  Task<Account> account(Instant deadline, AccountId id) override {
    return run<Account>(deadline, kRead,
                        [id = std::move(id)](Session& session, const Context& context) {
                          return work::account(session, context, id);
                        });
  }

  Task<AccountId> account_of_peer(Instant deadline, PeerKey key) override {
    return run<AccountId>(
        deadline, kRead,
        [key = std::move(key)](Session& session, const Context&) -> Result<AccountId> {
          NB_LET(const sql::Rows rows,
                 session.query("SELECT account_id FROM peers WHERE key = $1", {key.value()}));
          if (rows.empty()) return fail(Code::kNotFound, "account not found: index lookup failed");
          return AccountId(rows[0].string(0));
        });
  }

  Task<AccountSnapshotPtr> snapshot(Instant deadline, AccountId id) override {
    return run<AccountSnapshotPtr>(deadline, kReadBulk,
                                   [id = std::move(id)](Session& session, const Context& context) {
                                     return work::snapshot(session, context, id);
                                   });
  }

  Task<std::optional<SnapshotDelta>> changes(Instant deadline, AccountId id,
                                             std::uint64_t since) override {
    return run<std::optional<SnapshotDelta>>(
        deadline, kReadMany,
        [id = std::move(id), since](Session& session, const Context& context) {
          return work::changes_since(session, context, id, since);
        });
  }

  Task<std::size_t> prune_changes(Instant deadline, std::chrono::milliseconds age,
                                  std::size_t limit) override {
    return run<std::size_t>(deadline, kWrite, [age, limit](Session& session, const Context&) {
      return work::prune_changes(session, age, limit);
    });
  }

  Task<std::vector<AccountSerial>> serials(Instant deadline, std::vector<AccountId> ids) override {
    return run<std::vector<AccountSerial>>(
        deadline, kRead, [ids = std::move(ids)](Session& session, const Context&) {
          return work::serials(session, ids);
        });
  }

  Task<std::uint64_t> bump_serial(Instant deadline, AccountId id) override {
    return run<std::uint64_t>(deadline, kWrite,
                              [id = std::move(id)](Session& session, const Context& context) {
                                return work::bump_serial(session, context, id);
                              });
  }

  Task<std::vector<Group>> groups(Instant deadline, AccountId account) override {
    return run<std::vector<Group>>(
        deadline, kReadMany, [id = std::move(account)](Session& session, const Context& context) {
          return work::groups(session, context, id);
        });
  }

  Task<SetupKey> create_setup_key(Instant deadline, SetupKey key, UserId initiator) override {
    return run<SetupKey>(deadline, kWrite,
                         [key = std::move(key), initiator = std::move(initiator)](
                             Session& session, const Context& context) {
                           return work::create_setup_key(session, context, key, initiator);
                         });
  }

  Task<std::vector<SetupKey>> setup_keys(Instant deadline, AccountId account) override {
    return run<std::vector<SetupKey>>(
        deadline, kRead, [id = std::move(account)](Session& session, const Context& context) {
          return work::setup_keys(session, context, id);
        });
  }

  Task<SetupKey> setup_key(Instant deadline, AccountId account, SetupKeyId id) override {
    return run<SetupKey>(deadline, kRead,
                         [account = std::move(account), id = std::move(id)](
                             Session& session, const Context& context) {
                           return work::setup_key(session, context, account, id);
                         });
  }

  Task<SetupKey> setup_key_by_hash(Instant deadline, SetupKeyHash hash) override {
    return run<SetupKey>(deadline, kRead,
                         [hash = std::move(hash)](Session& session, const Context& context) {
                           return work::setup_key_by_hash(session, context, hash);
                         });
  }

  Task<SetupKey> revoke_setup_key(Instant deadline, AccountId account, SetupKeyId id,
                                  UserId initiator) override {
    return run<SetupKey>(
        deadline, kWrite,
        [account = std::move(account), id = std::move(id), initiator = std::move(initiator)](
            Session& session, const Context& context) {
          return work::revoke_setup_key(session, context, account, id, initiator);
        });
  }

  Task<PeerView> peer_by_key(Instant deadline, PeerKey key) override {
    return run<PeerView>(deadline, kRead,
                         [key = std::move(key)](Session& session, const Context& context) {
                           return work::peer_by_key(session, context, key);
                         });
  }

  Task<PeerView> peer_by_id(Instant deadline, AccountId account, PeerId id) override {
    return run<PeerView>(deadline, kRead,
                         [account = std::move(account), id = std::move(id)](
                             Session& session, const Context& context) {
                           return work::peer_by_id(session, context, account, id);
                         });
  }

  Task<Registered> register_peer(Instant deadline, Registration request) override {
    return run<Registered>(
        deadline, kWrite, [request = std::move(request)](Session& session, const Context& context) {
          return work::register_peer(session, context, request);
        });
  }

  Task<ReloggedIn> relogin(Instant deadline, Relogin request) override {
    // Nearly always nothing changes: one read and no lock.
    auto view = co_await peer_by_key(deadline, request.key);
    if (!view) co_return std::move(view).error();
    const auto write = work::relogin_needs_write(*view, request, context_->clock.wall());
    if (!write) co_return write.error();
    if (!*write) {
      ReloggedIn same;
      same.view = *std::move(view);
      co_return same;
    }
    auto change = [request = std::move(request)](Session& session, const Context& context) {
      return work::relogin(session, context, request);
    };
    co_return co_await run<ReloggedIn>(deadline, kWrite, std::move(change));
  }

  Task<MetaUpdated> update_meta(Instant deadline, MetaUpdate update) override {
    auto view = co_await peer_by_key(deadline, update.key);
    if (!view) co_return std::move(view).error();
    const auto allowed = work::check_may_sync(*view, context_->clock.wall());
    if (!allowed) co_return allowed.error();
    MetaUpdated out = work::apply_meta(*std::move(view), update);
    if (!out.change.any && !out.location_changed) co_return out;
    auto change = [update = std::move(update)](Session& session, const Context& context) {
      return work::update_meta(session, context, update);
    };
    co_return co_await run<MetaUpdated>(deadline, kWrite, std::move(change));
  }

  Task<DeletedPeer> delete_peer(Instant deadline, PeerKey key, std::string initiator) override {
    return run<DeletedPeer>(deadline, kWrite,
                            [key = std::move(key), initiator = std::move(initiator)](
                                Session& session, const Context& context) {
                              return work::delete_peer(session, context, key, initiator);
                            });
  }

  Task<Swept> expire_logins(Instant deadline, std::size_t limit) override {
    return run<Swept>(deadline, kWrite, [limit](Session& session, const Context& context) {
      return work::expire_logins(session, context, limit);
    });
  }

  Task<Swept> expire_inactive(Instant deadline, std::size_t limit) override {
    return run<Swept>(deadline, kWrite, [limit](Session& session, const Context& context) {
      return work::expire_inactive(session, context, limit);
    });
  }

  Task<Swept> delete_ephemeral(Instant deadline, std::chrono::milliseconds lifetime,
                               std::size_t limit) override {
    return run<Swept>(deadline, kWrite, [lifetime, limit](Session& session, const Context& context) {
      return work::delete_ephemeral(session, context, lifetime, limit);
    });
  }

  Task<> heartbeat(Instant deadline, InstanceId instance, std::int64_t incarnation,
                   std::chrono::milliseconds ttl) override {
    return run<void>(
        deadline, kWrite,
        [instance = std::move(instance), incarnation, ttl](Session& session, const Context&) {
          return work::heartbeat(session, instance, incarnation, ttl);
        });
  }

  Task<> retire(Instant deadline, InstanceId instance, std::int64_t incarnation) override {
    return run<void>(
        deadline, kWrite,
        [instance = std::move(instance), incarnation](Session& session, const Context&) {
          return work::retire(session, instance, incarnation);
        });
  }

  Task<SessionStarted> connect(Instant deadline, PeerId peer, InstanceId instance,
                               std::int64_t incarnation) override {
    return run<SessionStarted>(deadline, kWrite,
                               [peer = std::move(peer), instance = std::move(instance),
                                incarnation](Session& session, const Context& context) {
                                 return work::connect(session, context, peer, instance,
                                                      incarnation);
                               });
  }

  Task<bool> disconnect(Instant deadline, PeerId peer, std::int64_t epoch) override {
    return run<bool>(deadline, kWrite,
                     [peer = std::move(peer), epoch](Session& session, const Context& context) {
                       return work::disconnect(session, context, peer, epoch);
                     });
  }

  Task<std::vector<ReapedPeer>> disconnect_dead(Instant deadline, std::size_t limit) override {
    return run<std::vector<ReapedPeer>>(deadline, kWrite,
                                        [limit](Session& session, const Context& context) {
                                          return work::disconnect_dead(session, context, limit);
                                        });
  }

  Task<> add_event(Instant deadline, Event event) override {
    return run<void>(deadline, kWrite,
                     [event = std::move(event)](Session& session, const Context& context) {
                       return work::add_event(session, context, event);
                     });
  }

 private:
  template <class T, class Fn>
  Task<T> run(Instant deadline, RunOptions options, Fn fn) {
    return database_.run<T>(deadline, options, guarded<T>(std::move(fn)));
  }

  /// A constraint that a statement did not expect to break is our mistake; its text, which names
  /// tables, must not pass for an answer to an agent.
  template <class T, class Fn>
  std::function<Result<T>(Session&)> guarded(Fn fn) {
    return [context = context_, fn = std::move(fn)](Session& session) -> Result<T> {
      Result<T> result = fn(session, *context);
      if (result || !session.reported(result.error())) return result;
      const Code code = result.error().code;
      if (code == Code::kAlreadyExists || code == Code::kFailedPrecondition)
        return Result<T>(fail(Code::kInternal, "{}", result.error().text));
      return result;
    };
  }

  sql::Database& database_;
  std::shared_ptr<const Context> context_;
};

}  // namespace

Result<sql::MigrationReport> prepare_main_database(const SqlStoreParts& parts, Instant deadline) {
  NB_LET(sql::MigrationReport report,
         sql::migrate(parts.database, main_migrations(), deadline, parts.log));
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
