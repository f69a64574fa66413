#include "management/store/edits/service_rows.h"

#include "base/duration.h"
#include "crypto/sign_key.h"
#include "management/store/json_read.h"
#include "management/store/object_reader.h"

#include <boost/json.hpp>

namespace nb::management::work {
namespace {

namespace json = boost::json;
using columns::Damage;
using sql::Param;

constexpr std::string_view kService =
    "v.id, v.name, v.domain, v.proxy_cluster, v.enabled, v.terminated, v.pass_host_header, "
    "v.rewrite_redirects, v.auth, v.restrictions, v.meta_created_at, v.meta_certificate_issued_at, "
    "v.meta_status, v.source, v.mode, v.listen_port, v.port_auto_assigned, v.private, "
    "v.access_groups, v.account_id, v.session_public_key, v.source_peer";
constexpr std::string_view kTarget =
    "x.service_id, x.path, x.host, x.port, x.protocol, x.target_id, x.target_type, x.enabled, "
    "x.skip_tls_verify, x.request_timeout, x.session_idle_timeout, x.path_rewrite, "
    "x.custom_headers, x.direct_upstream, x.proxy_protocol";

json::array texts(const std::vector<std::string>& values) {
  json::array out;
  for (const std::string& value : values) out.emplace_back(value);
  return out;
}

std::vector<std::string> read_texts(const json::object& object, std::string_view key,
                                    Damage& damage) {
  std::vector<std::string> out;
  const json::value* list = columns::member(object, key);
  if (list == nullptr) return out;
  for (const json::value& item : columns::elements(*list, damage)) {
    if (item.is_string())
      out.emplace_back(item.get_string());
    else
      ++damage.fields;
  }
  return out;
}

json::object secret_json(const SecretAuth& auth, std::string_view name) {
  json::object out{{"enabled", auth.enabled}};
  out[name] = auth.secret;
  return out;
}

std::string auth_text(const ServiceAuth& auth) {
  json::object out;
  if (auth.password) out["password_auth"] = secret_json(*auth.password, "password");
  if (auth.pin) out["pin_auth"] = secret_json(*auth.pin, "pin");
  if (auth.bearer) {
    json::object bearer{{"enabled", auth.bearer->enabled}};
    if (!auth.bearer->distribution_groups.empty())
      bearer["distribution_groups"] = texts(auth.bearer->distribution_groups);
    out["bearer_auth"] = std::move(bearer);
  }
  if (!auth.headers.empty()) {
    json::array headers;
    for (const HeaderAuth& header : auth.headers)
      headers.push_back(json::object{
          {"enabled", header.enabled}, {"header", header.header}, {"value", header.secret}});
    out["header_auths"] = std::move(headers);
  }
  return json::serialize(out);
}

std::optional<SecretAuth> read_secret(const json::object& object, std::string_view key,
                                      std::string_view name, Damage& damage) {
  const json::value* value = columns::member(object, key);
  if (value == nullptr || value->is_null()) return {};
  const json::object& auth = columns::members(*value, damage);
  return SecretAuth{columns::flag_of(auth, "enabled", damage),
                    columns::text_of(auth, name, damage)};
}

std::string restrictions_text(const AccessRestrictions& limits) {
  json::object out;
  const auto add = [&](std::string_view name, const std::vector<std::string>& list) {
    if (!list.empty()) out[name] = texts(list);
  };
  add("allowed_cidrs", limits.allowed_cidrs);
  add("blocked_cidrs", limits.blocked_cidrs);
  add("allowed_countries", limits.allowed_countries);
  add("blocked_countries", limits.blocked_countries);
  if (!limits.crowdsec_mode.empty()) out["crowdsec_mode"] = limits.crowdsec_mode;
  return json::serialize(out);
}

Service read_service(const sql::Row& raw, Damage& damage) {
  const columns::DamageSince damaged(damage);
  sql::RowReader row(raw);
  Service v;
  v.id = ServiceId(row.string());
  v.name = row.string();
  v.domain = row.string();
  v.proxy_cluster = row.string();
  v.enabled = row.boolean();
  v.terminated = row.boolean();
  v.pass_host_header = row.boolean();
  v.rewrite_redirects = row.boolean();
  v.auth = read_auth(row.text(), damage);
  v.restrictions = read_restrictions(row.text(), damage);
  v.created_at = row.time();
  v.certificate_issued_at = row.time();
  v.status = row.string();
  v.source = row.string();
  v.mode = row.string();
  v.listen_port = row.integer();
  v.port_auto_assigned = row.boolean();
  v.is_private = row.boolean();
  v.access_groups = columns::read_ids<GroupId>(row.text(), damage);
  v.account_id = AccountId(row.string());
  v.session_public_key = row.string();
  v.source_peer = PeerId(row.string());
  // No login and no limits would be what its owner never asked for.
  if (damaged.any()) v.enabled = false;
  if (v.mode.empty()) v.mode = kModeHttp;
  if (v.status.empty()) v.status = "pending";
  return v;
}

std::pair<std::string, FullTarget> read_target(const sql::Row& raw, Damage& damage) {
  std::string service = raw.string(0);
  FullTarget x;
  if (!raw.null(1)) x.path = raw.string(1);
  sql::RowReader row(raw, 2);
  x.host = row.string();
  x.port = row.integer();
  x.protocol = row.string();
  x.target_id = row.string();
  x.target_type = row.string();
  x.enabled = row.boolean();
  x.options.skip_tls_verify = row.boolean();
  x.options.request_timeout = std::chrono::nanoseconds(row.integer());
  x.options.session_idle_timeout = std::chrono::nanoseconds(row.integer());
  x.options.path_rewrite = row.string();
  x.options.custom_headers = read_headers(row.text(), damage);
  x.options.direct_upstream = row.boolean();
  x.options.proxy_protocol = row.boolean();
  return {std::move(service), std::move(x)};
}

Result<> insert_targets(Session& session, const AccountId& account, const Service& service) {
  for (const FullTarget& target : service.targets) {
    const TargetOptions& options = target.options;
    const Param path = target.path ? Param(*target.path) : Param(nullptr);
    NB_TRY(session.exec(
        "INSERT INTO targets (account_id, service_id, path, host, port, protocol, target_id, "
        "target_type, enabled, skip_tls_verify, request_timeout, session_idle_timeout, "
        "path_rewrite, custom_headers, direct_upstream, proxy_protocol, middlewares, "
        "capture_max_request_bytes, capture_max_response_bytes, capture_content_types, "
        "agent_network, disable_access_log) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, "
        "$12, $13, $14, $15, $16, 'null', 0, 0, 'null', $17, $17)",
        {account.value(), service.id.value(), path, target.host, target.port, target.protocol,
         target.target_id, target.target_type, target.enabled, options.skip_tls_verify,
         static_cast<std::int64_t>(options.request_timeout.count()),
         static_cast<std::int64_t>(options.session_idle_timeout.count()), options.path_rewrite,
         text_map(options.custom_headers), options.direct_upstream, options.proxy_protocol,
         false}));
  }
  return {};
}

constexpr std::string_view kUnknownHost = "unknown";

}  // namespace

ServiceAuth read_auth(std::string_view text, Damage& damage) {
  const json::value value = columns::parsed(text, damage);
  const json::object& object = columns::members(value, damage);
  ServiceAuth out;
  out.password = read_secret(object, "password_auth", "password", damage);
  out.pin = read_secret(object, "pin_auth", "pin", damage);
  if (const json::value* bearer = columns::member(object, "bearer_auth");
      bearer != nullptr && !bearer->is_null()) {
    const json::object& auth = columns::members(*bearer, damage);
    out.bearer = BearerAuth{columns::flag_of(auth, "enabled", damage),
                            read_texts(auth, "distribution_groups", damage)};
  }
  if (const json::value* headers = columns::member(object, "header_auths")) {
    for (const json::value& item : columns::elements(*headers, damage)) {
      const json::object& header = columns::members(item, damage);
      out.headers.push_back({columns::flag_of(header, "enabled", damage),
                             columns::text_of(header, "header", damage),
                             columns::text_of(header, "value", damage)});
    }
  }
  return out;
}

AccessRestrictions read_restrictions(std::string_view text, Damage& damage) {
  const json::value value = columns::parsed(text, damage);
  const json::object& object = columns::members(value, damage);
  AccessRestrictions out;
  out.allowed_cidrs = read_texts(object, "allowed_cidrs", damage);
  out.blocked_cidrs = read_texts(object, "blocked_cidrs", damage);
  out.allowed_countries = read_texts(object, "allowed_countries", damage);
  out.blocked_countries = read_texts(object, "blocked_countries", damage);
  out.crowdsec_mode = columns::text_of(object, "crowdsec_mode", damage);
  return out;
}

std::map<std::string, std::string> read_headers(std::string_view text, Damage& damage) {
  std::map<std::string, std::string> out;
  const json::value value = columns::parsed(text, damage);
  for (const auto& member : columns::members(value, damage))
    if (member.value().is_string())
      out.emplace(member.key(), std::string(member.value().get_string()));
  return out;
}

std::string text_map(const std::map<std::string, std::string>& values) {
  json::object out;
  for (const auto& [name, value] : values) out[name] = value;
  return json::serialize(out);
}

Result<> fill_hosts(Session& session, const Context& context, const AccountId& account,
                    std::vector<Service>& services) {
  std::vector<std::string> peer_ids;
  std::vector<std::string> resource_ids;
  for (const Service& service : services) {
    for (const FullTarget& target : service.targets) {
      if (target.target_type == kResourcePeer) peer_ids.push_back(target.target_id);
      if (target.target_type == kResourceHost || target.target_type == kResourceDomain)
        resource_ids.push_back(target.target_id);
    }
  }
  std::map<std::string, std::string> hosts;
  ObjectReader reader(session, context, account);
  if (!peer_ids.empty()) {
    NB_LET(const std::vector<Peer> peers, reader.peers(&peer_ids));
    for (const Peer& peer : peers) hosts[peer.id.value()] = peer.ip.to_string();
  }
  if (!resource_ids.empty()) {
    NB_LET(const std::vector<NetworkResource> resources, reader.resources(&resource_ids));
    for (const NetworkResource& resource : resources)
      hosts[resource.id.value()] =
          resource.type == kResourceDomain ? resource.domain : resource.prefix.address.to_string();
  }
  for (Service& service : services) {
    for (FullTarget& target : service.targets) {
      if (target.target_type == kResourceSubnet || target.target_type == "cluster") continue;
      const auto host = hosts.find(target.target_id);
      target.host = host == hosts.end() ? std::string(kUnknownHost) : host->second;
    }
  }
  return {};
}

Result<std::vector<Service>> read_services(Session& session, const ServiceFilter& filter) {
  Damage damage;
  NB_LET(const sql::Rows rows,
         session.query(fmt::format("SELECT {} FROM services v WHERE {} ORDER BY v.id", kService,
                                   filter.condition),
                       filter.values));
  std::vector<Service> out;
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    out.push_back(read_service(rows[i], damage));
    places.emplace(out.back().id.value(), i);
  }
  if (out.empty()) return out;
  NB_LET(const sql::Rows targets,
         session.query(fmt::format("SELECT {} FROM targets x JOIN services v ON v.id = "
                                   "x.service_id WHERE {} ORDER BY x.id",
                                   kTarget, filter.condition),
                       filter.values));
  for (std::size_t i = 0; i < targets.size(); ++i) {
    auto [service, target] = read_target(targets[i], damage);
    if (const auto place = places.find(service); place != places.end())
      out[place->second].targets.push_back(std::move(target));
  }
  return out;
}

Result<> insert_service(Session& session, const Context& context, const AccountId& account,
                        const Service& service) {
  const crypto::SignKeyPair keys = crypto::generate_sign_key(context.random);
  const std::string sealed = context.codec.seal(
      keys.private_key.reveal(), {"services", "session_private_key", service.id.value()});
  NB_TRY(session.exec(
      "INSERT INTO services (id, account_id, name, domain, proxy_cluster, enabled, terminated, "
      "pass_host_header, rewrite_redirects, auth, restrictions, meta_created_at, meta_status, "
      "session_private_key, session_public_key, source, source_peer, mode, listen_port, "
      "port_auto_assigned, private, access_groups) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
      "$10, $11, $12, $13, $14, $15, $16, $22, $17, $18, $19, $20, $21)",
      {service.id.value(),
       account.value(),
       service.name,
       service.domain,
       service.proxy_cluster,
       service.enabled,
       service.terminated,
       service.pass_host_header,
       service.rewrite_redirects,
       auth_text(service.auth),
       restrictions_text(service.restrictions),
       service.created_at,
       service.status,
       sealed,
       keys.public_key,
       service.source,
       service.mode,
       service.listen_port,
       service.port_auto_assigned,
       service.is_private,
       columns::ids(service.access_groups),
       service.source_peer.value()}));
  return insert_targets(session, account, service);
}

Result<> erase_service(Session& session, const AccountId& account, const ServiceId& id) {
  // The service before its targets, as whoever changes it or finds its time over: in another order
  // two of them would each wait for what the other one holds.
  NB_LET(const sql::Rows held,
         session.query(fmt::format("SELECT 1 FROM services WHERE account_id = $1 AND id = $2{}",
                                   locking(session, "FOR UPDATE")),
                       {account.value(), id.value()}));
  // Whoever waited here for another transaction that ended the service has not ended it.
  if (held.empty()) return fail(Code::kNotFound, "service {} not found", id.value());
  for (const std::string_view statement :
       {"DELETE FROM targets WHERE account_id = $1 AND service_id = $2",
        "DELETE FROM services WHERE account_id = $1 AND id = $2"})
    NB_TRY(session.exec(statement, {account.value(), id.value()}));
  return {};
}

EventMeta service_meta(const Service& service) {
  EventMeta meta{{"name", service.name},
                 {"domain", service.domain},
                 {"proxy_cluster", service.proxy_cluster},
                 {"source", service.source},
                 {"auth", service.auth.any_enabled()},
                 {"mode", service.mode}};
  if (service.listen_port != 0) meta.emplace_back("listen_port", service.listen_port);
  if (service.targets.empty()) return meta;
  const TargetOptions& options = service.targets.front().options;
  if (options.proxy_protocol) meta.emplace_back("proxy_protocol", true);
  if (options.request_timeout.count() != 0)
    meta.emplace_back("request_timeout", format_duration(options.request_timeout));
  if (options.session_idle_timeout.count() != 0)
    meta.emplace_back("session_idle_timeout", format_duration(options.session_idle_timeout));
  return meta;
}

Result<> update_service(Session& session, const AccountId& account, const Service& service) {
  NB_TRY(session.exec(
      "UPDATE services SET name = $3, domain = $4, proxy_cluster = $5, enabled = $6, "
      "pass_host_header = $7, rewrite_redirects = $8, auth = $9, restrictions = $10, mode = $11, "
      "listen_port = $12, port_auto_assigned = $13, private = $14, access_groups = $15 "
      "WHERE account_id = $1 AND id = $2",
      {account.value(), service.id.value(), service.name, service.domain, service.proxy_cluster,
       service.enabled, service.pass_host_header, service.rewrite_redirects,
       auth_text(service.auth), restrictions_text(service.restrictions), service.mode,
       service.listen_port, service.port_auto_assigned, service.is_private,
       columns::ids(service.access_groups)}));
  NB_TRY(session.exec("DELETE FROM targets WHERE account_id = $1 AND service_id = $2",
                      {account.value(), service.id.value()}));
  return insert_targets(session, account, service);
}

}  // namespace nb::management::work
