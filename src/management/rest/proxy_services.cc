// Services of the reverse proxy. Source: contract/rest-api.md §7.16.
#include "base/duration.h"
#include "management/rest/handlers.h"

namespace nb::management::rest {
namespace {

constexpr auto kModule = Module::kServices;

// --- in ---------------------------------------------------------------------------------------

Result<std::chrono::nanoseconds> duration_of(const JsonObject& object, std::string_view name,
                                             std::size_t index) {
  const std::string text = object.text(name);
  if (text.empty()) return std::chrono::nanoseconds{};
  const auto time = parse_duration(text);
  if (!time)
    return fail(Code::kInvalidArgument, "target {}: {} is not a duration such as 30s", index, name);
  return *time;
}

Result<FullTarget> target_of(const JsonObject& body, std::size_t index) {
  FullTarget target;
  body.read("path", target.path);
  target.host = body.text("host");
  target.port = body.integer("port");
  target.protocol = body.text("protocol");
  target.target_id = body.text("target_id");
  target.target_type = body.text("target_type");
  target.enabled = body.flag("enabled");
  const auto options = body.object("options");
  if (!options) return target;
  TargetOptions& out = target.options;
  out.skip_tls_verify = options->flag("skip_tls_verify");
  NB_LET(out.request_timeout, duration_of(*options, "request_timeout", index));
  NB_LET(out.session_idle_timeout, duration_of(*options, "session_idle_timeout", index));
  out.path_rewrite = options->text("path_rewrite");
  options->each_text("custom_headers", [&](std::string name, std::string value) {
    out.custom_headers.emplace(std::move(name), std::move(value));
  });
  out.direct_upstream = options->flag("direct_upstream");
  out.proxy_protocol = options->flag("proxy_protocol");
  return target;
}

std::optional<SecretAuth> secret_of(const JsonObject& auth, std::string_view name,
                                    std::string_view secret) {
  const auto object = auth.object(name);
  if (!object) return {};
  return SecretAuth{object->flag("enabled"), object->text(secret)};
}

ServiceAuth auth_of(const JsonObject& body) {
  ServiceAuth out;
  const auto auth = body.object("auth");
  if (!auth) return out;
  out.password = secret_of(*auth, "password_auth", "password");
  out.pin = secret_of(*auth, "pin_auth", "pin");
  if (const auto bearer = auth->object("bearer_auth")) {
    BearerAuth made{.enabled = bearer->flag("enabled")};
    bearer->read("distribution_groups", made.distribution_groups);
    out.bearer = std::move(made);
  }
  for (const JsonObject& header : auth->objects("header_auths"))
    out.headers.push_back({header.flag("enabled"), header.text("header"), header.text("value")});
  return out;
}

AccessRestrictions restrictions_of(const JsonObject& body) {
  AccessRestrictions out;
  const auto limits = body.object("access_restrictions");
  if (!limits) return out;
  limits->read("allowed_cidrs", out.allowed_cidrs);
  limits->read("blocked_cidrs", out.blocked_cidrs);
  limits->read("allowed_countries", out.allowed_countries);
  limits->read("blocked_countries", out.blocked_countries);
  out.crowdsec_mode = limits->text("crowdsec_mode");
  return out;
}

Result<Service> service_of(const JsonObject& body) {
  Service service;
  service.name = body.text("name");
  service.domain = body.text("domain");
  service.mode = body.text("mode");
  service.listen_port = body.integer("listen_port");
  service.enabled = body.flag("enabled");
  service.pass_host_header = body.flag("pass_host_header");
  service.rewrite_redirects = body.flag("rewrite_redirects");
  service.is_private = body.flag("private");
  service.access_groups = body.ids<GroupId>("access_groups");
  service.auth = auth_of(body);
  service.restrictions = restrictions_of(body);
  const auto targets = body.objects("targets");
  for (std::size_t i = 0; i < targets.size(); ++i) {
    NB_LET(FullTarget target, target_of(targets[i], i));
    service.targets.push_back(std::move(target));
  }
  NB_TRY(body.done());
  return service;
}

// --- out --------------------------------------------------------------------------------------

void write_options(JsonWriter& json, const TargetOptions& options) {
  json.object("options", [&] {
    if (options.skip_tls_verify) json.field("skip_tls_verify", true);
    if (options.request_timeout.count() != 0)
      json.field("request_timeout", format_duration(options.request_timeout));
    if (options.session_idle_timeout.count() != 0)
      json.field("session_idle_timeout", format_duration(options.session_idle_timeout));
    json.optional("path_rewrite", options.path_rewrite);
    if (!options.custom_headers.empty())
      json.object("custom_headers", [&] {
        for (const auto& [name, value] : options.custom_headers) {
          json.key_text(name);
          json.text(value);
        }
      });
    if (options.direct_upstream) json.field("direct_upstream", true);
    if (options.proxy_protocol) json.field("proxy_protocol", true);
  });
}

void write_target(JsonWriter& json, const FullTarget& target, bool terminated) {
  json.object([&] {
    if (target.path) json.field("path", *target.path);
    json.field("host", target.host);
    json.field("port", target.port);
    json.field("protocol", target.protocol);
    json.field("target_id", target.target_id);
    json.field("target_type", target.target_type);
    json.field("enabled", target.enabled && !terminated);
    write_options(json, target.options);
  });
}

/// Whether there is a secret is all that anybody is told.
void write_auth(JsonWriter& json, const ServiceAuth& auth) {
  const auto secret = [&](std::string_view name, const std::optional<SecretAuth>& one,
                          std::string_view member) {
    if (!one) return;
    json.object(name, [&] {
      json.field("enabled", one->enabled);
      json.field(member, "");
    });
  };
  json.object("auth", [&] {
    secret("password_auth", auth.password, "password");
    secret("pin_auth", auth.pin, "pin");
    if (auth.bearer)
      json.object("bearer_auth", [&] {
        json.field("enabled", auth.bearer->enabled);
        json.list("distribution_groups", auth.bearer->distribution_groups);
      });
    if (!auth.headers.empty())
      json.array("header_auths", auth.headers, [&](const HeaderAuth& header) {
        json.object([&] {
          json.field("enabled", header.enabled);
          json.field("header", header.header);
          json.field("value", "");
        });
      });
  });
}

void write_restrictions(JsonWriter& json, const AccessRestrictions& limits) {
  const auto list = [&](std::string_view name, const std::vector<std::string>& texts) {
    if (!texts.empty()) json.list(name, texts);
  };
  json.object("access_restrictions", [&] {
    list("allowed_cidrs", limits.allowed_cidrs);
    list("blocked_cidrs", limits.blocked_cidrs);
    list("allowed_countries", limits.allowed_countries);
    list("blocked_countries", limits.blocked_countries);
    json.optional("crowdsec_mode", limits.crowdsec_mode);
  });
}

void write_service(JsonWriter& json, const Service& service) {
  json.object([&] {
    json.field("id", service.id);
    json.field("name", service.name);
    json.field("domain", service.domain);
    json.field("mode", service.mode);
    json.field("listen_port", service.listen_port);
    json.field("port_auto_assigned", service.port_auto_assigned);
    json.optional("proxy_cluster", service.proxy_cluster);
    json.array("targets", service.targets,
               [&](const FullTarget& target) { write_target(json, target, service.terminated); });
    json.field("enabled", service.enabled && !service.terminated);
    json.field("terminated", service.terminated);
    json.field("pass_host_header", service.pass_host_header);
    json.field("rewrite_redirects", service.rewrite_redirects);
    write_auth(json, service.auth);
    if (!service.restrictions.empty()) write_restrictions(json, service.restrictions);
    json.object("meta", [&] {
      json.time("created_at", service.created_at);
      if (service.certificate_issued_at)
        json.time("certificate_issued_at", service.certificate_issued_at);
      json.field("status", service.status);
    });
    json.field("private", service.is_private);
    if (!service.access_groups.empty()) json.list("access_groups", service.access_groups);
  });
}

// --- handlers ---------------------------------------------------------------------------------

Task<Reply> list(const Services& services, Call call) {
  auto found = co_await execute(services, call, ListServices{});
  if (!found) co_return std::move(found).error();
  co_return list_reply(*found, write_service);
}

Task<Reply> get(const Services& services, Call call) {
  GetService command{ServiceId(call.params[0])};
  auto service = co_await execute(services, call, std::move(command));
  if (!service) co_return std::move(service).error();
  co_return reply_with([&](JsonWriter& json) { write_service(json, *service); });
}

Task<Reply> save(const Services& services, Call call, ServiceId id) {
  const auto body = call.json();
  if (!body) co_return body.error();
  auto service = service_of(*body);
  if (!service) co_return std::move(service).error();
  service->id = std::move(id);
  SaveService command{*std::move(service)};
  auto saved = co_await execute(services, call, std::move(command));
  if (!saved) co_return std::move(saved).error();
  co_return reply_with([&](JsonWriter& json) { write_service(json, *saved); });
}

Task<Reply> create(const Services& services, Call call) {
  return save(services, std::move(call), ServiceId{});
}

Task<Reply> replace(const Services& services, Call call) {
  ServiceId id(call.params[0]);
  return save(services, std::move(call), std::move(id));
}

Task<Reply> remove(const Services& services, Call call) {
  DeleteService command{ServiceId(call.params[0])};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

}  // namespace

void add_proxy_services(RouteTable& table, const Services& services) {
  const std::string all = "/api/reverse-proxies/services";
  const std::string one = all + "/{serviceId}";
  table.add("GET", all, {{kModule, Operation::kRead}}, handled(services, list));
  table.add("POST", all, {{kModule, Operation::kCreate}}, handled(services, create));
  table.add("GET", one, {{kModule, Operation::kRead}}, handled(services, get));
  table.add("PUT", one, {{kModule, Operation::kUpdate}}, handled(services, replace));
  table.add("DELETE", one, {{kModule, Operation::kDelete}}, handled(services, remove));
}

}  // namespace nb::management::rest
