#include "management/store/edits/services.h"

#include "base/text.h"
#include "crypto/password.h"
#include "management/store/edits/perform.h"
#include "management/store/edits/proxies.h"
#include "management/store/edits/service_edit.h"
#include "management/store/edits/service_rows.h"

#include <algorithm>
#include <set>

namespace nb::management::work {
namespace {

constexpr int kPortTries = 100;

Result<std::vector<Service>> services_where(AccountEdit& edit, std::string_view more,
                                            std::vector<sql::Param> values) {
  values.insert(values.begin(), sql::Param(edit.account_id().value()));
  return read_services(edit.session(), {fmt::format("v.account_id = $1{}", more), values});
}

Result<Service> find_service(AccountEdit& edit, const ServiceId& id) {
  NB_LET(std::vector<Service> found, services_where(edit, " AND v.id = $2", {id.value()}));
  if (found.empty()) return fail(Code::kNotFound, "service not found");
  return std::move(found.front());
}

/// What a caller gets: hosts as they are now, no hashes.
Result<> show(AccountEdit& edit, std::vector<Service>& services) {
  for (Service& service : services) {
    if (service.auth.password) service.auth.password->secret.clear();
    if (service.auth.pin) service.auth.pin->secret.clear();
    for (HeaderAuth& header : service.auth.headers) header.secret.clear();
  }
  return fill_hosts(edit.session(), edit.context(), edit.account_id(), services);
}

Result<Service> shown(AccountEdit& edit, Service service) {
  std::vector<Service> one;
  one.push_back(std::move(service));
  NB_TRY(show(edit, one));
  return std::move(one.front());
}

Result<> check_targets(AccountEdit& edit, const Service& service) {
  for (const FullTarget& target : service.targets) {
    if (target.target_type == "cluster") continue;
    if (target.target_type == kResourcePeer) {
      NB_LET(const std::vector<PeerId> held, edit.hold_peers({PeerId(target.target_id)}));
      if (held.empty())
        return fail(Code::kInvalidArgument, "peer target \"{}\" not found in account",
                    target.target_id);
      continue;
    }
    NB_LET(const std::vector<NetworkResource> found,
           edit.get_some<NetworkResource>({ResourceId(target.target_id)}));
    if (found.empty())
      return fail(Code::kInvalidArgument, "resource target \"{}\" not found in account",
                  target.target_id);
    if (found.front().type != target.target_type)
      return fail(Code::kInvalidArgument,
                  "target \"{}\" has target_type \"{}\" but resource is of type \"{}\"",
                  target.target_id, target.target_type, found.front().type);
  }
  return {};
}

/// A plain secret becomes a hash, an empty one the stored hash.
Result<> settle(std::string& secret, bool enabled, const std::string& stored,
                std::string_view what) {
  if (!enabled) {
    secret.clear();
    return {};
  }
  if (secret.empty())
    secret = stored;
  else {
    NB_LET(secret, crypto::hash_password(Secret(secret)));
  }
  if (secret.empty()) return fail(Code::kInvalidArgument, "{} is required", what);
  return {};
}

std::string stored_secret(const std::optional<SecretAuth>& stored) {
  return stored && stored->enabled ? stored->secret : std::string();
}

Result<> settle_secrets(ServiceAuth& auth, const ServiceAuth& stored) {
  if (auth.password)
    NB_TRY(settle(auth.password->secret, auth.password->enabled, stored_secret(stored.password),
                  "password_auth: password"));
  if (auth.pin)
    NB_TRY(settle(auth.pin->secret, auth.pin->enabled, stored_secret(stored.pin), "pin_auth: pin"));
  for (std::size_t i = 0; i < auth.headers.size(); ++i) {
    HeaderAuth& header = auth.headers[i];
    std::string known;
    for (const HeaderAuth& other : stored.headers)
      if (equals_ignore_case(other.header, header.header)) known = other.secret;
    NB_TRY(settle(header.secret, header.enabled, known, fmt::format("header_auths[{}]: value", i)));
  }
  return {};
}

Result<> check_domain_free(AccountEdit& edit, const Service& service) {
  NB_LET(const sql::Rows rows,
         edit.session().query("SELECT 1 FROM services WHERE domain = $1 AND id <> $2",
                              {service.domain, service.id.value()}));
  if (rows.empty()) return {};
  return fail(Code::kAlreadyExists, "domain already taken");
}

/// Ports of a cluster are shared by all accounts: one transaction at a time.
Result<> lock_ports(AccountEdit& edit, const Service& service) {
  return edit.session().lock(sql::lock_number("nb_proxy_ports:" + service.proxy_cluster));
}

Result<std::int64_t> free_port(AccountEdit& edit, const Service& service) {
  NB_LET(const sql::Rows rows,
         edit.session().query("SELECT listen_port FROM services WHERE proxy_cluster = $1 AND "
                              "listen_port > 0",
                              {service.proxy_cluster}));
  const std::uint16_t first = edit.context().options.proxy_port_min;
  const std::uint16_t last = edit.context().options.proxy_port_max;
  std::set<std::int64_t> taken;
  for (std::size_t i = 0; i < rows.size(); ++i) taken.insert(rows[i].integer(0));
  for (int i = 0; i < kPortTries; ++i) {
    const auto offset = edit.context().random.below(last - first + 1U);
    const std::int64_t port = first + static_cast<std::int64_t>(offset);
    if (!taken.contains(port)) return port;
  }
  for (std::int64_t port = first; port <= last; ++port)
    if (!taken.contains(port)) return port;
  return fail(Code::kFailedPrecondition, "no available ports on cluster {}", service.proxy_cluster);
}

Result<> check_port_free(AccountEdit& edit, const Service& service) {
  NB_LET(const sql::Rows rows,
         edit.session().query(
             "SELECT id, name, domain FROM services WHERE proxy_cluster = $1 AND "
             "mode = $2 AND listen_port = $3 AND id <> $4",
             {service.proxy_cluster, service.mode, service.listen_port, service.id.value()}));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    // TLS services share a port: the name in the handshake tells them apart.
    if (service.mode == kModeTls && rows[i].text(2) != service.domain) continue;
    return fail(Code::kAlreadyExists,
                "{} port {} is already in use by service \"{}\" on cluster {}", service.mode,
                service.listen_port, rows[i].text(1), service.proxy_cluster);
  }
  return {};
}

Result<> settle_port(AccountEdit& edit, Service& service, const Service* stored,
                     bool custom_ports) {
  if (!service.layer4()) return {};
  NB_TRY(lock_ports(edit, service));
  const std::int64_t before = stored == nullptr ? 0 : stored->listen_port;
  if (service.listen_port == 0 && before != 0) {
    service.listen_port = before;
    service.port_auto_assigned = stored->port_auto_assigned;
  }
  if (service.by_port() && !custom_ports && service.listen_port != 0 &&
      service.listen_port != before)
    return fail(Code::kInvalidArgument, "custom ports not supported on cluster {}",
                service.proxy_cluster);
  if (service.listen_port == 0) {
    NB_LET(service.listen_port, free_port(edit, service));
    service.port_auto_assigned = true;
  }
  return check_port_free(edit, service);
}

/// The cluster that serves the domain. An update that cannot tell keeps the one it has.
Result<ProxyCluster> settle_cluster(AccountEdit& edit, Service& service, const Service* stored) {
  NB_LET(const std::vector<ProxyCluster> clusters, proxy_clusters(edit));
  const auto known = [&](const std::string& address) {
    const auto it = std::find_if(clusters.begin(), clusters.end(),
                                 [&](const ProxyCluster& c) { return c.address == address; });
    ProxyCluster unknown;
    unknown.address = address;
    return it == clusters.end() ? unknown : *it;
  };
  if (stored != nullptr && stored->domain == service.domain) {
    service.proxy_cluster = stored->proxy_cluster;
    return known(service.proxy_cluster);
  }
  auto derived = cluster_for(edit, clusters, service.domain);
  if (!derived && stored == nullptr) return std::move(derived).error();
  service.proxy_cluster = derived ? *derived : stored->proxy_cluster;
  const ProxyCluster cluster = known(service.proxy_cluster);
  if (service.domain == cluster.address && cluster.require_subdomain.value_or(false))
    return fail(Code::kInvalidArgument, "domain {} requires a subdomain label", service.domain);
  return cluster;
}

Result<> check_update(const Service& service, const Service& stored) {
  if (stored.terminated)
    return fail(Code::kPermissionDenied, "service is terminated and cannot be updated");
  if (service.mode != stored.mode)
    return fail(Code::kInvalidArgument, "cannot change mode from \"{}\" to \"{}\"", stored.mode,
                service.mode);
  return {};
}

/// What the database has to say about it: its cluster, targets, secrets and port.
Result<> complete(AccountEdit& edit, Service& service, const Service* stored) {
  NB_LET(const ProxyCluster cluster, settle_cluster(edit, service, stored));
  const bool custom_ports = cluster.supports_custom_ports.value_or(false);
  // A peer's wish for a port is none where nobody may choose.
  if (service.source == kSourceEphemeral && service.by_port() && !custom_ports)
    service.listen_port = 0;
  NB_TRY(edit.require_groups(service.access_groups));
  NB_TRY(check_targets(edit, service));
  NB_TRY(check_domain_free(edit, service));
  NB_TRY(settle_secrets(service.auth, stored == nullptr ? ServiceAuth{} : stored->auth));
  return settle_port(edit, service, stored, custom_ports);
}

Result<> change_service(AccountEdit& edit, Service& service) {
  NB_TRY(check_service(service));
  NB_LET(const Service stored, find_service(edit, service.id));
  NB_TRY(check_update(service, stored));
  service.created_at = stored.created_at;
  service.certificate_issued_at = stored.certificate_issued_at;
  service.status = stored.status;
  service.source = stored.source;
  service.source_peer = stored.source_peer;
  NB_TRY(complete(edit, service, &stored));
  NB_TRY(update_service(edit.session(), edit.account_id(), service));
  edit.changes().touched(service.id);
  return {};
}

}  // namespace

Result<> add_service(AccountEdit& edit, Service& service) {
  NB_TRY(check_service(service));
  service.id = ServiceId(edit.new_id());
  service.account_id = edit.account_id();
  service.created_at = edit.now();
  service.status = "pending";
  NB_TRY(complete(edit, service, nullptr));
  NB_TRY(insert_service(edit.session(), edit.context(), edit.account_id(), service));
  edit.changes().touched(service.id);
  return {};
}

Result<Service> perform(AccountEdit& edit, const SaveService& command) {
  Service service = command.service;
  const bool fresh = service.id.empty();
  NB_TRY(fresh ? add_service(edit, service) : change_service(edit, service));
  edit.event(fresh ? Activity::kServiceCreated : Activity::kServiceUpdated, service.id.value(),
             service_meta(service));
  return shown(edit, std::move(service));
}

Result<Nothing> perform(AccountEdit& edit, const DeleteService& command) {
  NB_LET(const Service service, find_service(edit, command.id));
  NB_TRY(erase_service(edit.session(), edit.account_id(), service.id));
  edit.changes().touched(service.id);
  edit.event(Activity::kServiceDeleted, service.id.value(), service_meta(service));
  return Nothing{};
}

Result<std::vector<Service>> perform(AccountEdit& edit, const ListServices& /*command*/) {
  NB_LET(std::vector<Service> services, services_where(edit, "", {}));
  NB_TRY(show(edit, services));
  return services;
}

Result<Service> perform(AccountEdit& edit, const GetService& command) {
  NB_LET(Service service, find_service(edit, command.id));
  return shown(edit, std::move(service));
}

}  // namespace nb::management::work
