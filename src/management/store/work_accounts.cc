#include "management/store/store_work.h"

namespace nb::management::work {
namespace {

constexpr std::size_t kSerialsMax = 10'000;

template <class T, class Read>
std::vector<T> read_all(const sql::Rows& rows, Read read) {
  std::vector<T> out;
  out.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    sql::RowReader reader(rows[i]);
    out.push_back(read(reader));
  }
  return out;
}

template <class T>
void sort_by_id(std::vector<T>& items) {
  // Here and not in SQL: the database may sort text by the rules of a language.
  std::sort(items.begin(), items.end(), [](const T& a, const T& b) { return a.id < b.id; });
}

Result<std::vector<Policy>> policies(Session& session, const AccountId& id, columns::Damage& damage,
                                     std::size_t& skipped) {
  static const std::string kPolicies =
      fmt::format("SELECT {} FROM policies o WHERE o.account_id = $1", rows::policy_columns());
  static const std::string kRules = fmt::format(
      "SELECT {} FROM policy_rules r JOIN policies o ON o.id = r.policy_id WHERE "
      "o.account_id = $1",
      rows::rule_columns());
  NB_LET(const sql::Rows policy_rows, session.query(kPolicies, {id.value()}));
  NB_LET(const sql::Rows rule_rows, session.query(kRules, {id.value()}));
  auto out = read_all<Policy>(policy_rows,
                              [&](sql::RowReader& row) { return rows::read_policy(row, damage); });
  auto rules = read_all<PolicyRule>(
      rule_rows, [&](sql::RowReader& row) { return rows::read_rule(row, damage); });
  sort_by_id(out);
  sort_by_id(rules);
  for (PolicyRule& rule : rules) {
    const auto it =
        std::lower_bound(out.begin(), out.end(), rule.policy_id,
                         [](const Policy& p, const PolicyId& wanted) { return p.id < wanted; });
    if (it != out.end() && it->id == rule.policy_id)
      it->rules.push_back(std::move(rule));
    else
      ++skipped;
  }
  return out;
}

Result<> store_account(Session& session, const Context& context, const NewAccount& fresh) {
  NB_TRY(insert(session, rows::insert_account(fresh.account)));
  NB_TRY(insert(session, rows::insert_user(fresh.owner, context.codec)));
  NB_TRY(insert(session, rows::insert_group(fresh.all)));
  if (fresh.default_policy) {
    NB_TRY(insert(session, rows::insert_policy(*fresh.default_policy, true)));
    for (const PolicyRule& rule : fresh.default_policy->rules)
      NB_TRY(insert(session, rows::insert_rule(rule)));
  }
  const WallTime now = context.clock.wall();
  NB_TRY(session.exec(
      "INSERT INTO account_onboardings (account_id, onboarding_flow_pending, signup_form_pending, "
      "created_at, updated_at) VALUES ($1, $2, $3, $4, $5)",
      {fresh.account.id.value(), true, true, now, now}));
  Event event;
  event.at = now;
  event.activity = Activity::kAccountCreated;
  event.initiator_id = fresh.owner.id.value();
  event.target_id = fresh.account.id.value();
  event.account_id = fresh.account.id;
  return add_event(session, context, event);
}

}  // namespace

Result<std::pair<Account, bool>> ensure_account(Session& session, const Context& context,
                                                const NewAccount& fresh) {
  NB_TRY(session.lock(sql::lock_number("nb_first_account")));
  auto present = first_account(session, context);
  if (present) return std::pair(*std::move(present), false);
  if (present.error().code != Code::kNotFound) return std::move(present).error();
  NB_TRY(store_account(session, context, fresh));
  NB_LET(Account stored, account(session, context, fresh.account.id));
  return std::pair(std::move(stored), true);
}

Result<AccountSnapshotPtr> snapshot(Session& session, const Context& context, const AccountId& id) {
  static const std::string kUsers =
      fmt::format("SELECT {} FROM users u WHERE u.account_id = $1", rows::user_columns());
  static const std::string kPeers =
      fmt::format("SELECT {} FROM peers p WHERE p.account_id = $1", rows::peer_columns());
  auto out = std::make_shared<AccountSnapshot>();
  // First: in one snapshot of the database the order does not matter, but a reader should see that
  // data is never older than the serial.
  NB_LET(out->account, account(session, context, id));
  NB_LET(const sql::Rows users, session.query(kUsers, {id.value()}));
  NB_LET(const sql::Rows peers, session.query(kPeers, {id.value()}));
  NB_LET(auto group_list, groups(session, context, id));
  columns::Damage damage;
  NB_LET(auto policy_list, policies(session, id, damage, out->skipped_rows));
  auto peer_list =
      read_all<Peer>(peers, [&](sql::RowReader& row) { return rows::read_peer(row, damage); });
  // A peer without key or address can be nobody's neighbour.
  out->skipped_rows += std::erase_if(
      peer_list, [](const Peer& peer) { return peer.key.empty() || !peer.ip.is_v4(); });
  out->users = EntityTable<User>(read_all<User>(
      users, [&](sql::RowReader& row) { return rows::read_user(row, context.codec, damage); }));
  out->peers = EntityTable<Peer>(std::move(peer_list));
  out->groups = EntityTable<Group>(std::move(group_list));
  out->policies = EntityTable<Policy>(std::move(policy_list));
  context.report(damage, "account", id.value());
  return AccountSnapshotPtr(std::move(out));
}

Result<std::vector<AccountSerial>> serials(Session& session, const std::vector<AccountId>& ids) {
  if (ids.size() > kSerialsMax)
    return fail(Code::kInvalidArgument, "{} account ids in one query: at most {}", ids.size(),
                kSerialsMax);
  const std::string text =
      fmt::format("SELECT id, network_serial FROM accounts WHERE id IN {}", json_list(session, 1));
  NB_LET(const sql::Rows rows, session.query(text, {columns::ids(ids)}));
  return read_all<AccountSerial>(rows, [](sql::RowReader& row) {
    AccountSerial out;
    out.id = AccountId(row.string());
    out.serial = static_cast<std::uint64_t>(row.integer());
    return out;
  });
}

}  // namespace nb::management::work
