// Clusters, domains, tokens and accesses of the reverse proxy. Source: contract/rest-api.md §7.13,
// §7.16.
#include "base/text.h"
#include "management/rest/handlers.h"
#include "net/resolve.h"

#include <algorithm>
#include <charconv>

namespace nb::management::rest {
namespace {

constexpr auto kModule = Module::kServices;
constexpr std::int64_t kPageSizeDefault = 50;
constexpr std::int64_t kPageSizeMax = 100;
constexpr std::int64_t kPagesMax = 1'000'000'000;
constexpr std::chrono::seconds kLookUpTime{10};
constexpr RateLimit kCallbackLimit{.per_second = 10.0 / 60, .burst = 15};

void write_known(JsonWriter& json, std::string_view name, const std::optional<bool>& value) {
  if (value) json.field(name, *value);
}

// --- clusters ---------------------------------------------------------------------------------

void write_cluster(JsonWriter& json, const ProxyCluster& cluster) {
  json.object([&] {
    json.field("id", cluster.id);
    json.field("address", cluster.address);
    json.field("type", cluster.account_owned ? "account" : "shared");
    json.field("online", cluster.online());
    json.field("connected_proxies", cluster.connected_proxies);
    write_known(json, "supports_custom_ports", cluster.supports_custom_ports);
    write_known(json, "require_subdomain", cluster.require_subdomain);
    write_known(json, "supports_crowdsec", cluster.supports_crowdsec);
    write_known(json, "private", cluster.is_private);
  });
}

Task<Reply> list_clusters(const Services& services, Call call) {
  auto clusters = co_await execute(services, call, ListClusters{});
  if (!clusters) co_return std::move(clusters).error();
  co_return list_reply(*clusters, write_cluster);
}

Task<Reply> remove_cluster(const Services& services, Call call) {
  DeleteCluster command{call.params[0]};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

// --- domains ----------------------------------------------------------------------------------

void write_domain(JsonWriter& json, const ListedDomain& domain) {
  json.object([&] {
    json.field("id", domain.id);
    json.field("domain", domain.domain);
    json.field("validated", domain.validated);
    json.field("type", domain.id.empty() ? "free" : "custom");
    json.optional("target_cluster", domain.target_cluster);
    if (!domain.cluster) return;
    write_known(json, "supports_custom_ports", domain.cluster->supports_custom_ports);
    write_known(json, "require_subdomain", domain.cluster->require_subdomain);
    write_known(json, "supports_crowdsec", domain.cluster->supports_crowdsec);
    write_known(json, "supports_private", domain.cluster->is_private);
  });
}

Task<Reply> list_domains(const Services& services, Call call) {
  auto domains = co_await execute(services, call, ListProxyDomains{});
  if (!domains) co_return std::move(domains).error();
  co_return list_reply(*domains, write_domain);
}

Task<Reply> add_domain(const Services& services, Call call) {
  const auto body = call.json();
  if (!body) co_return body.error();
  AddProxyDomain command{body->text("domain"), body->text("target_cluster")};
  if (const auto done = body->done(); !done) co_return done.error();
  auto made = co_await execute(services, call, std::move(command));
  if (!made) co_return std::move(made).error();
  co_return reply_with([&](JsonWriter& json) { write_domain(json, *made); });
}

Task<Reply> remove_domain(const Services& services, Call call) {
  DeleteProxyDomain command{ProxyDomainId(call.params[0])};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return Reply{.status = 204};
}

/// validation.<domain> has to be an alias of the cluster. The answer does not tell the outcome;
/// clients look at the domain again.
Task<Reply> validate_domain(const Services& services, Call call) {
  GetProxyDomain command{ProxyDomainId(call.params[0])};
  auto domain = co_await execute(services, call, std::move(command));
  if (!domain) co_return std::move(domain).error();
  std::string name = "validation." + domain->domain;
  const Instant by = std::min(call.deadline, services.clock.now() + kLookUpTime);
  const auto canonical = co_await net::canonical_name(std::move(name), by);
  if (canonical && *canonical == lower(domain->target_cluster)) {
    ConfirmProxyDomain confirm{domain->id};
    auto done = co_await execute(services, call, std::move(confirm));
    if (!done) co_return std::move(done).error();
  }
  co_return Reply{.status = 202};
}

// --- tokens -----------------------------------------------------------------------------------

void write_token(JsonWriter& json, const ProxyToken& token, std::string_view plain) {
  json.object([&] {
    json.field("id", token.id);
    json.field("name", token.name);
    if (token.expires_at) json.time("expires_at", token.expires_at);
    json.time("created_at", token.created_at);
    if (token.last_used) json.time("last_used", token.last_used);
    json.field("revoked", token.revoked);
    json.optional("plain_token", plain);
  });
}

Task<Reply> list_tokens(const Services& services, Call call) {
  auto tokens = co_await execute(services, call, ListProxyTokens{});
  if (!tokens) co_return std::move(tokens).error();
  co_return list_reply(
      *tokens, [](JsonWriter& json, const ProxyToken& token) { write_token(json, token, {}); });
}

Task<Reply> create_token(const Services& services, Call call) {
  const auto body = call.json();
  if (!body) co_return body.error();
  CreateProxyToken command{body->text("name"), body->integer("expires_in")};
  if (const auto done = body->done(); !done) co_return done.error();
  auto made = co_await execute(services, call, std::move(command));
  if (!made) co_return std::move(made).error();
  co_return reply_with(
      [&](JsonWriter& json) { write_token(json, made->token, made->plain.reveal()); });
}

Task<Reply> revoke_token(const Services& services, Call call) {
  RevokeProxyToken command{ProxyTokenId(call.params[0])};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

// --- visitors ---------------------------------------------------------------------------------

Reply plain(int status, std::string text) {
  return {.status = status,
          .body = std::move(text),
          .headers = {{"content-type", "text/plain; charset=utf-8"},
                      {"x-content-type-options", "nosniff"},
                      {"cache-control", "no-store"}}};
}

/// A visitor's browser is back from the identity provider.
Task<Reply> signed_in(const Services& services, Call call) {
  std::string bucket = "proxy-callback:" + call.client_ip;
  if (!co_await services.limiter.take(std::move(bucket), kCallbackLimit))
    co_return plain(429, "Too many requests. Please try again later.\n");
  if (services.sign_in == nullptr) co_return plain(400, "Invalid state parameter\n");
  std::string state = call.argument("state").value_or("");
  std::string code = call.argument("code").value_or("");
  auto answer = co_await services.sign_in->finish(call.deadline, std::move(state), std::move(code));
  if (answer.status != 302) co_return plain(answer.status, answer.text + "\n");
  Reply reply{.status = 302};
  reply.headers = {{"location", std::move(answer.location)}, {"cache-control", "no-store"}};
  co_return reply;
}

// --- accesses ---------------------------------------------------------------------------------

void write_access(JsonWriter& json, const ProxyAccess& access) {
  json.object([&] {
    json.field("id", access.id);
    json.field("service_id", access.service_id);
    json.time("timestamp", access.at);
    json.field("method", access.method);
    json.field("host", access.host);
    json.field("path", access.path);
    json.field("duration_ms", access.duration_ms);
    json.field("status_code", access.status_code);
    json.optional("source_ip", access.source_ip);
    json.optional("reason", access.reason);
    json.optional("user_id", access.user_id);
    json.optional("auth_method_used", access.auth_method);
    json.optional("country_code", access.country_code);
    json.optional("city_name", access.city_name);
    json.optional("subdivision_code", access.subdivision_code);
    json.field("bytes_upload", access.bytes_upload);
    json.field("bytes_download", access.bytes_download);
    json.optional("protocol", access.protocol);
    if (access.metadata.empty()) return;
    json.object("metadata", [&] {
      for (const auto& [name, value] : access.metadata) {
        json.key_text(name);
        json.text(value);
      }
    });
  });
}

/// A positive number, or `otherwise`: clients are used to that.
std::int64_t positive(const Call& call, std::string_view name, std::int64_t otherwise) {
  const std::string text = call.argument(name).value_or("");
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole && value > 0 ? value : otherwise;
}

ListProxyAccess wanted_accesses(const Call& call) {
  const auto text = [&](std::string_view name) { return call.argument(name).value_or(""); };
  ListProxyAccess out;
  out.page = std::min(positive(call, "page", 1), kPagesMax);
  out.page_size = std::min(positive(call, "page_size", kPageSizeDefault), kPageSizeMax);
  out.sort_by = text("sort_by");
  out.ascending = lower(text("sort_order")) == "asc";
  out.search = text("search");
  out.source_ip = text("source_ip");
  out.host = text("host");
  out.path = text("path");
  out.user_id = text("user_id");
  out.user_email = text("user_email");
  out.user_name = text("user_name");
  out.method = text("method");
  out.status = text("status");
  out.status_code = positive(call, "status_code", 0);
  out.from = text("start_date");
  out.to = text("end_date");
  return out;
}

Task<Reply> list_accesses(const Services& services, Call call) {
  ListProxyAccess command = wanted_accesses(call);
  const std::int64_t page = command.page;
  const std::int64_t size = command.page_size;
  auto found = co_await execute(services, call, std::move(command));
  if (!found) co_return std::move(found).error();
  co_return reply_with([&](JsonWriter& json) {
    json.object([&] {
      json.array("data", found->entries,
                 [&](const ProxyAccess& access) { write_access(json, access); });
      json.field("page", page);
      json.field("page_size", size);
      json.field("total_records", found->total);
      json.field("total_pages", (found->total + size - 1) / size);
    });
  });
}

}  // namespace

void add_proxies(RouteTable& table, const Services& services) {
  const std::string base = "/api/reverse-proxies";
  const Need read{kModule, Operation::kRead};
  const Need create{kModule, Operation::kCreate};
  const Need remove{kModule, Operation::kDelete};
  table.add("GET", base + "/clusters", {read}, handled(services, list_clusters));
  table.add("DELETE", base + "/clusters/{clusterAddress}", {remove},
            handled(services, remove_cluster));
  table.add("GET", base + "/domains", {read}, handled(services, list_domains));
  table.add("POST", base + "/domains", {create}, handled(services, add_domain));
  table.add("DELETE", base + "/domains/{domainId}", {remove}, handled(services, remove_domain));
  table.add("GET", base + "/domains/{domainId}/validate", {create},
            handled(services, validate_domain));
  table.add("GET", base + "/proxy-tokens", {read}, handled(services, list_tokens));
  table.add("POST", base + "/proxy-tokens", {create}, handled(services, create_token));
  table.add("DELETE", base + "/proxy-tokens/{tokenId}", {remove}, handled(services, revoke_token));
  table.add("GET", "/api/reverse-proxy/callback", Access::kPublic, handled(services, signed_in));
  table.add("GET", "/api/events/proxy", {read}, handled(services, list_accesses));
}

}  // namespace nb::management::rest
