#include "management/domain/service.h"

#include "base/text.h"
#include "management/domain/address.h"
#include "management/domain/domain_name.h"

#include <algorithm>
#include <array>
#include <set>

namespace nb::management {
namespace {

constexpr std::size_t kNameMax = 255;
constexpr std::size_t kDomainMax = 253;
constexpr std::size_t kTargetsMax = 100;
constexpr std::size_t kCustomHeadersMax = 16;
constexpr std::size_t kHeaderAuthsMax = 16;
constexpr std::size_t kHeaderNameMax = 128;
constexpr std::size_t kHeaderValueMax = 4096;
constexpr std::size_t kCidrsMax = 200;
constexpr std::size_t kCountriesMax = 50;
constexpr std::int64_t kPortMax = 65'535;

// RFC 9110 §7.6.1 and what HTTP/1.1 proxies take for such.
constexpr std::array<std::string_view, 9> kHopByHop = {"connection",
                                                       "keep-alive",
                                                       "proxy-authenticate",
                                                       "proxy-authorization",
                                                       "proxy-connection",
                                                       "te",
                                                       "trailer",
                                                       "transfer-encoding",
                                                       "upgrade"};
constexpr std::array<std::string_view, 9> kOfTheProxy = {
    "content-length",   "content-type",      "cookie",
    "forwarded",        "x-forwarded-for",   "x-forwarded-host",
    "x-forwarded-port", "x-forwarded-proto", "x-real-ip"};

template <class... Args>
Error invalid(fmt::format_string<Args...> text, Args&&... args) {
  return fail(Code::kInvalidArgument, "{}", fmt::format(text, std::forward<Args>(args)...));
}

template <class List>
bool listed(const List& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

/// RFC 9110 token.
bool is_header_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool has_line_end(std::string_view text) {
  return text.find_first_of("\r\n") != std::string_view::npos;
}

/// `where` begins the text, as "target 0: custom header".
Result<> check_header_name(const std::string& where, const std::string& name) {
  if (!is_header_name(name))
    return invalid("{} \"{}\" is not a valid HTTP header name", where, name);
  if (name.size() > kHeaderNameMax)
    return invalid("{} \"{}\" exceeds maximum length of {}", where, name, kHeaderNameMax);
  const std::string known = lower(name);
  if (listed(kHopByHop, known))
    return invalid("{} \"{}\" is a hop-by-hop header and cannot be set", where, name);
  if (listed(kOfTheProxy, known))
    return invalid("{} \"{}\" is managed by the proxy and cannot be overridden", where, name);
  if (known == "host") return invalid("{} cannot be Host: use pass_host_header", where);
  return {};
}

Result<> check_custom_headers(std::size_t index, const TargetOptions& options) {
  if (options.custom_headers.size() > kCustomHeadersMax)
    return invalid("target {}: custom_headers count {} exceeds maximum of {}", index,
                   options.custom_headers.size(), kCustomHeadersMax);
  std::set<std::string> seen;
  const std::string where = fmt::format("target {}: custom header", index);
  for (const auto& [name, value] : options.custom_headers) {
    NB_TRY(check_header_name(where, name));
    if (value.size() > kHeaderValueMax)
      return invalid("{} \"{}\" value exceeds maximum length of {}", where, name, kHeaderValueMax);
    if (has_line_end(value)) return invalid("{} \"{}\" contains invalid characters", where, name);
    if (!seen.insert(lower(name)).second)
      return invalid("{} \"{}\" is given twice in different case", where, name);
  }
  return {};
}

Result<> check_header_auths(const std::vector<HeaderAuth>& headers) {
  if (headers.size() > kHeaderAuthsMax)
    return invalid("header_auths: exceeds maximum of {} entries", kHeaderAuthsMax);
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const HeaderAuth& auth = headers[i];
    if (!auth.enabled) continue;
    if (auth.header.empty()) return invalid("header_auths[{}]: header name is required", i);
    NB_TRY(check_header_name(fmt::format("header_auths[{}]: header", i), auth.header));
    if (auth.secret.size() > kHeaderValueMax)
      return invalid("header_auths[{}]: value exceeds maximum length of {}", i, kHeaderValueMax);
  }
  return {};
}

Result<> check_cidrs(std::string_view field, const std::vector<std::string>& cidrs) {
  if (cidrs.size() > kCidrsMax)
    return invalid("{}: exceeds maximum of {} entries", field, kCidrsMax);
  for (std::size_t i = 0; i < cidrs.size(); ++i) {
    const auto prefix = Prefix::parse(cidrs[i]);
    if (!prefix) return invalid("{}[{}]: \"{}\" is not an IP prefix", field, i, cidrs[i]);
    if (prefix->address != prefix->masked().address)
      return invalid("{}[{}]: \"{}\" has host bits set, use {} instead", field, i, cidrs[i],
                     prefix->masked().to_string());
  }
  return {};
}

Result<> check_countries(std::string_view field, std::vector<std::string>& codes) {
  if (codes.size() > kCountriesMax)
    return invalid("{}: exceeds maximum of {} entries", field, kCountriesMax);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    if (codes[i].size() != 2 || !letter(codes[i][0]) || !letter(codes[i][1]))
      return invalid("{}[{}]: \"{}\" must be a 2-letter ISO 3166-1 alpha-2 code", field, i,
                     codes[i]);
    for (char& c : codes[i])
      if (c >= 'a') c = static_cast<char>(c - 'a' + 'A');
  }
  return {};
}

Result<> check_restrictions(AccessRestrictions& limits) {
  constexpr std::array<std::string_view, 4> kModes = {"", "off", "enforce", "observe"};
  if (!listed(kModes, limits.crowdsec_mode))
    return invalid("invalid crowdsec_mode \"{}\"", limits.crowdsec_mode);
  NB_TRY(check_cidrs("allowed_cidrs", limits.allowed_cidrs));
  NB_TRY(check_cidrs("blocked_cidrs", limits.blocked_cidrs));
  NB_TRY(check_countries("allowed_countries", limits.allowed_countries));
  return check_countries("blocked_countries", limits.blocked_countries);
}

Result<> check_private(const Service& service) {
  if (!service.is_private) return {};
  if (service.mode != kModeHttp)
    return invalid("private services only support HTTP mode, got \"{}\"", service.mode);
  if (service.access_groups.empty())
    return invalid("private services require at least one access group");
  if (service.auth.bearer && service.auth.bearer->enabled)
    return invalid("private services cannot enable bearer auth (SSO)");
  return {};
}

/// A host that the proxy dials itself.
Result<> check_direct_host(std::size_t index, const FullTarget& target) {
  if (!target.options.direct_upstream || target.host.empty()) return {};
  if (target.host.find_first_of(" \t/") != std::string::npos)
    return invalid("target {}: host \"{}\" contains invalid characters", index, target.host);
  const bool bare_v6 = IpAddress::parse(target.host).has_value();
  if (!bare_v6 && target.host.find(':') != std::string::npos && target.host.back() != ']')
    return invalid("target {}: host \"{}\" must not include a port (set target.port instead)",
                   index, target.host);
  return {};
}

Result<> check_common(std::size_t index, const FullTarget& target) {
  constexpr std::array<std::string_view, 4> kProtocols = {"http", "https", "tcp", "udp"};
  constexpr std::array<std::string_view, 5> kTypes = {"peer", "host", "domain", "subnet",
                                                      "cluster"};
  if (!listed(kTypes, target.target_type))
    return invalid("target {} has invalid target_type \"{}\"", index, target.target_type);
  if (target.target_id.empty()) return invalid("target {} has empty target_id", index);
  if (!listed(kProtocols, target.protocol))
    return invalid("target {} has invalid protocol \"{}\"", index, target.protocol);
  if (target.port < 0 || target.port > kPortMax)
    return invalid("target {}: port {} is out of range", index, target.port);
  if (target.target_type == "subnet" && target.host.empty())
    return invalid("target {} has empty host but target_type is \"subnet\"", index);
  if (target.options.request_timeout < target.options.request_timeout.zero())
    return invalid("target {}: request_timeout must be positive", index);
  if (target.options.session_idle_timeout < target.options.session_idle_timeout.zero())
    return invalid("target {}: session_idle_timeout must be positive", index);
  return check_direct_host(index, target);
}

Result<> check_http_target(std::size_t index, const FullTarget& target) {
  NB_TRY(check_common(index, target));
  if (target.target_type == "cluster") {
    if (target.host.empty()) return invalid("target {}: has empty host", index);
    if (!target.options.direct_upstream)
      return invalid("target {}: {} has direct upstream disabled", index, target.host);
  }
  if (target.options.proxy_protocol)
    return invalid("target {}: proxy_protocol is not supported for HTTP services", index);
  if (!target.options.path_rewrite.empty() && target.options.path_rewrite != "preserve")
    return invalid("target {}: unknown path_rewrite mode \"{}\"", index,
                   target.options.path_rewrite);
  return check_custom_headers(index, target.options);
}

Result<> check_http(const Service& service) {
  if (service.listen_port != 0) return invalid("listen_port is not supported for HTTP services");
  for (std::size_t i = 0; i < service.targets.size(); ++i)
    NB_TRY(check_http_target(i, service.targets[i]));
  return {};
}

Result<> check_layer4(Service& service) {
  const std::string kind = service.mode == kModeTls ? "TLS" : "TCP/UDP";
  if (service.auth.any_enabled()) return invalid("auth is not supported for {} services", kind);
  if (service.mode == kModeTls && service.listen_port == 0)
    return invalid("listen_port is required for TLS services");
  if (service.targets.size() != 1) return invalid("{} services must have exactly one target", kind);
  FullTarget& target = service.targets.front();
  target.enabled = true;
  NB_TRY(check_common(0, target));
  if (service.mode == "udp" && target.options.proxy_protocol)
    return invalid("proxy_protocol is not supported for UDP services");
  if (target.port == 0) return invalid("target port is required for L4 services");
  if (target.path && !target.path->empty() && *target.path != "/")
    return invalid("path is not supported for L4 services");
  if (target.options.skip_tls_verify)
    return invalid("skip_tls_verify is not supported for L4 services");
  if (!target.options.path_rewrite.empty())
    return invalid("path_rewrite is not supported for L4 services");
  if (!target.options.custom_headers.empty())
    return invalid("custom_headers is not supported for L4 services");
  return {};
}

}  // namespace

bool ServiceAuth::any_enabled() const {
  return (password && password->enabled) || (pin && pin->enabled) || (bearer && bearer->enabled) ||
         std::any_of(headers.begin(), headers.end(), [](const HeaderAuth& h) { return h.enabled; });
}

bool AccessRestrictions::empty() const {
  return allowed_cidrs.empty() && blocked_cidrs.empty() && allowed_countries.empty() &&
         blocked_countries.empty() && crowdsec_mode.empty();
}

Result<> check_service(Service& service) {
  constexpr std::array<std::string_view, 4> kModes = {"http", "tcp", "udp", "tls"};
  if (service.name.empty()) return invalid("service name is required");
  if (service.name.size() > kNameMax)
    return invalid("service name exceeds maximum length of {} characters", kNameMax);
  if (service.targets.empty()) return invalid("at least one target is required");
  if (service.targets.size() > kTargetsMax)
    return invalid("targets: exceeds maximum of {} entries", kTargetsMax);
  if (service.mode.empty()) service.mode = kModeHttp;
  if (!listed(kModes, service.mode)) return invalid("unsupported mode \"{}\"", service.mode);
  NB_TRY(check_header_auths(service.auth.headers));
  NB_TRY(check_restrictions(service.restrictions));
  NB_TRY(check_private(service));
  if (service.domain.empty()) return invalid("service domain is required");
  if (service.domain.size() > kDomainMax)
    return invalid("service domain exceeds maximum length of {} characters", kDomainMax);
  if (service.listen_port < 0 || service.listen_port > kPortMax)
    return invalid("listen_port {} is out of range", service.listen_port);
  return service.layer4() ? check_layer4(service) : check_http(service);
}

const ProxyCluster* cluster_of_domain(const std::vector<ProxyCluster>& clusters,
                                      std::string_view domain) {
  const ProxyCluster* best = nullptr;
  for (const ProxyCluster& cluster : clusters)
    if (is_below(domain, cluster.address) &&
        (best == nullptr || cluster.address.size() > best->address.size()))
      best = &cluster;
  return best;
}

}  // namespace nb::management
