#include "management/store/change_log.h"

#include "management/store/object_reader.h"

#include <boost/json.hpp>

#include <array>
#include <vector>

namespace nb::management::work {
namespace {

/// More than this in one transaction is cheaper to read as a whole account.
constexpr std::size_t kObjectsMax = 2'000;
/// The same for everything since a snapshot.
constexpr std::size_t kRowsMax = 5'000;

Result<std::uint64_t> raise(Session& session, const AccountId& id, const std::string& objects) {
  NB_TRY(session.require_full_durability());  // a serial that agents have seen is never given again
  constexpr std::string_view kRaise =
      "UPDATE accounts SET network_serial = COALESCE(network_serial, 0) + 1 WHERE id = $1 "
      "RETURNING network_serial";
  if (session.postgres() && !objects.empty()) {
    // One statement: the account's row is hot, and locked from here to the commit.
    static const std::string kText = fmt::format(
        "WITH bumped AS ({}), logged AS (INSERT INTO nb_changes (account_id, serial, kind, "
        "object_id, at) SELECT CAST($1 AS text), b.network_serial, CAST(c.value->>0 AS integer), "
        "c.value->>1, {} FROM bumped b, json_array_elements(CAST($2 AS json)) c) SELECT "
        "network_serial FROM bumped",
        kRaise, now_ms(session));
    NB_LET(const sql::Rows rows, session.query(kText, {id.value(), objects}));
    if (rows.empty()) return fail(Code::kNotFound, "account not found: {}", id.value());
    return static_cast<std::uint64_t>(rows[0].integer(0));
  }
  NB_LET(const sql::Rows rows, session.query(kRaise, {id.value()}));
  if (rows.empty()) return fail(Code::kNotFound, "account not found: {}", id.value());
  const std::int64_t serial = rows[0].integer(0);
  if (!objects.empty()) {
    static const std::string kText = fmt::format(
        "INSERT INTO nb_changes (account_id, serial, kind, object_id, at) SELECT $1, $2, "
        "json_extract(c.value, '$[0]'), json_extract(c.value, '$[1]'), {} FROM json_each($3) c",
        now_ms(session));
    NB_TRY(session.exec(kText, {id.value(), serial, objects}));
  }
  return static_cast<std::uint64_t>(serial);
}

/// Ids by kind, or nothing if the log does not describe every serial.
using Logged = std::array<std::vector<std::string>, kKindMax + 1>;

Result<std::optional<Logged>> logged_since(Session& session, const AccountId& id,
                                           std::uint64_t since, std::uint64_t now) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT serial, kind, object_id FROM nb_changes WHERE account_id = $1 AND "
                       "serial > $2 ORDER BY serial LIMIT $3",
                       {id.value(), since, static_cast<std::int64_t>(kRowsMax + 1)}));
  if (rows.size() > kRowsMax) return std::optional<Logged>();
  Logged out;
  std::uint64_t described = since;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto serial = static_cast<std::uint64_t>(rows[i].integer(0));
    const std::int64_t kind = rows[i].integer(1);
    if (serial > described + 1 || kind < 0 || kind > kKindMax) return std::optional<Logged>();
    described = serial;
    out.at(static_cast<std::size_t>(kind)).push_back(rows[i].string(2));
  }
  if (described != now) return std::optional<Logged>();
  for (auto& ids : out) {
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  }
  return std::optional(std::move(out));
}

/// What was asked for and is not there (any more) is gone.
template <class T, class Read>
Result<> load(const Logged& logged, Kind kind, EntityChanges<T>& out, Read read) {
  const auto& ids = logged.at(static_cast<std::size_t>(kind));
  if (ids.empty()) return {};
  NB_LET(std::vector<T> found, read(&ids));
  std::set<std::string_view> wanted(ids.begin(), ids.end());
  for (T& item : found) {
    wanted.erase(item.id.value());
    out.upserts.push_back(std::make_shared<const T>(std::move(item)));
  }
  for (const std::string_view id : wanted) out.removed.emplace_back(std::string(id));
  return {};
}

}  // namespace

std::string Changes::json() const {
  boost::json::array out;
  out.reserve(objects_.size());
  for (const auto& [kind, id] : objects_) out.push_back(boost::json::array{kind, id});
  return boost::json::serialize(out);
}

Result<> bump_undescribed(Session& session, const std::set<std::string>& accounts) {
  for (const std::string& account : accounts)
    NB_TRY(session.exec(
        "UPDATE accounts SET network_serial = COALESCE(network_serial, 0) + 1 WHERE id = $1",
        {account}));
  return {};
}

Result<std::uint64_t> bump_serial(Session& session, const Context& context,
                                  const Changes& changes) {
  const AccountId& id = changes.account();
  const bool described = !changes.empty() && changes.size() <= kObjectsMax;
  NB_LET(const std::uint64_t serial,
         raise(session, id, described ? changes.json() : std::string{}));
  if (context.options.announce && context.options.announce())
    NB_TRY(session.notify(kAccountChannel, fmt::format("{} {}", id.value(), serial)));
  return serial;
}

Result<std::uint64_t> bump_serial(Session& session, const Context& context, const AccountId& id) {
  return bump_serial(session, context, Changes(id));
}

Result<std::optional<SnapshotDelta>> changes_since(Session& session, const Context& context,
                                                   const AccountId& account_id,
                                                   std::uint64_t since) {
  SnapshotDelta out;
  NB_LET(out.account, account(session, context, account_id));
  NB_TRY(require_network(out.account.network, account_id));
  if (out.account.serial == since) return std::optional(std::move(out));
  if (out.account.serial < since) return std::optional<SnapshotDelta>();  // a restored database
  NB_LET(const auto logged, logged_since(session, account_id, since, out.account.serial));
  if (!logged) return std::optional<SnapshotDelta>();
  ObjectReader reader(session, context, account_id);
  using Ids = ObjectReader::Ids;
  const auto take = [&](Kind kind, auto& changes, auto member) {
    return load(*logged, kind, changes, [&](Ids ids) { return (reader.*member)(ids); });
  };
  NB_TRY(take(Kind::kUser, out.users, &ObjectReader::users));
  NB_TRY(take(Kind::kPeer, out.peers, &ObjectReader::peers));
  NB_TRY(take(Kind::kGroup, out.groups, &ObjectReader::groups));
  NB_TRY(take(Kind::kPolicy, out.policies, &ObjectReader::policies));
  NB_TRY(take(Kind::kPostureCheck, out.posture_checks, &ObjectReader::posture_checks));
  NB_TRY(take(Kind::kRoute, out.routes, &ObjectReader::routes));
  NB_TRY(take(Kind::kNetwork, out.networks, &ObjectReader::networks));
  NB_TRY(take(Kind::kRouter, out.routers, &ObjectReader::routers));
  NB_TRY(take(Kind::kResource, out.resources, &ObjectReader::resources));
  NB_TRY(take(Kind::kNameServerGroup, out.name_server_groups, &ObjectReader::name_server_groups));
  NB_TRY(take(Kind::kZone, out.zones, &ObjectReader::zones));
  NB_TRY(take(Kind::kService, out.services, &ObjectReader::services));
  NB_TRY(take(Kind::kProxyDomain, out.proxy_domains, &ObjectReader::proxy_domains));
  return std::optional(std::move(out));
}

Result<std::size_t> prune_changes(Session& session, std::chrono::milliseconds age,
                                  std::size_t limit) {
  // Whole rows by their key: a serial that loses one row only must not look described. Rows of one
  // serial are written at one moment, so `at` takes them together but for the limit's edge, where
  // the smallest serials of an account go first and nobody starts from inside one.
  const std::string text = fmt::format(
      "DELETE FROM nb_changes WHERE (account_id, serial) IN (SELECT account_id, serial FROM "
      "nb_changes WHERE at < {} - CAST($1 AS bigint) ORDER BY at LIMIT $2)",
      now_ms(session));
  NB_LET(const std::int64_t count, session.exec(text, {static_cast<std::int64_t>(age.count()),
                                                       static_cast<std::int64_t>(limit)}));
  return static_cast<std::size_t>(count);
}

}  // namespace nb::management::work
