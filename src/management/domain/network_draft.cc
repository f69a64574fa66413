#include "management/domain/network_draft.h"

#include "management/domain/domain_name.h"

namespace nb::management {
namespace {

constexpr std::int64_t kMetricMin = 1;
constexpr std::int64_t kMetricMax = 9'999;

Result<> set_address(std::string_view address, const ToAsciiFn& to_ascii, NetworkResource& out) {
  if (const auto prefix = Prefix::parse(address)) {
    out.prefix = *prefix;  // host bits stay, as the caller wrote them
    out.type = prefix->length == prefix->address.bits() ? kResourceHost : kResourceSubnet;
    return {};
  }
  if (const auto ip = IpAddress::parse(address)) {
    out.prefix = {*ip, ip->bits()};
    out.type = kResourceHost;
    return {};
  }
  auto ascii = ascii_domain(address, to_ascii);
  if (!ascii || !is_domain_name(*ascii, Wildcard::kAllowed))
    return fail(Code::kInvalidArgument, "not a valid host, subnet, or domain");
  out.domain = address;  // stored as written: answers must equal what was sent
  out.type = kResourceDomain;
  return {};
}

}  // namespace

Result<NetworkRouter> router_of(const RouterDraft& draft) {
  if (!draft.peer.empty() && !draft.peer_groups.empty())
    return fail(kBadRequest, "peer and peer_groups cannot be set at the same time");
  if (draft.peer.empty() && draft.peer_groups.empty())
    return fail(kBadRequest, "either peer or peer_groups must be provided");
  if (draft.metric < kMetricMin || draft.metric > kMetricMax)
    return fail(Code::kInvalidArgument, "metric should be between {} and {}", kMetricMin,
                kMetricMax);
  NetworkRouter out;
  out.peer = draft.peer;
  out.peer_groups = draft.peer_groups;
  out.masquerade = draft.masquerade;
  out.metric = draft.metric;
  out.enabled = draft.enabled;
  return out;
}

Result<NetworkResource> resource_of(const ResourceDraft& draft, const ToAsciiFn& to_ascii) {
  NetworkResource out;
  if (draft.name.empty())
    return fail(Code::kInvalidArgument, "network resource name shouldn't be empty");
  out.name = draft.name;
  out.description = draft.description;
  out.enabled = draft.enabled;
  NB_TRY(set_address(draft.address, to_ascii, out));
  return out;
}

std::string address_of(const NetworkResource& resource) {
  return resource.type == kResourceDomain ? resource.domain : resource.prefix.to_string();
}

}  // namespace nb::management
