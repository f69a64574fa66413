// Verbs about users and second factors: admin user …, admin mfa … (contract/signal-relay-ops.md
// §5.6). They work on the stores; running servers see the outcome at their next look.
#include "base/metrics.h"
#include "base/text.h"
#include "cmd/mgmt_admin.h"
#include "cmd/mgmt_core.h"
#include "cmd/mgmt_idp.h"
#include "cmd/mgmt_settings.h"
#include "management/app/identity_provider.h"
#include "management/store/edits/accounts.h"
#include "management/store/edits/sql_edits.h"
#include "management/store/maintenance.h"

#include <fmt/format.h>

#include <functional>
#include <memory>
#include <utility>

namespace nb::cmd {
namespace {

using config::Option;
using namespace management;
using namespace std::chrono_literals;

constexpr auto kStep = 30s;
constexpr auto kWait = 10s;  // for a database that is not there yet
constexpr const char* kInitiator = "cli";

struct UserFlags {
  std::string email;
  std::string user_id;
};
struct PasswordFlags {
  Secret password;
  std::string password_file;
};

constexpr Option<UserFlags> kUser[] = {
    {.flag = "email", .env = "-", .member = &UserFlags::email, .help = "mail address of the user"},
    {.flag = "user-id", .env = "-", .member = &UserFlags::user_id, .help = "or the id"},
};
constexpr Option<PasswordFlags> kPassword[] = {
    {.flag = "password",
     .env = "-",
     .member = &PasswordFlags::password,
     .help = "the new password; others see it while this runs, --password-file is better"},
    {.flag = "password-file",
     .env = "-",
     .member = &PasswordFlags::password_file,
     .help = "file with the new password; - reads it from standard input"},
};

Result<> need_embedded_idp(const VerbCall& call) {
  if (call.config.embedded_idp.enabled) return {};
  return fail(Code::kFailedPrecondition,
              "users are kept by another identity provider (EmbeddedIdP is off)");
}

/// A verb on the provider of the embedded accounts.
using IdpWork = std::function<Result<>(MgmtCore&, MgmtIdp&)>;
Result<> with_idp(MgmtCore& core, const VerbCall& call, const IdpWork& work) {
  NB_TRY(need_embedded_idp(call));
  NB_TRY(apply_embedded_idp(call.config));
  MetricRegistry registry;
  NB_LET(const auto idp, MgmtIdp::open(call.config, core, {}, kWait, registry, call.log));
  return work(core, *idp);
}

Result<IdpUser> find_user(MgmtCore& core, MgmtIdp& idp, const UserFlags& flags) {
  if (flags.email.empty() == flags.user_id.empty())
    return fail(Code::kInvalidArgument, "give exactly one of --email and --user-id");
  const Instant deadline = core.clock().now() + kStep;
  if (!flags.email.empty()) {
    NB_LET(auto found, MgmtCore::wait(idp.provider().find_user_by_email(deadline, flags.email)));
    if (!found) return fail(Code::kNotFound, "no local user has this mail address");
    return *std::move(found);
  }
  UserId id(flags.user_id);
  if (!decode_subject(flags.user_id))
    id = encode_subject({flags.user_id, std::string(kLocalConnector)});
  return MgmtCore::wait(idp.provider().find_user(deadline, std::move(id)));
}

Result<Secret> new_password(const PasswordFlags& flags) {
  if (flags.password.empty() == flags.password_file.empty())
    return fail(Code::kInvalidArgument, "give exactly one of --password and --password-file");
  Secret password = flags.password;
  if (!flags.password_file.empty()) {
    NB_LET(std::string text, read_secret_file("--password-file", flags.password_file));
    password = Secret(std::move(text));
  }
  NB_TRY(check_password(password, PasswordRule::kComplex));
  return password;
}

Result<> change_password(MgmtCore& core, MgmtIdp& idp, const UserFlags& who,
                         const PasswordFlags& flags) {
  NB_LET(Secret password, new_password(flags));
  NB_LET(const IdpUser user, find_user(core, idp, who));
  NB_TRY(MgmtCore::wait(
      idp.provider().set_password(core.clock().now() + kStep, user.id, std::move(password))));
  fmt::print("Password changed for user {} ({})\n", escape_control(user.email), user.id.value());
  return {};
}

Result<> reset_mfa(MgmtCore& core, MgmtIdp& own, const UserFlags& who) {
  NB_LET(const IdpUser user, find_user(core, own, who));
  const auto subject = decode_subject(user.id.value());
  const std::string raw = subject ? subject->user_id : user.id.value();
  NB_LET(const bool enrolled,
         idp::has_second_factor(own.database(), raw, core.clock().now() + kStep));
  NB_TRY(MgmtCore::wait(own.provider().reset_mfa(core.clock().now() + kStep, user.id)));
  const std::string name = fmt::format("user {} ({})", escape_control(user.email), user.id.value());
  if (!enrolled)
    fmt::print("Nothing was enrolled for {}\n", name);
  else
    fmt::print("MFA reset for {}\n", name);
  return {};
}

/// Second factors are a setting of the account; with several accounts nobody could say whose.
Result<Account> only_account(MgmtCore& core) {
  NB_LET(const std::int64_t count, count_accounts(core.database(), core.clock().now() + kStep));
  if (count != 1)
    return fail(Code::kFailedPrecondition, "exactly one account is needed, there are {}", count);
  return MgmtCore::wait(core.store().first_account(core.clock().now() + kStep));
}

Result<> set_mfa(MgmtCore& core, const VerbCall& call, bool on) {
  NB_TRY(need_embedded_idp(call));
  NB_LET(const Account account, only_account(core));
  const SqlStoreParts parts{.database = core.database(),
                            .cipher = core.cipher(),
                            .random = core.random(),
                            .clock = core.clock(),
                            .log = call.log};
  const auto edits = make_sql_edits(parts, sql_store_options(call.config));
  UpdateSettings change;
  change.draft.values = account.settings;
  change.draft.local_mfa_enabled = on;
  change.draft.has_extra = true;
  Actor actor{.account = account.id, .user = UserId(kInitiator), .role = "owner"};
  const auto done =
      MgmtCore::wait(edits->edit(core.clock().now() + kStep, std::move(actor), std::move(change)));
  if (!done) return done.error();
  fmt::print("MFA {}\n", on ? "enabled" : "disabled");
  return {};
}

/// Both clients ask the account's setting at each login, so that they cannot differ from it.
Result<> show_mfa(MgmtCore& core) {
  NB_LET(const Account account, only_account(core));
  const char* const state = account.settings.local_mfa_enabled ? "enabled" : "disabled";
  fmt::print("Account setting: {}\nIdentity provider clients: {}\n", state, state);
  return {};
}

}  // namespace

std::vector<VerbPlan> user_verbs() {
  const auto who = std::make_shared<UserFlags>();
  const auto reset = std::make_shared<UserFlags>();
  const auto password = std::make_shared<PasswordFlags>();
  std::vector<VerbPlan> out;
  out.push_back({.path = "admin user change-password",
                 .aliases = {"set-password"},
                 .help = "give a local user another password and end his logins",
                 .add_rows =
                     [who, password](config::Table& table) {
                       table.section("The user").add(kUser, *who).add(kPassword, *password);
                     },
                 .run = with_core([who, password](MgmtCore& core, const VerbCall& call) {
                   return with_idp(core, call, [&](MgmtCore& c, MgmtIdp& idp) {
                     return change_password(c, idp, *who, *password);
                   });
                 })});
  out.push_back(
      {.path = "admin user reset-mfa",
       .help = "forget a local user's second factors and end his logins",
       .add_rows = [reset](config::Table& table) { table.section("The user").add(kUser, *reset); },
       .run = with_core([reset](MgmtCore& core, const VerbCall& call) {
         return with_idp(core, call,
                         [&](MgmtCore& c, MgmtIdp& idp) { return reset_mfa(c, idp, *reset); });
       })});
  out.push_back({.path = "admin mfa enable",
                 .help = "local users need a second factor",
                 .run = with_core([](MgmtCore& core, const VerbCall& call) {
                   return set_mfa(core, call, true);
                 })});
  out.push_back({.path = "admin mfa disable",
                 .help = "local users need no second factor",
                 .run = with_core([](MgmtCore& core, const VerbCall& call) {
                   return set_mfa(core, call, false);
                 })});
  out.push_back({.path = "admin mfa status",
                 .help = "whether local users need a second factor",
                 .run = with_core([](MgmtCore& core, const VerbCall&) { return show_mfa(core); })});
  return out;
}

}  // namespace nb::cmd
