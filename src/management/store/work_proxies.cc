// Reverse proxies in the tables that upstream's servers share.
#include "management/store/work_proxies.h"

#include "management/store/edits/service_rows.h"
#include "management/store/object_reader.h"

#include <algorithm>
#include <map>

namespace nb::management::work {
namespace {

using namespace std::chrono_literals;
using sql::Param;

constexpr auto kNoteUseEvery = 60s;

Param optional_flag(const std::optional<bool>& flag) {
  return flag ? Param(*flag) : Param(nullptr);
}

Param optional_id(const std::optional<AccountId>& id) {
  return id ? Param(id->value()) : Param(nullptr);
}

ProxyToken read_token(const sql::Row& raw) {
  sql::RowReader row(raw);
  ProxyToken token;
  token.id = ProxyTokenId(row.string());
  token.name = row.string();
  token.expires_at = row.time();
  token.created_at = row.time();
  token.last_used = row.time();
  token.revoked = row.boolean();
  return token;
}

Error no_service(const ServiceId& id) {
  return fail(Code::kNotFound, "service {} not found", id.value());
}

/// Whose a cluster address is: an account's own, or everybody's. Upstream lets two proxies that
/// arrive together have one each.
Result<> check_claim(Session& session, const ProxyHello& hello) {
  if (!hello.account) return {};
  NB_LET(const sql::Rows others,
         session.query("SELECT 1 FROM proxies WHERE (cluster_address = $1 OR id = $2) AND "
                       "(account_id IS NULL OR account_id <> $3) LIMIT 1",
                       {hello.address, hello.id, hello.account->value()}));
  if (others.empty()) return {};
  return fail(Code::kAlreadyExists, "cluster address {} is already in use", hello.address);
}

Result<SignedService> with_key(Session& session, const Context& context, Service service) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT session_private_key FROM services WHERE id = $1",
                       {service.id.value()}));
  SignedService out;
  if (!rows.empty() && !rows[0].text(0).empty()) {
    NB_LET(std::string key, context.codec.open(rows[0].text(0), {"services", "session_private_key",
                                                                 service.id.value()}));
    out.private_key = Secret(std::move(key));
  }
  out.service = std::move(service);
  return out;
}

Result<std::vector<NamedGroup>> named_groups(Session& session, const Context& context,
                                             const AccountId& account,
                                             const std::vector<GroupId>& ids) {
  std::vector<NamedGroup> out;
  if (ids.empty()) return out;
  std::vector<std::string> texts;
  for (const GroupId& id : ids) texts.push_back(id.value());
  ObjectReader reader(session, context, account);
  NB_LET(const std::vector<Group> found, reader.groups(&texts));
  for (const Group& group : found) out.push_back({group.id, group.name});
  std::ranges::sort(out, {}, [](const NamedGroup& group) { return group.id.value(); });
  return out;
}

Result<std::optional<User>> user_by_id(Session& session, const Context& context, const UserId& id) {
  NB_LET(const sql::Rows rows,
         session.query(fmt::format("SELECT {} FROM users u WHERE u.id = $1", rows::user_columns()),
                       {id.value()}));
  if (rows.empty()) return std::optional<User>();
  columns::Damage damage;
  sql::RowReader reader(rows[0]);
  return std::optional<User>(rows::read_user(reader, context.codec, damage));
}

}  // namespace

// --- tokens -------------------------------------------------------------------------------------

Result<> insert_proxy_token(Session& session, const ProxyToken& token, const std::string& hash,
                            const std::optional<AccountId>& account, const std::string& creator) {
  NB_TRY(session.exec(
      "INSERT INTO proxy_access_tokens (id, name, hashed_token, account_id, expires_at, "
      "created_by, created_at, revoked) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
      {token.id.value(), token.name, hash, optional_id(account), token.expires_at, creator,
       token.created_at, false}));
  return {};
}

Result<std::vector<ProxyToken>> proxy_tokens(Session& session,
                                             const std::optional<AccountId>& account) {
  const std::string text = fmt::format(
      "SELECT id, name, expires_at, created_at, last_used, revoked FROM proxy_access_tokens{} "
      "ORDER BY created_at, id",
      account ? " WHERE account_id = $1" : "");
  std::vector<Param> values;
  if (account) values.emplace_back(account->value());
  NB_LET(const sql::Rows rows, session.query(text, values));
  std::vector<ProxyToken> out;
  for (std::size_t i = 0; i < rows.size(); ++i) out.push_back(read_token(rows[i]));
  return out;
}

Result<> revoke_proxy_token(Session& session, const ProxyTokenId& id,
                            const std::optional<AccountId>& account) {
  std::vector<Param> values;
  values.emplace_back(id.value());
  values.emplace_back(true);
  if (account) values.emplace_back(account->value());
  const std::string text =
      fmt::format("UPDATE proxy_access_tokens SET revoked = $2 WHERE id = $1{}",
                  account ? " AND account_id = $3" : "");
  NB_LET(const std::int64_t found, session.exec(text, values));
  if (found == 0) return fail(Code::kNotFound, "token not found");
  return session.notify(kProxyChannel, id.value());
}

Result<ProxyGrant> proxy_grant(Session& session, const Context& context, const std::string& hash) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT id, account_id, expires_at, revoked, last_used FROM "
                       "proxy_access_tokens WHERE hashed_token = $1",
                       {hash}));
  if (rows.empty()) return fail(Code::kNotFound, "token not found");
  ProxyGrant out;
  out.token = ProxyTokenId(rows[0].string(0));
  if (!rows[0].null(1)) out.account = AccountId(rows[0].string(1));
  out.expires_at = rows[0].time(2);
  out.revoked = rows[0].boolean(3);
  const WallTime now = context.clock.wall();
  const auto used = rows[0].time(4);
  if (out.usable_at(now) && (!used || *used + kNoteUseEvery < now))
    NB_TRY(session.exec("UPDATE proxy_access_tokens SET last_used = $2 WHERE id = $1",
                        {out.token.value(), now}));
  return out;
}

// --- streams ------------------------------------------------------------------------------------

Result<> connect_proxy(Session& session, const Context& context, const ProxyHello& hello) {
  NB_TRY(session.lock(sql::lock_number("nb_proxy_cluster:" + hello.address)));
  NB_TRY(check_claim(session, hello));
  const WallTime now = context.clock.wall();
  NB_TRY(session.exec(
      "INSERT INTO proxies (id, session_id, cluster_address, ip_address, account_id, last_seen, "
      "connected_at, disconnected_at, status, supports_custom_ports, require_subdomain, "
      "supports_crowdsec, private, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6, "
      "NULL, 'connected', $7, $8, $9, $10, $6, $6) ON CONFLICT (id) DO UPDATE SET session_id = "
      "excluded.session_id, cluster_address = excluded.cluster_address, ip_address = "
      "excluded.ip_address, account_id = excluded.account_id, last_seen = excluded.last_seen, "
      "connected_at = excluded.connected_at, disconnected_at = NULL, status = excluded.status, "
      "supports_custom_ports = excluded.supports_custom_ports, require_subdomain = "
      "excluded.require_subdomain, supports_crowdsec = excluded.supports_crowdsec, private = "
      "excluded.private, updated_at = excluded.updated_at",
      {hello.id, hello.session, hello.address, hello.ip, optional_id(hello.account), now,
       optional_flag(hello.supports_custom_ports), optional_flag(hello.require_subdomain),
       optional_flag(hello.supports_crowdsec), optional_flag(hello.is_private)}));
  return {};
}

Result<ProxyPulse> proxy_pulse(Session& session, const Context& context, const ProxyHello& hello,
                               const ProxyTokenId& token, bool heartbeat) {
  const WallTime now = context.clock.wall();
  ProxyPulse out;
  NB_LET(const sql::Rows tokens,
         session.query("SELECT revoked, expires_at FROM proxy_access_tokens WHERE id = $1",
                       {token.value()}));
  const auto ends = tokens.empty() ? std::nullopt : tokens[0].time(1);
  if (tokens.empty() || tokens[0].boolean(0) || (ends && *ends <= now)) {
    out.state = ProxyPulse::State::kTokenEnded;
    return out;
  }
  NB_LET(const sql::Rows known,
         session.query("SELECT session_id, status FROM proxies WHERE id = $1", {hello.id}));
  if (known.empty() || known[0].text(0) != hello.session) {
    out.state = known.empty() ? ProxyPulse::State::kDisconnected : ProxyPulse::State::kSuperseded;
    return out;
  }
  if (known[0].text(1) != "connected") {
    out.state = ProxyPulse::State::kDisconnected;
    return out;
  }
  if (heartbeat)
    NB_TRY(
        session.exec("UPDATE proxies SET last_seen = $3, updated_at = $3 WHERE id = $1 AND "
                     "session_id = $2 AND status = 'connected'",
                     {hello.id, hello.session, now}));
  std::vector<Param> values;
  values.emplace_back(hello.address);
  if (hello.account) values.emplace_back(hello.account->value());
  NB_LET(const sql::Rows marks,
         session.query(fmt::format("SELECT a.id, a.network_serial FROM accounts a WHERE a.id IN "
                                   "(SELECT v.account_id FROM services v WHERE v.proxy_cluster = "
                                   "$1{}) ORDER BY a.id",
                                   hello.account ? " AND v.account_id = $2" : ""),
                       values));
  for (std::size_t i = 0; i < marks.size(); ++i)
    out.marks.push_back(
        {AccountId(marks[i].string(0)), static_cast<std::uint64_t>(marks[i].integer(1))});
  return out;
}

Result<> disconnect_proxy(Session& session, const Context& context, const std::string& id,
                          const std::string& own) {
  NB_TRY(
      session.exec("UPDATE proxies SET status = 'disconnected', disconnected_at = $3, last_seen "
                   "= $3, updated_at = $3 WHERE id = $1 AND session_id = $2",
                   {id, own, context.clock.wall()}));
  return {};
}

Result<std::vector<Service>> mapped_services(Session& session, const Context& context,
                                             const std::string& address,
                                             const std::vector<AccountId>& accounts) {
  ServiceFilter filter;
  filter.condition = fmt::format(
      "v.proxy_cluster = $1 AND v.enabled AND NOT COALESCE(v.terminated, FALSE) AND v.account_id "
      "IN {}",
      json_list(session, 2));
  filter.values.emplace_back(address);
  filter.values.emplace_back(columns::ids(accounts));
  NB_LET(std::vector<Service> all, read_services(session, filter));
  std::map<std::string, std::vector<Service>> by_account;
  for (Service& service : all) by_account[service.account_id.value()].push_back(std::move(service));
  std::vector<Service> out;
  for (auto& [account, services] : by_account) {
    NB_TRY(fill_hosts(session, context, AccountId(account), services));
    std::ranges::move(services, std::back_inserter(out));
  }
  return out;
}

// --- visitors -----------------------------------------------------------------------------------

Result<SignedService> signed_service(Session& session, const Context& context,
                                     const AccountId& account, const ServiceId& id) {
  ServiceFilter filter{"v.account_id = $1 AND v.id = $2", {}};
  filter.values.emplace_back(account.value());
  filter.values.emplace_back(id.value());
  NB_LET(std::vector<Service> found, read_services(session, filter));
  if (found.empty()) return no_service(id);
  return with_key(session, context, std::move(found.front()));
}

Result<SignedService> service_of_domain(Session& session, const Context& context,
                                        const std::string& domain) {
  ServiceFilter filter{"v.domain = $1", {}};
  filter.values.emplace_back(domain);
  NB_LET(std::vector<Service> found, read_services(session, filter));
  if (found.empty()) return fail(Code::kNotFound, "service_not_found");
  return with_key(session, context, std::move(found.front()));
}

Result<ProxyVisitor> proxy_visitor(Session& session, const Context& context, const UserId& user) {
  NB_LET(std::optional<User> found, user_by_id(session, context, user));
  if (!found) return fail(Code::kNotFound, "user_not_found");
  ProxyVisitor out;
  out.user = std::move(*found);
  NB_LET(out.groups, named_groups(session, context, out.user.account_id, out.user.auto_groups));
  return out;
}

Result<TunnelVisitor> tunnel_visitor(Session& session, const Context& context,
                                     const AccountId& account, const IpAddress& ip) {
  NB_LET(const sql::Rows rows,
         session.query(fmt::format("SELECT id FROM peers WHERE account_id = $1 AND {} = $2",
                                   ip.is_v6() ? "ipv6" : "ip"),
                       {account.value(), columns::address(ip)}));
  const auto nobody = [] { return fail(Code::kNotFound, "peer_not_found"); };
  if (rows.empty()) return nobody();
  const std::vector<std::string> ids{rows[0].string(0)};
  ObjectReader reader(session, context, account);
  NB_LET(std::vector<Peer> peers, reader.peers(&ids));
  if (peers.empty()) return nobody();
  TunnelVisitor out;
  out.peer = std::move(peers.front());
  NB_LET(const sql::Rows joined,
         session.query("SELECT group_id FROM group_peers WHERE account_id = $1 AND peer_id = $2",
                       {account.value(), out.peer.id.value()}));
  std::vector<GroupId> groups;
  for (std::size_t i = 0; i < joined.size(); ++i) groups.emplace_back(joined[i].string(0));
  NB_LET(out.groups, named_groups(session, context, account, groups));
  if (out.peer.user_id.empty()) return out;
  NB_LET(out.owner, user_by_id(session, context, out.peer.user_id));
  if (out.owner && out.owner->account_id != account) out.owner.reset();
  return out;
}

// --- reports ------------------------------------------------------------------------------------

Result<> set_service_status(Session& session, const Context& context, const AccountId& account,
                            const ServiceId& id, const std::string& status,
                            bool certificate_issued) {
  std::vector<Param> values;
  values.emplace_back(account.value());
  values.emplace_back(id.value());
  values.emplace_back(status);
  if (certificate_issued) values.emplace_back(context.clock.wall());
  NB_LET(
      const std::int64_t found,
      session.exec(fmt::format("UPDATE services SET meta_status = $3{} WHERE account_id = $1 AND "
                               "id = $2",
                               certificate_issued ? ", meta_certificate_issued_at = $4" : ""),
                   values));
  if (found == 0) return no_service(id);
  return {};
}

Result<> add_access(Session& session, const AccountId& account, const ProxyAccess& access,
                    std::uint64_t geo_name_id) {
  NB_LET(const sql::Rows known,
         session.query("SELECT 1 FROM services WHERE account_id = $1 AND id = $2",
                       {account.value(), access.service_id}));
  if (known.empty()) return no_service(ServiceId(access.service_id));
  NB_TRY(session.exec(
      "INSERT INTO access_log_entries (id, account_id, service_id, timestamp, "
      "location_connection_ip, location_country_code, location_city_name, location_geo_name_id, "
      "subdivision_code, method, host, path, duration, status_code, reason, user_id, "
      "auth_method_used, bytes_upload, bytes_download, protocol, metadata, agent_network) VALUES "
      "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, "
      "$21, $22) ON CONFLICT (id) DO NOTHING",
      {access.id,
       account.value(),
       access.service_id,
       access.at,
       "\"" + access.source_ip + "\"",
       access.country_code,
       access.city_name,
       static_cast<std::int64_t>(geo_name_id),
       access.subdivision_code,
       access.method,
       access.host,
       access.path,
       access.duration_ms * 1'000'000,
       access.status_code,
       access.reason,
       access.user_id,
       access.auth_method,
       access.bytes_upload,
       access.bytes_download,
       access.protocol,
       text_map(access.metadata),
       false}));
  return {};
}

// --- peers --------------------------------------------------------------------------------------

Result<> take_once(Session& session, const std::string& hash, WallTime ends) {
  const auto until =
      std::chrono::duration_cast<std::chrono::milliseconds>(ends.time_since_epoch()).count();
  NB_LET(const std::int64_t inserted,
         session.exec(fmt::format("INSERT INTO nb_token_claims (token_hash, peer_key, claimed_at, "
                                  "expires_at) VALUES ($1, '', {}, $2) ON CONFLICT (token_hash) DO "
                                  "NOTHING",
                                  now_ms(session)),
                      {hash, static_cast<std::int64_t>(until)}));
  if (inserted == 0) return fail(Code::kUnauthenticated, "already used");
  return {};
}

Result<std::optional<Peer>> create_proxy_peer(Session& session, const Context& context,
                                              const ProxyPeer& wanted) {
  NB_TRY(take_once(session, wanted.token_hash, wanted.token_ends));
  NB_LET(const sql::Rows known,
         session.query("SELECT account_id, proxy_meta_embedded FROM peers WHERE key = $1",
                       {wanted.key.value()}));
  if (!known.empty()) {
    if (known[0].text(0) != wanted.account.value() || !known[0].boolean(1))
      return fail(Code::kAlreadyExists, "the key is another peer's");
    return std::optional<Peer>{};
  }
  Registration request;
  request.key = wanted.key;
  request.name = "proxy-" + context.ids.next();
  request.meta.hostname = request.name;
  request.meta.go_os = "proxy";
  request.meta.os = "proxy";
  request.temporary = true;
  request.proxy = Registration::Proxy{wanted.account, wanted.cluster};
  NB_LET(Registered made, register_peer(session, context, request));
  return std::optional<Peer>(std::move(made.peer));
}

Result<std::size_t> prune_proxies(Session& session, const Context& context,
                                  std::chrono::seconds silence, std::chrono::hours keep) {
  const WallTime now = context.clock.wall();
  NB_LET(std::int64_t gone,
         session.exec("DELETE FROM proxies WHERE last_seen < $1", {now - silence}));
  if (keep.count() > 0) {
    NB_LET(const std::int64_t old,
           session.exec("DELETE FROM access_log_entries WHERE timestamp < $1", {now - keep}));
    gone += old;
  }
  return static_cast<std::size_t>(gone);
}

}  // namespace nb::management::work
