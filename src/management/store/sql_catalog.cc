#include "management/store/catalog.h"
#include "management/store/object_reader.h"
#include "management/store/row_stamp.h"
#include "management/store/run_options.h"
#include "management/store/sql_store.h"

namespace nb::management {
namespace {

using sql::Session;
using work::Context;

template <class T, class Fetch>
Result<> fill(EntityTable<T>& table, const Wanted& wanted, Fetch fetch) {
  const std::vector<std::string>* only = wanted.only ? &*wanted.only : nullptr;
  if (only != nullptr && only->empty()) return {};
  NB_LET(std::vector<T> items, fetch(only));
  table = EntityTable<T>(std::move(items));
  return {};
}

Result<std::vector<Peer>> peer_names(Session& session, const AccountId& account) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT id, name, proxy_meta_embedded FROM peers WHERE account_id = $1",
                       {account.value()}));
  std::vector<Peer> out(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    out[i].id = PeerId(rows[i].string(0));
    out[i].name = rows[i].string(1);
    out[i].proxy_embedded = rows[i].boolean(2);
  }
  return out;
}

Result<> fill_part(Session& session, work::ObjectReader& reader, AccountSnapshot& out,
                   const Wanted& wanted) {
  using Ids = work::ObjectReader::Ids;
  switch (wanted.part) {
    case Part::kUsers:
      return fill(out.users, wanted, [&](Ids ids) { return reader.users(ids); });
    case Part::kPeers:
      return fill(out.peers, wanted, [&](Ids ids) { return reader.shown_peers(ids); });
    case Part::kPeerNames:
      return fill(out.peers, wanted,
                  [&](Ids /*ids*/) { return peer_names(session, out.account.id); });
    case Part::kGroups:
      return fill(out.groups, wanted, [&](Ids ids) { return reader.groups(ids); });
    case Part::kPolicies:
      return fill(out.policies, wanted, [&](Ids ids) { return reader.policies(ids); });
    case Part::kPostureChecks:
      return fill(out.posture_checks, wanted, [&](Ids ids) { return reader.posture_checks(ids); });
    case Part::kRoutes:
      return fill(out.routes, wanted, [&](Ids ids) { return reader.routes(ids); });
    case Part::kNetworks:
      return fill(out.networks, wanted, [&](Ids ids) { return reader.networks(ids); });
    case Part::kRouters:
      return fill(out.routers, wanted, [&](Ids ids) { return reader.routers(ids); });
    case Part::kResources:
      return fill(out.resources, wanted, [&](Ids ids) { return reader.resources(ids); });
    case Part::kNameServerGroups:
      return fill(out.name_server_groups, wanted,
                  [&](Ids ids) { return reader.name_server_groups(ids); });
    case Part::kZones:
      return fill(out.zones, wanted, [&](Ids ids) { return reader.zones(ids); });
  }
  return {};
}

Result<AccountSnapshotPtr> read_parts(Session& session, const Context& context,
                                      const AccountId& account, const std::vector<Wanted>& wanted) {
  auto out = std::make_shared<AccountSnapshot>();
  NB_LET(out->account, work::account(session, context, account));
  work::ObjectReader reader(session, context, account);
  for (const Wanted& one : wanted) NB_TRY(fill_part(session, reader, *out, one));
  return AccountSnapshotPtr(std::move(out));
}

class SqlCatalog final : public Catalog {
 public:
  explicit SqlCatalog(const SqlStoreParts& parts)
      : database_(parts.database), context_(std::make_shared<Context>(parts, SqlStoreOptions{})) {}

  Task<AccountSnapshotPtr> parts(Instant deadline, AccountId account,
                                 std::vector<Wanted> wanted) override {
    return database_.run<AccountSnapshotPtr>(
        deadline, kReadMany,
        [context = context_, account = std::move(account), wanted = std::move(wanted)](
            Session& session) { return read_parts(session, *context, account, wanted); });
  }

  Task<StampedParts> parts_unless(Instant deadline, AccountId account, std::vector<Wanted> wanted,
                                  Known known) override {
    return database_.run<StampedParts>(
        deadline, kReadMany,
        [&database = database_, context = context_, account = std::move(account),
         wanted = std::move(wanted),
         known = std::move(known)](Session& session) -> Result<StampedParts> {
          StampedParts out;
          if (session.postgres()) {
            NB_LET(out.stamp, row_stamp(session, account, wanted));
          } else {
            out.stamp = database.change_mark().value_or(std::string());
          }
          if (!out.stamp.empty() && known(out.stamp)) return out;
          NB_LET(out.account, read_parts(session, *context, account, wanted));
          return out;
        });
  }

  Task<bool> has_accounts(Instant deadline) override {
    return database_.run<bool>(deadline, kRead, [](Session& session) -> Result<bool> {
      NB_LET(const sql::Rows rows, session.query("SELECT id FROM accounts LIMIT 1"));
      return !rows.empty();
    });
  }

 private:
  sql::Database& database_;
  std::shared_ptr<const Context> context_;
};

}  // namespace

std::unique_ptr<Catalog> make_sql_catalog(const SqlStoreParts& parts) {
  return std::make_unique<SqlCatalog>(parts);
}

}  // namespace nb::management
