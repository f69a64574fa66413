#include "management/domain/route_draft.h"

#include "management/domain/domain_name.h"

#include <algorithm>

namespace nb::management {
namespace {

constexpr std::int64_t kMetricMin = 1;
constexpr std::int64_t kMetricMax = 9'999;
constexpr std::size_t kNetIdCharactersMax = 40;
constexpr std::size_t kDomainsMax = 32;
/// Documentation range: old agents that try to set it as a route do no harm.
const Prefix kDomainPlaceholder{IpAddress::v4(0xC0000200U), 32};

Error invalid(const char* text) {
  return fail(Code::kInvalidArgument, std::string(text));
}

Result<> check_presence(const RouteDraft& draft) {
  if (draft.network && draft.domains)
    return invalid("only one of 'network' or 'domains' should be provided");
  if (!draft.network && !draft.domains)
    return invalid("either 'network' or 'domains' should be provided");
  if (!draft.peer && !draft.peer_groups)
    return invalid("either 'peer' or 'peer_groups' should be provided");
  if (draft.peer && draft.peer_groups)
    return invalid("only one of 'peer' or 'peer_groups' should be provided");
  const std::size_t length = character_count(draft.net_id);
  if (length == 0 || length > kNetIdCharactersMax)
    return fail(Code::kInvalidArgument, "identifier should be between 1 and {} characters",
                kNetIdCharactersMax);
  return {};
}

Result<> set_destination(const RouteDraft& draft, const ToAsciiFn& to_ascii, Route& route) {
  if (draft.domains) {
    auto domains = ascii_domains(*draft.domains, to_ascii);
    if (!domains) return fail(Code::kInvalidArgument, "invalid domains: {}", domains.error().text);
    route.domains = *std::move(domains);
    route.network = kDomainPlaceholder;
    route.network_type = kNetworkTypeDomain;
    return {};
  }
  const auto prefix = Prefix::parse(*draft.network);
  if (!prefix) return fail(Code::kInvalidArgument, "invalid network {}", *draft.network);
  route.network = prefix->masked();
  route.network_type = route.network.address.is_v4() ? kNetworkTypeIpv4 : kNetworkTypeIpv6;
  return {};
}

}  // namespace

std::size_t character_count(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;  // not a continuation byte
  }));
}

Result<std::vector<std::string>> ascii_domains(const std::vector<std::string>& names,
                                               const ToAsciiFn& to_ascii) {
  if (names.empty()) return invalid("domains list is empty");
  if (names.size() > kDomainsMax)
    return fail(Code::kInvalidArgument, "domains list exceeds maximum allowed domains: {}",
                kDomainsMax);
  std::vector<std::string> out;
  for (const std::string& name : names) {
    auto ascii = ascii_domain(name, to_ascii);
    if (!ascii)
      return fail(Code::kInvalidArgument, "convert domain to punycode: {}: {}", name,
                  ascii.error().text);
    if (!is_domain_name(*ascii, Wildcard::kAllowed))
      return fail(Code::kInvalidArgument, "invalid domain format: {}", name);
    out.push_back(*std::move(ascii));
  }
  return out;
}

Result<Route> route_of(const RouteDraft& draft, const ToAsciiFn& to_ascii) {
  NB_TRY(check_presence(draft));
  Route route;
  NB_TRY(set_destination(draft, to_ascii, route));
  if (draft.metric < kMetricMin || draft.metric > kMetricMax)
    return fail(Code::kInvalidArgument, "metric should be between {} and {}", kMetricMin,
                kMetricMax);
  route.keep_route = draft.keep_route;
  route.net_id = draft.net_id;
  route.description = draft.description;
  route.peer = draft.peer.value_or(PeerId{});
  route.peer_groups = draft.peer_groups.value_or(std::vector<GroupId>{});
  route.masquerade = draft.masquerade;
  route.metric = draft.metric;
  route.enabled = draft.enabled;
  route.groups = draft.groups;
  route.access_control_groups = draft.access_control_groups;
  route.skip_auto_apply = draft.skip_auto_apply;
  if (route.groups.empty()) return invalid("the list of group IDs should not be empty");
  return route;
}

bool same_destination(const Route& a, const Route& b) {
  if (a.is_dynamic() != b.is_dynamic()) return false;
  return a.is_dynamic() ? a.domains == b.domains : a.network == b.network;
}

Result<> check_name_unreserved(std::string_view name, const Prefix& network) {
  constexpr std::string_view kReserved = "-v6";  // ipv6_default() in netmap/route_rules.cc
  if (!network.address.is_v6() || network.length != 0 || !name.ends_with(kReserved)) return {};
  return fail(Code::kInvalidArgument,
              "{}: names that end in {} are reserved for the IPv6 half of a default route", name,
              kReserved);
}

std::string describe_destination(const Route& route) {
  if (!route.is_dynamic()) return fmt::format("prefix {}", route.network.to_string());
  return fmt::format("domains [{}]", fmt::join(route.domains, ", "));
}

}  // namespace nb::management
