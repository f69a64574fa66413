#include "management/store/dangling_ids.h"
#include "management/store/object_reader.h"
#include "management/store/store_work.h"
#include "management/store/work_identity.h"

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
Result<> take(EntityTable<T>& table, Result<std::vector<T>> items) {
  if (!items) return std::move(items).error();
  table = EntityTable<T>(*std::move(items));
  return {};
}

Result<std::vector<std::string>> ids_of(Session& session, const char* text,
                                        std::initializer_list<sql::Param> values) {
  NB_LET(const sql::Rows rows, session.query(text, values));
  return read_all<std::string>(rows, [](sql::RowReader& row) { return row.string(); });
}

}  // namespace

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
  auto out = std::make_shared<AccountSnapshot>();
  // First: in one snapshot of the database the order does not matter, but a reader should see that
  // data is never older than the serial.
  NB_LET(out->account, account(session, context, id));
  NB_TRY(require_network(out->account.network, id));
  ObjectReader reader(session, context, id);
  NB_TRY(take(out->users, reader.users()));
  NB_TRY(take(out->peers, reader.peers()));
  NB_TRY(take(out->groups, reader.groups()));
  NB_TRY(take(out->policies, reader.policies()));
  NB_TRY(take(out->posture_checks, reader.posture_checks()));
  NB_TRY(take(out->routes, reader.routes()));
  NB_TRY(take(out->networks, reader.networks()));
  NB_TRY(take(out->routers, reader.routers()));
  NB_TRY(take(out->resources, reader.resources()));
  NB_TRY(take(out->name_server_groups, reader.name_server_groups()));
  NB_TRY(take(out->zones, reader.zones()));
  NB_TRY(take(out->services, reader.services()));
  NB_TRY(take(out->proxy_domains, reader.proxy_domains()));
  out->skipped_rows = reader.skipped();
  for (const DanglingIds& found : dangling_ids(*out))
    context.report_dangling(found.count, found.in, id.value());
  return AccountSnapshotPtr(std::move(out));
}

Result<AccountSnapshotPtr> posture_snapshot(Session& session, const Context& context,
                                            const AccountId& id, const PeerId& peer) {
  auto out = std::make_shared<AccountSnapshot>();
  NB_LET(out->account, account(session, context, id));
  ObjectReader reader(session, context, id);
  const std::vector<std::string> peers{peer.value()};
  NB_TRY(take(out->peers, reader.peers(&peers)));
  NB_LET(const auto groups,
         ids_of(session,
                "SELECT g.id FROM groups g JOIN group_peers m ON m.group_id = g.id AND m.peer_id = "
                "$2 WHERE g.account_id = $1",
                {id.value(), peer.value()}));
  std::vector<Group> memberships;
  for (const std::string& group : groups) {
    Group& membership = memberships.emplace_back();
    membership.id = GroupId(group);
    membership.account_id = id;
    membership.peers = {peer};
  }
  out->groups = EntityTable<Group>(std::move(memberships));
  NB_LET(const auto policies, ids_of(session,
                                     "SELECT o.id FROM policies o WHERE o.account_id = $1 AND "
                                     "COALESCE(o.source_posture_checks, '') NOT IN ('', '[]', "
                                     "'null')",
                                     {id.value()}));
  NB_TRY(take(out->policies, reader.policies(&policies)));
  NB_TRY(take(out->posture_checks, reader.posture_checks()));
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
