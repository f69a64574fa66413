#include "management/store/open_logins.h"
#include "management/store/run_options.h"
#include "management/store/sql_store.h"
#include "management/store/work_identity.h"

namespace nb::management {
namespace {

using sql::RunOptions;
using sql::Session;
using work::Context;

class SqlIdentityStore final : public IdentityStore {
 public:
  SqlIdentityStore(const SqlStoreParts& parts, SqlStoreOptions options)
      : database_(parts.database), context_(std::make_shared<Context>(parts, std::move(options))) {}

  Task<KnownUser> user(Instant deadline, UserId id) override {
    return run<KnownUser>(deadline, kRead,
                          [id = std::move(id)](Session& session, const Context& c) {
                            return work::known_user(session, c, id);
                          });
  }

  Task<TokenHolder> token(Instant deadline, std::string hash) override {
    return run<TokenHolder>(deadline, kRead,
                            [hash = std::move(hash)](Session& session, const Context& c) {
                              return work::token_holder(session, c, hash);
                            });
  }

  Task<> token_used(Instant deadline, TokenId id, WallTime at,
                    std::chrono::seconds at_most_every) override {
    return run<void>(
        deadline, kWriteOne,
        [id = std::move(id), at, at_most_every](Session& session, const Context&) -> Result<> {
          NB_TRY(
              session.exec("UPDATE personal_access_tokens SET last_used = $1 WHERE id = $2 AND "
                           "(last_used IS NULL OR last_used <= $3)",
                           {at, id.value(), WallTime(at - at_most_every)}));
          return {};
        });
  }

  Task<Enrolled> enrol(Instant deadline, Enrolment person) override {
    // Of an account that is not the one of its domain, every call of its people asks.
    auto look = [person](Session& session, const Context& c) {
      return work::enrolled_already(session, c, person);
    };
    auto known = co_await run<std::optional<Enrolled>>(deadline, kReadMany, std::move(look));
    if (!known) co_return std::move(known).error();
    if (*known) co_return **std::move(known);
    auto change = [person = std::move(person)](Session& session, const Context& c) {
      return work::enrol(session, c, person);
    };
    co_return co_await run<Enrolled>(deadline, {}, std::move(change));
  }

  Task<GroupSync> sync_token_groups(Instant deadline, UserId user,
                                    std::vector<std::string> names) override {
    // Nearly always nothing changes, and this runs with every request.
    auto look = [user, names](Session& session, const Context& c) {
      return work::token_groups_same(session, c, user, names);
    };
    auto same = co_await run<std::optional<GroupSync>>(deadline, kReadMany, std::move(look));
    if (!same) co_return std::move(same).error();
    if (*same) co_return **std::move(same);
    auto change = [user = std::move(user), names = std::move(names)](Session& session,
                                                                     const Context& c) {
      return work::sync_token_groups(session, c, user, names);
    };
    co_return co_await run<GroupSync>(deadline, {}, std::move(change));
  }

  Task<> login_seen(Instant deadline, LoginSeen seen) override {
    return run<void>(deadline, {}, [seen = std::move(seen)](Session& session, const Context& c) {
      return work::login_seen(session, c, seen);
    });
  }

  Task<> open_login(Instant deadline, UserId id) override {
    return run<void>(deadline, {}, [id = std::move(id)](Session& session, const Context&) {
      return work::open_logins::open(session, id);
    });
  }

  Task<> tell(Instant deadline, std::string key, Event event) override {
    return run<void>(
        deadline, {},
        [key = std::move(key), event = std::move(event)](Session& session, const Context& c) {
          return work::add_event_once(session, c, key, event);
        });
  }

  Task<> forget_login(Instant deadline, OpenLogin login) override {
    return run<void>(deadline, {}, [login = std::move(login)](Session& session, const Context&) {
      return work::open_logins::forget(session, login);
    });
  }

  Task<std::vector<OpenLogin>> take_open_logins(Instant deadline, std::chrono::milliseconds age,
                                                std::size_t limit) override {
    return run<std::vector<OpenLogin>>(deadline, {},
                                       [age, limit](Session& session, const Context&) {
                                         return work::open_logins::take(session, age, limit);
                                       });
  }

 private:
  template <class T, class Fn>
  Task<T> run(Instant deadline, RunOptions options, Fn fn) {
    return database_.run<T>(
        deadline, options, [context = context_, fn = std::move(fn)](Session& session) -> Result<T> {
          return fn(session, *context);
        });
  }

  sql::Database& database_;
  std::shared_ptr<const Context> context_;
};

}  // namespace

std::unique_ptr<IdentityStore> make_sql_identity_store(const SqlStoreParts& parts,
                                                       SqlStoreOptions options) {
  return std::make_unique<SqlIdentityStore>(parts, std::move(options));
}

}  // namespace nb::management
