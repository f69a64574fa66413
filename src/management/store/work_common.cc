#include "base/log_keys.h"
#include "management/store/object_reader.h"
#include "management/store/store_work.h"

#include <array>

namespace nb::management::work {

RandomFn Context::random_fn() const {
  return [this] {
    std::array<std::uint8_t, 8> bytes{};
    random.fill(bytes);
    std::uint64_t out = 0;
    for (const std::uint8_t byte : bytes) out = out << 8 | byte;
    return out;
  };
}

void Context::report(const columns::Damage& damage, std::string_view what,
                     std::string_view id) const {
  if (damage.fields == 0) return;
  metrics.damaged_fields_total.Increment(static_cast<double>(damage.fields));
  if (!is_news(what, id)) return;
  log.warn("damaged fields in the database read as empty; netbird-mgmt doctor lists them",
           {log::f("what", what), log::f("id", id), log::f(log::kCount, damage.fields)});
}

void Context::report_skipped(std::size_t rows, std::string_view what,
                             std::string_view account) const {
  if (rows == 0) return;
  metrics.skipped_rows_total.Increment(static_cast<double>(rows));
  if (!is_news(fmt::format("skipped {}", what), account)) return;
  log.warn("rows of the database left out of their account; netbird-mgmt doctor lists them",
           {log::f("what", what), log::f("id", account), log::f(log::kCount, rows)});
}

void Context::report_dangling(std::size_t count, std::string_view in,
                              std::string_view account) const {
  if (count == 0) return;
  metrics.dangling_ids_total.Increment(static_cast<double>(count));
  if (!is_news(fmt::format("dangling {}", in), account)) return;
  log.warn("ids of what is not there ignored; netbird-mgmt doctor lists them",
           {log::f("what", in), log::f("id", account), log::f(log::kCount, count)});
}

bool Context::is_news(std::string_view what, std::string_view id) const {
  constexpr std::size_t kRememberedMax = 10'000;
  const std::lock_guard lock(reported_mutex);
  return reported.size() < kRememberedMax && reported.emplace(what, id).second;
}

std::string_view now_time(const Session& session) {
  return session.postgres() ? "now()" : "datetime('now')";  // as upstream's server writes it
}

std::string_view now_ms(const Session& session) {
  return session.postgres() ? "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"
                            : "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)";
}

std::string_view now_ns(const Session& session) {
  return session.postgres()
             ? "CAST(extract(epoch FROM clock_timestamp()) * 1000000000 AS bigint)"
             : "(CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000000)";
}

std::string locking(const Session& session, std::string_view clause) {
  return session.postgres() ? fmt::format(" {}", clause) : std::string{};
}

std::string passed(const Session& session, std::string_view time, std::string_view nanoseconds) {
  return session.postgres()
             ? fmt::format(
                   "COALESCE({}, 'epoch') <= now() - ({} / 1000.0) * interval '1 "
                   "microsecond'",
                   time, nanoseconds)
             : fmt::format("COALESCE(julianday({}), 0) + {} / 86400e9 <= julianday('now')", time,
                           nanoseconds);
}

std::string json_list(const Session& session, int number) {
  return session.postgres()
             ? fmt::format("(SELECT value FROM json_array_elements_text(CAST(${} AS json)))",
                           number)
             : fmt::format("(SELECT value FROM json_each(${}))", number);
}

Result<sql::Rows> insert(Session& session, const rows::Write& row, std::string_view suffix) {
  if (suffix.empty()) return session.query(row.statement, row.values);
  return session.query(fmt::format("{} {}", row.statement, suffix), row.values);
}

Result<> add_event(Session& session, const Context& context, const Event& event) {
  return add_event_once(session, context, context.ids.next(), event);
}

Result<> add_event_once(Session& session, const Context& context, const std::string& key,
                        const Event& event) {
  if (!context.options.keep_events) return {};
  NB_TRY(session.require_full_durability());
  NB_TRY(session.exec(
      "INSERT INTO nb_event_outbox (key, event) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING",
      {key, columns::event(event)}));
  return {};
}

Result<Account> account(Session& session, const Context& context, const AccountId& id) {
  columns::Damage damage;
  return read_account(session, context, id, damage);
}

Result<Account> read_account(Session& session, const Context& context, const AccountId& id,
                             columns::Damage& damage) {
  static const std::string kText =
      fmt::format("SELECT {} FROM accounts a WHERE a.id = $1", rows::account_columns());
  NB_LET(const sql::Rows rows, session.query(kText, {id.value()}));
  if (rows.empty()) return fail(Code::kNotFound, "account not found: {}", id.value());
  sql::RowReader reader(rows[0]);
  Account out = rows::read_account(reader, damage);
  context.report(damage, "account", id.value());
  return out;
}

Result<> require_network(const AccountNetwork& network, const AccountId& account) {
  if (network.net.is_set()) return {};
  return fail(Code::kInternal, "the network of account {} is damaged; see netbird-mgmt doctor",
              account.value());
}

Result<Account> first_account(Session& session, const Context& context) {
  static const std::string kText = fmt::format(
      "SELECT {} FROM accounts a ORDER BY a.created_at, a.id LIMIT 1", rows::account_columns());
  NB_LET(const sql::Rows rows, session.query(kText));
  if (rows.empty()) return fail(Code::kNotFound, "the database holds no account");
  columns::Damage damage;
  sql::RowReader reader(rows[0]);
  Account out = rows::read_account(reader, damage);
  context.report(damage, "account", out.id.value());
  return out;
}

namespace {

/// Of the account in an expression.
std::string files_wanted(std::string_view account) {
  return fmt::format(
      "EXISTS (SELECT 1 FROM posture_checks c WHERE c.account_id = {} AND c.checks LIKE "
      "'%ProcessCheck%')",
      account);
}

/// `first`: columns before those of the view, each with a comma.
std::string peer_query(std::string_view where, std::string_view lock, std::string_view first = {}) {
  // The account columns come last: their reader is the one that may grow.
  return fmt::format(
      "SELECT {}{}, {}, {} "
      "FROM peers p JOIN accounts a ON a.id = p.account_id LEFT JOIN users u ON u.id = p.user_id "
      "WHERE {}{}",
      first, rows::peer_columns(), kOwnerBlocked, rows::account_columns(), where, lock);
}

PeerView read_view(const Context& context, sql::RowReader& reader) {
  columns::Damage damage;
  PeerView view;
  view.peer = rows::read_peer(reader, damage);
  view.owner_blocked = reader.boolean();
  Account owner = rows::read_account(reader, damage);
  view.settings = std::move(owner.settings);
  view.network = std::move(owner.network);
  view.serial = owner.serial;
  context.report(damage, "peer", view.peer.id.value());
  return view;
}

Error not_registered() {
  return fail(Code::kNotFound, "peer is not registered");
}

Result<PeerView> read_view(const Context& context, const sql::Rows& rows) {
  if (rows.empty()) return not_registered();
  sql::RowReader reader(rows[0]);
  return read_view(context, reader);
}

}  // namespace

Result<AccountId> account_of_peer(Session& session, const Context& /*context*/,
                                  const PeerKey& key) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT account_id FROM peers WHERE key = $1", {key.value()}));
  if (rows.empty()) return fail(Code::kNotFound, "account not found: index lookup failed");
  return AccountId(rows[0].string(0));
}

Result<PeerView> peer_by_key(Session& session, const Context& context, const PeerKey& key) {
  static const std::string kText = peer_query("p.key = $1", "");
  NB_LET(const sql::Rows rows, session.query(kText, {key.value()}));
  return read_view(context, rows);
}

Result<PeerView> peer_by_key_locked(Session& session, const Context& context, const PeerKey& key) {
  static const std::string kLocked = peer_query("p.key = $1", " FOR UPDATE OF p");
  if (!session.postgres()) return peer_by_key(session, context, key);  // one writer: locked anyway
  NB_LET(const sql::Rows rows, session.query(kLocked, {key.value()}));
  return read_view(context, rows);
}

Result<PeerView> peer_by_id(Session& session, const Context& context, const AccountId& account_id,
                            const PeerId& id) {
  static const std::string kText = peer_query("p.id = $1 AND p.account_id = $2", "");
  NB_LET(const sql::Rows rows, session.query(kText, {id.value(), account_id.value()}));
  return read_view(context, rows);
}

Result<ReloggedIn> peer_at_login(Session& session, const Context& context, const PeerKey& key) {
  static const std::string kText = peer_query("p.key = $1", "", files_wanted("a.id") + ", ");
  NB_LET(const sql::Rows rows, session.query(kText, {key.value()}));
  if (rows.empty()) return not_registered();
  sql::RowReader reader(rows[0]);
  ReloggedIn out;
  out.posture_checks = reader.boolean();
  out.view = read_view(context, reader);
  return out;
}

Result<bool> looks_for_files(Session& session, const AccountId& account) {
  static const std::string kText = "SELECT " + files_wanted("$1");
  NB_LET(const sql::Rows rows, session.query(kText, {account.value()}));
  return rows[0].boolean(0);
}

Result<std::vector<Group>> groups(Session& session, const Context& context, const AccountId& id) {
  return ObjectReader(session, context, id).groups();
}

Result<> lock_user(Session& session, const UserId& id) {
  if (!session.postgres()) return {};  // one writer
  NB_TRY(session.query("SELECT 1 FROM users WHERE id = $1 FOR NO KEY UPDATE", {id.value()}));
  return {};
}

Event peer_event(const Context& context, Activity activity, std::string initiator, const Peer& peer,
                 const AccountSettings& settings) {
  Event event;
  event.at = context.clock.wall();
  event.activity = activity;
  event.initiator_id = std::move(initiator);
  event.target_id = peer.id.value();
  event.account_id = peer.account_id;
  std::string created = peer.created_at ? sql::format_time(*peer.created_at) : std::string{};
  if (!created.empty()) {  // RFC 3339, as upstream's events have it
    created.at(10) = 'T';
    created = created.substr(0, created.find('+')) + "Z";
  }
  const std::string& domain =
      settings.dns_domain.empty() ? context.options.dns_domain : settings.dns_domain;
  event.meta = {{"created_at", created},
                {"fqdn", peer.fqdn(domain)},
                {"ip", peer.ip.to_string()},
                {"ipv6", peer.ipv6.to_string()},
                {"location_city_name", peer.location.city_name},
                {"location_connection_ip", peer.location.connection_ip.to_string()},
                {"location_country_code", peer.location.country_code},
                {"location_geo_name_id", static_cast<std::int64_t>(peer.location.geo_name_id)},
                {"name", peer.name}};
  return event;
}

}  // namespace nb::management::work
