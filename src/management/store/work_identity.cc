#include "management/store/work_identity.h"

#include "base/text.h"
#include "management/store/change_log.h"
#include "management/store/ipv6_change.h"
#include "management/store/open_logins.h"
#include "management/store/range_change.h"

namespace nb::management::work {
namespace {

KnownUser read_known(const Context& context, sql::RowReader& row) {
  columns::Damage damage;
  KnownUser out;
  out.user = rows::read_user(row, context.codec, damage);
  out.account = rows::read_account(row, damage);
  context.report(damage, "user", out.user.id.value());
  return out;
}

std::string known_columns() {
  return fmt::format("{}, {}", rows::user_columns(), rows::account_columns());
}

User new_member(const Context& context, const Account& account, const Enrolment& person) {
  User user;
  user.id = person.user;
  user.account_id = account.id;
  user.role = kRoleUser;
  user.issued = kIssuedApi;
  user.created_at = context.clock.wall();
  user.name = person.name;
  user.email = person.email;
  user.blocked = user.pending_approval = account.settings.extra_user_approval_required;
  return user;
}

Result<Enrolled> join(Session& session, const Context& context, Account account,
                      const Enrolment& person) {
  Enrolled out{.known = {new_member(context, account, person), std::move(account)},
               .how = Enrolled::How::kJoined};
  const User& user = out.known.user;
  NB_TRY(insert(session, rows::insert_user(user, context.codec)));
  Event event;
  event.at = context.clock.wall();
  event.activity = Activity::kUserJoined;
  event.initiator_id = user.id.value();
  event.target_id = user.id.value();
  event.account_id = user.account_id;
  if (user.pending_approval) event.meta = {{"pending_approval", true}};
  NB_TRY(add_event(session, context, event));
  // Snapshots hold users, and a peer that this one adds later does not name him.
  Changes changes(user.account_id);
  changes.touched(user.id);
  NB_LET(out.serial, bump_serial(session, context, changes));
  return out;
}

Result<Enrolled> found(Session& session, const Context& context, const Enrolment& person) {
  NewAccountOptions options;
  options.owner = person.user;
  options.owner_name = person.name;
  options.owner_email = person.email;
  options.domain = person.private_domain;
  options.domain_category = person.private_domain.empty() ? "" : "private";
  options.is_domain_primary = !person.private_domain.empty();
  options.default_policy = person.default_policy;
  const NewAccount fresh = new_account(
      std::move(options), [&context] { return context.ids.next(); }, context.random_fn(),
      context.clock.wall());
  NB_TRY(store_account(session, context, fresh));
  NB_LET(KnownUser known, known_user(session, context, person.user));
  return Enrolled{.known = std::move(known), .how = Enrolled::How::kFounded};
}

/// The account whose people are those of a private domain, if there is one.
Result<std::optional<Account>> primary_of(Session& session, const std::string& domain) {
  static const std::string kByDomain = fmt::format(
      "SELECT {} FROM accounts a WHERE a.is_domain_primary_account AND a.domain_category = "
      "'private' AND lower(a.domain) = lower($1) ORDER BY a.created_at, a.id LIMIT 1",
      rows::account_columns());
  NB_LET(const sql::Rows rows, session.query(kByDomain, {domain}));
  if (rows.empty()) return std::optional<Account>{};
  columns::Damage damage;
  sql::RowReader reader(rows[0]);
  return std::optional(rows::read_account(reader, damage));
}

/// The account that a person without one belongs to, if it exists.
Result<std::optional<Account>> home_of(Session& session, const Context& context,
                                       const Enrolment& person) {
  if (person.single_account) {
    NB_LET(const sql::Rows count, session.query("SELECT COUNT(*) FROM accounts"));
    if (count[0].integer(0) == 1) {
      NB_LET(Account only, first_account(session, context));
      return std::optional(std::move(only));
    }
  }
  if (person.private_domain.empty()) return std::optional<Account>{};
  return primary_of(session, person.private_domain);
}

/// Whether a known user's account becomes the one that the domain's people join: nobody else's is,
/// and it stands for no other domain. One of another name is replaced only for those who administer
/// the account.
Result<bool> may_adopt(Session& session, const KnownUser& known, const Enrolment& person) {
  const std::string& domain = person.private_domain;
  if (person.single_account || domain.empty()) return false;
  const Account& account = known.account;
  const bool same = equals_ignore_case(account.domain, domain);
  const bool is_private = account.domain_category == "private";
  if (is_private && (!same || account.is_domain_primary)) return false;
  const bool administers = known.user.role == kRoleOwner || known.user.role == kRoleAdmin;
  if (!same && !account.domain.empty() && !administers) return false;
  NB_LET(const std::optional<Account> primary, primary_of(session, domain));
  return !primary.has_value();
}

Result<KnownUser> adopt(Session& session, const Context& context, const KnownUser& known,
                        const std::string& domain) {
  NB_TRY(session.exec(
      "UPDATE accounts SET domain = $1, domain_category = 'private', is_domain_primary_account = "
      "TRUE WHERE id = $2",
      {domain, known.account.id.value()}));
  return known_user(session, context, known.user.id);
}

struct NamedGroup {
  GroupId id;
  std::string name;
  bool from_token = false;
};

/// Groups that a token names and groups that its user has. `lock` for who is going to write them
/// into the user's row: nobody deletes one meanwhile.
Result<std::vector<NamedGroup>> named_groups(Session& session, const User& user,
                                             const std::vector<std::string>& names,
                                             std::string_view lock) {
  const std::string text = fmt::format(
      "SELECT id, name, issued FROM groups WHERE account_id = $1 AND (name IN {} OR id IN {}) "
      "ORDER BY id{}",
      json_list(session, 2), json_list(session, 3), lock);
  NB_LET(const sql::Rows rows,
         session.query(text, {user.account_id.value(), columns::strings(names),
                              columns::ids(user.auto_groups)}));
  std::vector<NamedGroup> out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.push_back({GroupId(rows[i].string(0)), rows[i].string(1), rows[i].text(2) == kIssuedJwt});
  return out;
}

bool holds(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// What the user's auto groups become, and which names need a group of their own first.
struct GroupPlan {
  std::vector<GroupId> keep;
  std::vector<GroupId> add;
  std::vector<GroupId> drop;
  std::vector<std::string> make;
  bool gone = false;  // one of the user's groups is: left behind by a server that does not look

  [[nodiscard]] bool empty() const { return add.empty() && drop.empty() && make.empty() && !gone; }
};

GroupPlan plan_groups(const std::vector<GroupId>& current, const std::vector<NamedGroup>& present,
                      const std::vector<std::string>& names) {
  GroupPlan plan;
  for (const GroupId& id : current) {
    const auto it = std::find_if(present.begin(), present.end(),
                                 [&](const NamedGroup& group) { return group.id == id; });
    if (it == present.end()) {
      plan.gone = true;
      continue;
    }
    const bool dropped = it->from_token && !holds(names, it->name);
    (dropped ? plan.drop : plan.keep).push_back(id);
  }
  for (const std::string& name : names) {
    bool taken = false;  // by a group of another origin, which tokens do not give
    const NamedGroup* mine = nullptr;
    for (const NamedGroup& group : present) {
      if (group.name != name) continue;
      if (group.from_token && mine == nullptr) mine = &group;
      taken = true;
    }
    if (mine == nullptr) {
      if (!taken) plan.make.push_back(name);
      continue;
    }
    if (std::find(current.begin(), current.end(), mine->id) == current.end())
      plan.add.push_back(mine->id);
  }
  return plan;
}

/// Addresses that come and go with a group.
Result<> move_ipv6(Session& session, const Context& context, const KnownUser& known,
                   const GroupPlan& plan, Changes& changes) {
  const auto& enabled = known.account.settings.ipv6_enabled_groups;
  const auto concerned = [&](const GroupId& id) {
    return std::find(enabled.begin(), enabled.end(), id) != enabled.end();
  };
  if (std::none_of(plan.add.begin(), plan.add.end(), concerned) &&
      std::none_of(plan.drop.begin(), plan.drop.end(), concerned))
    return {};
  NB_LET(const sql::Rows rows,
         session.query("SELECT id FROM peers WHERE user_id = $1 AND account_id = $2 ORDER BY id",
                       {known.user.id.value(), known.account.id.value()}));
  std::vector<PeerId> peers;
  for (std::size_t i = 0; i < rows.size(); ++i) peers.emplace_back(rows[i].string(0));
  return reconcile_ipv6(session, context, &peers, {known.account.network.net_v6, enabled}, changes);
}

Result<> move_peers(Session& session, const Context& context, const KnownUser& known,
                    const GroupPlan& plan, Changes& changes) {
  const AccountId& account = known.account.id;
  const UserId& user = known.user.id;
  for (const GroupId& id : plan.add)
    NB_TRY(session.exec(
        "INSERT INTO group_peers (account_id, group_id, peer_id) SELECT $1, $2, p.id FROM peers p "
        "WHERE p.user_id = $3 AND p.account_id = $1 ON CONFLICT DO NOTHING",
        {account.value(), id.value(), user.value()}));
  for (const GroupId& id : plan.drop)
    NB_TRY(session.exec(
        "DELETE FROM group_peers WHERE group_id = $1 AND peer_id IN (SELECT id FROM peers WHERE "
        "user_id = $2 AND account_id = $3)",
        {id.value(), user.value(), account.value()}));
  return move_ipv6(session, context, known, plan, changes);
}

Result<> group_event(Session& session, const Context& context, const KnownUser& known,
                     const GroupId& group, Activity activity) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT name FROM groups WHERE id = $1", {group.value()}));
  Event event;
  event.at = context.clock.wall();
  event.activity = activity;
  event.initiator_id = known.user.id.value();
  event.target_id = known.user.id.value();
  event.account_id = known.account.id;
  event.meta = {{"group", rows.empty() ? std::string() : rows[0].string(0)},
                {"group_id", group.value()},
                {"is_service_user", known.user.is_service_user},
                {"user_name", known.user.service_user_name}};
  return add_event(session, context, event);
}

}  // namespace

Result<KnownUser> known_user(Session& session, const Context& context, const UserId& id) {
  static const std::string kText =
      fmt::format("SELECT {} FROM users u JOIN accounts a ON a.id = u.account_id WHERE u.id = $1",
                  known_columns());
  NB_LET(const sql::Rows rows, session.query(kText, {id.value()}));
  if (rows.empty()) return fail(Code::kNotFound, "user: {} not found", id.value());
  sql::RowReader reader(rows[0]);
  return read_known(context, reader);
}

Result<TokenHolder> token_holder(Session& session, const Context& context,
                                 const std::string& hash) {
  static const std::string kText = fmt::format(
      "SELECT t.id, t.expiration_date, t.last_used, {} FROM personal_access_tokens t JOIN users u "
      "ON u.id = t.user_id JOIN accounts a ON a.id = u.account_id WHERE t.hashed_token = $1",
      known_columns());
  NB_LET(const sql::Rows rows, session.query(kText, {hash}));
  if (rows.empty()) return fail(Code::kNotFound, "token not found");
  sql::RowReader reader(rows[0]);
  TokenHolder out;
  out.token = TokenId(reader.string());
  out.expires_at = reader.time();
  out.last_used = reader.time();
  out.owner = read_known(context, reader);
  return out;
}

Result<std::optional<Enrolled>> enrolled_already(Session& session, const Context& context,
                                                 const Enrolment& person) {
  auto known = known_user(session, context, person.user);
  if (!known && known.error().code == Code::kNotFound) return std::optional<Enrolled>{};
  if (!known) return std::move(known).error();
  NB_LET(const bool adopts, may_adopt(session, *known, person));
  if (adopts) return std::optional<Enrolled>{};
  return std::optional(Enrolled{.known = *std::move(known)});
}

Result<Enrolled> enrol(Session& session, const Context& context, const Enrolment& person) {
  // The same lock as ensure_account(): whoever makes the first account is alone.
  NB_TRY(session.lock(sql::lock_number("nb_first_account")));
  auto known = known_user(session, context, person.user);
  if (!known && known.error().code != Code::kNotFound) return std::move(known).error();
  if (known) {
    NB_LET(const bool adopts, may_adopt(session, *known, person));
    if (!adopts) return Enrolled{.known = *std::move(known)};
    NB_LET(KnownUser changed, adopt(session, context, *known, person.private_domain));
    return Enrolled{.known = std::move(changed)};
  }
  if (person.closes_login) {
    NB_TRY(open_logins::close(session, person.user));
  } else {
    NB_LET(const bool open, open_logins::is_open(session, person.user));
    if (open) return fail(Code::kUnauthenticated, "the login is being made or ended");
  }
  NB_LET(std::optional<Account> home, home_of(session, context, person));
  if (home) return join(session, context, *std::move(home), person);
  if (!person.may_found)
    return fail(Code::kFailedPrecondition, "there is no account yet: its owner has to come first");
  return found(session, context, person);
}

Result<std::optional<GroupSync>> token_groups_same(Session& session, const Context& context,
                                                   const UserId& user,
                                                   const std::vector<std::string>& names) {
  NB_LET(const KnownUser known, known_user(session, context, user));
  NB_LET(const auto present, named_groups(session, known.user, names, {}));
  const GroupPlan plan = plan_groups(known.user.auto_groups, present, names);
  if (!plan.empty()) return std::optional<GroupSync>{};
  return std::optional(GroupSync{.auto_groups = known.user.auto_groups});
}

Result<GroupSync> sync_token_groups(Session& session, const Context& context, const UserId& user,
                                    const std::vector<std::string>& names) {
  NB_LET(KnownUser known, known_user(session, context, user));
  const AccountId account = known.account.id;
  // Two first logins must not make one group twice.
  NB_TRY(session.lock(sql::lock_number("nb_token_groups:" + account.value())));
  NB_TRY(lock_user(session, user));
  NB_LET(known, known_user(session, context, user));  // as it is under the locks
  NB_LET(const auto present,
         named_groups(session, known.user, names, locking(session, "FOR KEY SHARE")));
  GroupPlan plan = plan_groups(known.user.auto_groups, present, names);
  GroupSync out{.auto_groups = known.user.auto_groups};
  if (plan.empty()) return out;
  for (const std::string& name : plan.make) {
    Group group;
    group.id = GroupId(context.ids.next());
    group.account_id = account;
    group.public_id = PublicId(context.ids.next());
    group.name = name;
    group.issued = kIssuedJwt;
    NB_TRY(insert(session, rows::insert_group(group)));
    plan.add.push_back(group.id);
  }
  out.auto_groups = plan.keep;
  out.auto_groups.insert(out.auto_groups.end(), plan.add.begin(), plan.add.end());
  out.changed = true;
  NB_TRY(session.exec("UPDATE users SET auto_groups = $1 WHERE id = $2",
                      {columns::ids(out.auto_groups), user.value()}));
  for (const GroupId& id : plan.add)
    NB_TRY(group_event(session, context, known, id, Activity::kGroupAddedToUser));
  for (const GroupId& id : plan.drop)
    NB_TRY(group_event(session, context, known, id, Activity::kGroupRemovedFromUser));
  Changes changes(account);
  changes.touched(user).touched_all(plan.add).touched_all(plan.drop);
  if (known.account.settings.groups_propagation_enabled)
    NB_TRY(move_peers(session, context, known, plan, changes));
  NB_LET(out.serial, bump_serial(session, context, changes));
  NB_TRY(require_unchanged(session, known.account));  // by which peers got addresses, or none
  return out;
}

Result<> login_seen(Session& session, const Context& context, const LoginSeen& seen) {
  NB_LET(const KnownUser known, known_user(session, context, seen.user));
  // Only what this login tells: another may write the rest at this moment.
  std::vector<std::string> changes;
  std::vector<sql::Param> values = {seen.user.value()};
  const auto set = [&](std::string_view column, sql::Param value) {
    values.push_back(std::move(value));
    changes.push_back(fmt::format("{} = ${}", column, values.size()));
  };
  const auto sealed = [&](std::string_view column, const std::string& text) {
    if (text.empty()) return;
    set(column, context.codec.seal(text, {"users", column, seen.user.value()}));
  };
  sealed("name", seen.name);
  sealed("email", seen.email);
  if (seen.last_login) set("last_login", *seen.last_login);
  if (!changes.empty())
    NB_TRY(session.exec(fmt::format("UPDATE users SET {} WHERE id = $1", fmt::join(changes, ", ")),
                        values));
  if (!seen.record_event) return {};
  Event event;
  event.at = context.clock.wall();
  event.activity = Activity::kDashboardLogin;
  event.initiator_id = seen.user.value();
  event.target_id = seen.user.value();
  event.account_id = known.account.id;
  return add_event(session, context, event);
}

}  // namespace nb::management::work
