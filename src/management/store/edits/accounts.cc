#include "management/store/edits/accounts.h"

#include "base/text.h"
#include "management/store/edits/membership.h"
#include "management/store/edits/perform.h"
#include "management/store/edits/user_sql.h"
#include "management/store/open_logins.h"
#include "management/store/range_change.h"

#include <algorithm>

namespace nb::management::work {
namespace {

Result<OnboardingFlags> read_onboarding(AccountEdit& edit) {
  NB_LET(const sql::Rows rows,
         edit.session().query("SELECT onboarding_flow_pending, signup_form_pending FROM "
                              "account_onboardings WHERE account_id = $1",
                              {edit.account_id().value()}));
  if (rows.empty()) return OnboardingFlags{};
  return OnboardingFlags{rows[0].boolean(0), rows[0].boolean(1)};
}

Result<> write_onboarding(AccountEdit& edit, const OnboardingFlags& flags) {
  NB_TRY(edit.session().exec(
      "INSERT INTO account_onboardings (account_id, onboarding_flow_pending, signup_form_pending, "
      "created_at, updated_at) VALUES ($1, $2, $3, $4, $4) ON CONFLICT (account_id) DO UPDATE SET "
      "onboarding_flow_pending = excluded.onboarding_flow_pending, signup_form_pending = "
      "excluded.signup_form_pending, updated_at = excluded.updated_at",
      {edit.account_id().value(), flags.flow_pending, flags.signup_form_pending, edit.now()}));
  return {};
}

Result<std::size_t> peer_count(AccountEdit& edit) {
  NB_LET(const sql::Rows rows,
         edit.session().query("SELECT COUNT(*) FROM peers WHERE account_id = $1",
                              {edit.account_id().value()}));
  return static_cast<std::size_t>(rows[0].integer(0));
}

Result<> check_domain(AccountEdit& edit, const AccountSettings& old, const AccountSettings& now) {
  if (now.dns_domain == old.dns_domain) return {};
  const std::string& peers =
      now.dns_domain.empty() ? edit.context().options.dns_domain : now.dns_domain;
  NB_LET(const std::vector<DnsZone> zones, edit.get_all<DnsZone>());
  for (const DnsZone& zone : zones)
    if (equals_ignore_case(zone.domain, peers))
      return fail(Code::kInvalidArgument,
                  "peer DNS domain {} conflicts with existing custom DNS zone", peers);
  return {};
}

Result<> check_groups(AccountEdit& edit, const AccountSettings& settings) {
  std::vector<GroupId> all = settings.ipv6_enabled_groups;
  all.insert(all.end(), settings.peer_expose_groups.begin(), settings.peer_expose_groups.end());
  NB_LET(const HeldGroups held, edit.hold_groups(all));
  const auto check = [&](const std::vector<GroupId>& ids, std::string_view what) -> Result<> {
    for (const GroupId& id : ids)
      if (!held.contains(id))
        return fail(Code::kInvalidArgument, "{} group {} does not exist", what, id.value());
    return {};
  };
  NB_TRY(check(settings.ipv6_enabled_groups, "IPv6 enabled"));
  return check(settings.peer_expose_groups, "peer expose");
}

/// As change_range() goes about IPv4: the peers, then the account's row, then the peers that joined
/// between the two. Who has not committed yet finds the row changed and starts again.
/// A net that stays is not written: it may be a damaged one that somebody can still repair.
Result<> change_ipv6(AccountEdit& edit, const Prefix& net, bool moved,
                     const std::vector<GroupId>& enabled) {
  NB_TRY(reconcile_ipv6(edit, nullptr, net, enabled));
  NB_TRY(edit.session().exec("UPDATE accounts SET settings_ipv6_enabled_groups = $2 WHERE id = $1",
                             {edit.account_id().value(), columns::ids(enabled)}));
  if (moved)
    NB_TRY(edit.session().exec("UPDATE accounts SET network_net_v6 = $2 WHERE id = $1",
                               {edit.account_id().value(), columns::network(net)}));
  return reconcile_ipv6(edit, nullptr, net, enabled);
}

/// New ranges become the allocated ones, and every peer's addresses fit afterwards.
Result<> apply_ranges(AccountEdit& edit, Account& account, const AccountSettings& now) {
  // Not that of effective_range(): a damaged net is replaced by the range that was wanted before.
  if (now.network_range.is_set() && now.network_range != account.network.net) {
    account.network.net = now.network_range;
    NB_TRY(change_range(edit.session(), edit.context(), account.network.net, edit.changes()));
  }
  const bool moved_v6 =
      now.network_range_v6.is_set() && now.network_range_v6 != effective_range_v6(account);
  if (moved_v6) account.network.net_v6 = now.network_range_v6;
  if (!moved_v6 && now.ipv6_enabled_groups == account.settings.ipv6_enabled_groups) return {};
  return change_ipv6(edit, account.network.net_v6, moved_v6, now.ipv6_enabled_groups);
}

/// Nobody is left to approve the peers that wait.
Result<> approve_waiting(AccountEdit& edit) {
  NB_LET(const sql::Rows rows,
         edit.session().query("UPDATE peers SET peer_status_requires_approval = FALSE WHERE "
                              "account_id = $1 AND peer_status_requires_approval RETURNING id",
                              {edit.account_id().value()}));
  for (std::size_t i = 0; i < rows.size(); ++i) edit.changes().touched(PeerId(rows[i].string(0)));
  return {};
}

Result<> propagate_all(AccountEdit& edit) {
  // A token that changes a user's groups meanwhile has done it, or finds propagation switched on.
  if (edit.session().postgres())
    NB_TRY(edit.session().query(
        "SELECT 1 FROM users WHERE account_id = $1 ORDER BY id FOR NO KEY UPDATE",
        {edit.account_id().value()}));
  NB_LET(const std::vector<User> users, edit.get_all<User>());
  for (const User& user : users)
    if (!user.auto_groups.empty())
      NB_TRY(move_user_peers(edit, user.id, {.added = user.auto_groups, .removed = {}}));
  return {};
}

Result<> apply_switches(AccountEdit& edit, const AccountSettings& old, const AccountSettings& now) {
  if (old.extra_peer_approval_enabled && !now.extra_peer_approval_enabled)
    NB_TRY(approve_waiting(edit));
  if (!old.groups_propagation_enabled && now.groups_propagation_enabled)
    NB_TRY(propagate_all(edit));
  return {};
}

Result<> write_account(AccountEdit& edit, const Account& account) {
  const rows::Write write = rows::update_account(account);
  NB_TRY(edit.session().query(write.statement, write.values));
  return {};
}

// Children before parents, as the foreign keys want it.
constexpr std::string_view kOwned[] = {
    "policy_rules WHERE policy_id IN (SELECT id FROM policies WHERE account_id = $1)",
    "policies WHERE account_id = $1",
    "group_peers WHERE group_id IN (SELECT id FROM groups WHERE account_id = $1)",
    "groups WHERE account_id = $1",
    "nb_peer_sessions WHERE account_id = $1",
    "peers WHERE account_id = $1",
    "setup_keys WHERE account_id = $1",
    "personal_access_tokens WHERE user_id IN (SELECT id FROM users WHERE account_id = $1)",
    "users WHERE account_id = $1",
    "user_invites WHERE account_id = $1",
    "routes WHERE account_id = $1",
    "name_server_groups WHERE account_id = $1",
    "records WHERE zone_id IN (SELECT id FROM zones WHERE account_id = $1)",
    "zones WHERE account_id = $1",
    "network_resources WHERE account_id = $1",
    "network_routers WHERE account_id = $1",
    "networks WHERE account_id = $1",
    "posture_checks WHERE account_id = $1",
    "targets WHERE account_id = $1",
    "services WHERE account_id = $1",
    "domains WHERE account_id = $1",
    "proxy_access_tokens WHERE account_id = $1",
    "access_log_entries WHERE account_id = $1",
    "jobs WHERE account_id = $1",
    "account_onboardings WHERE account_id = $1",
    "nb_changes WHERE account_id = $1",
    "accounts WHERE id = $1",
};

}  // namespace

Result<AccountState> perform(AccountEdit& edit, const GetAccount& /*command*/) {
  NB_LET(const Account* account, edit.account());
  NB_LET(const OnboardingFlags onboarding, read_onboarding(edit));
  return AccountState{*account, onboarding};
}

Result<AccountState> perform(AccountEdit& edit, const UpdateSettings& command) {
  NB_LET(const Account* stored, edit.account());
  const Account before = *stored;
  NB_LET(const std::size_t peers, peer_count(edit));
  NB_LET(const AccountSettings now, settings_of(command.draft, before, peers));
  // Sent back as it is shown, the list would end with every user being let in.
  if (now.jwt_allow_groups_unreadable)
    return fail(Code::kFailedPrecondition,
                "the allowed JWT groups are damaged in the database: send them anew");
  NB_TRY(check_domain(edit, before.settings, now));
  NB_TRY(check_groups(edit, now));
  AccountState out{before, {}};
  NB_TRY(apply_switches(edit, before.settings, now));
  NB_TRY(apply_ranges(edit, out.account, now));
  out.account.settings = now;
  if (concerns_peers(before.settings, now) || before.network != out.account.network)
    edit.changes().touched_account();
  for (SettingsEvent& event : settings_events(before, now))
    edit.event(event.activity, before.id.value(), std::move(event.meta));
  if (before.settings != now || before.network != out.account.network || edit.is_damaged(before.id))
    NB_TRY(write_account(edit, out.account));
  // Those, too, that joined until the account's row was ours. Later ones find it changed.
  if (before.settings.extra_peer_approval_enabled && !now.extra_peer_approval_enabled)
    NB_TRY(approve_waiting(edit));
  NB_LET(out.onboarding, read_onboarding(edit));
  if (command.draft.onboarding && *command.draft.onboarding != out.onboarding) {
    out.onboarding = *command.draft.onboarding;
    NB_TRY(write_onboarding(edit, out.onboarding));
  }
  return out;
}

Result<std::vector<UserId>> perform(AccountEdit& edit, const DeleteAccount& command) {
  if (command.id != edit.account_id())
    return fail(Code::kNotFound, "account not found: {}", command.id.value());
  NB_LET(const Account* account, edit.account());
  NB_LET(const User initiator, initiator_of(edit));
  if (initiator.role != kRoleOwner)
    return fail(Code::kPermissionDenied,
                "user is not allowed to delete account. Only account owner can delete account");
  NB_LET(const std::vector<User> users, edit.get_all<User>());
  NB_LET(const std::vector<Peer> peers, edit.get_all<Peer>());
  for (const Peer& peer : peers) edit.end_peer({peer.id, true, peer.ephemeral});
  edit.event(Activity::kAccountDeleted, account->id.value(),
             {{"account_id", account->id.value()}, {"domain", account->domain}});
  for (const std::string_view rows : kOwned)
    NB_TRY(edit.session().exec(fmt::format("DELETE FROM {}", rows), {command.id.value()}));
  edit.changes() = Changes(command.id);  // no account is left to have a serial
  std::vector<UserId> out;
  for (const User& user : users)
    if (!user.is_service_user) out.push_back(user.id);
  if (command.opens_logins)
    for (const UserId& user : out) NB_TRY(open_logins::open(edit.session(), user));
  return out;
}

}  // namespace nb::management::work
