#include "management/domain/dns_draft.h"

#include "management/domain/domain_name.h"
#include "management/domain/route_draft.h"

namespace nb::management {
namespace {

constexpr std::size_t kNameServersMax = 3;
constexpr std::size_t kGroupNameCharactersMax = 40;
constexpr std::size_t kZoneNameBytesMax = 255;
constexpr std::size_t kDomainsMax = 1'000;
constexpr std::int64_t kTtlMax = 2'147'483'647;  // RFC 2181 §8

Error invalid(const char* text) {
  return fail(Code::kInvalidArgument, std::string(text));
}

Result<NameServer> name_server_of(const NameServerDraft& draft) {
  std::string_view text = draft.ip;
  if (text.starts_with('[') && text.ends_with(']') && text.size() > 2)
    text = text.substr(1, text.size() - 2);
  const auto ip = IpAddress::parse(text);
  if (!ip || draft.type != "udp" || draft.port < 1 || draft.port > 65'535)
    return invalid("invalid ns servers format");
  return NameServer{*ip, kNameServerUdp, draft.port};
}

/// Checked in ASCII and stored as sent, because answers must equal what was sent.
Result<> check_match_domain(const std::string& domain, const ToAsciiFn& to_ascii) {
  std::string_view name = domain;
  if (name.ends_with('.')) name.remove_suffix(1);
  const auto ascii = ascii_domain(name, to_ascii);
  if (domain.starts_with("*."))
    return fail(Code::kInvalidArgument,
                "nameserver group got an invalid domain: {} \"wildcards not allowed\"", domain);
  if (!ascii || !is_domain_name(*ascii, Wildcard::kForbidden))
    return fail(Code::kInvalidArgument,
                "nameserver group got an invalid domain: {} \"invalid domain name\"", domain);
  return {};
}

Result<> check_domains(const NameServerGroupDraft& draft, const ToAsciiFn& to_ascii) {
  if (!draft.primary && draft.domains.empty())
    return invalid(
        "nameserver group primary status is false and domains are empty, it should be primary or "
        "have at least one domain");
  if (draft.primary && !draft.domains.empty())
    return invalid(
        "nameserver group primary status is true and domains are not empty, you should set either "
        "primary or domain");
  if (draft.primary && draft.search_domains_enabled)
    return invalid(
        "nameserver group primary status is true and search domains is enabled, you should not set "
        "search domains for primary nameservers");
  if (draft.domains.size() > kDomainsMax)
    return fail(Code::kInvalidArgument, "a nameserver group has at most {} domains", kDomainsMax);
  for (const std::string& domain : draft.domains) NB_TRY(check_match_domain(domain, to_ascii));
  return {};
}

Result<> check_content(const RecordDraft& draft) {
  const auto ip = IpAddress::parse(draft.content);
  if (draft.type == "A") {
    if (draft.content.empty()) return invalid("A record is required");
    if (!ip || !ip->is_v4()) return invalid("A record must be a valid IPv4 address");
    return {};
  }
  if (draft.type == "AAAA") {
    if (draft.content.empty()) return invalid("AAAA record is required");
    if (!ip || ip->unmapped().is_v4()) return invalid("AAAA record must be a valid IPv6 address");
    return {};
  }
  if (draft.type == "CNAME") {
    if (!is_domain_name(draft.content, Wildcard::kForbidden))
      return invalid("invalid CNAME target format");
    return {};
  }
  return invalid("invalid record type, must be A, AAAA, or CNAME");
}

}  // namespace

Result<NameServerGroup> name_server_group_of(const NameServerGroupDraft& draft,
                                             const ToAsciiFn& to_ascii) {
  NameServerGroup out;
  for (const NameServerDraft& server : draft.name_servers) {
    NB_LET(const NameServer read, name_server_of(server));
    out.name_servers.push_back(read);
  }
  NB_TRY(check_domains(draft, to_ascii));
  if (out.name_servers.empty() || out.name_servers.size() > kNameServersMax)
    return fail(Code::kInvalidArgument, "the list of nameservers should be 1 or 3, got {}",
                out.name_servers.size());
  const std::size_t length = character_count(draft.name);
  if (length == 0 || length > kGroupNameCharactersMax)
    return fail(Code::kInvalidArgument, "nameserver group name should be between 1 and {}",
                kGroupNameCharactersMax);
  if (draft.groups.empty()) return invalid("the list of group IDs should not be empty");
  out.name = draft.name;
  out.description = draft.description;
  out.groups = draft.groups;
  out.primary = draft.primary;
  out.domains = draft.domains;
  out.enabled = draft.enabled;
  out.search_domains_enabled = draft.search_domains_enabled;
  return out;
}

Result<DnsZone> zone_of(const ZoneDraft& draft) {
  if (draft.name.empty()) return invalid("zone name is required");
  if (draft.name.size() > kZoneNameBytesMax)
    return invalid("zone name exceeds maximum length of 255 characters");
  if (!is_domain_name(draft.domain, Wildcard::kForbidden))
    return invalid("invalid zone domain format");
  if (draft.distribution_groups.empty())
    return invalid("at least one distribution group is required");
  DnsZone out;
  out.name = draft.name;
  out.domain = draft.domain;
  out.enabled = draft.enabled;
  out.enable_search_domain = draft.enable_search_domain;
  out.distribution_groups = draft.distribution_groups;
  return out;
}

Result<DnsZoneRecord> record_of(const RecordDraft& draft) {
  if (draft.name.empty()) return invalid("record name is required");
  if (!is_domain_name(draft.name, Wildcard::kAllowed)) return invalid("invalid record name format");
  if (draft.type.empty()) return invalid("record type is required");
  NB_TRY(check_content(draft));
  if (draft.ttl < 0) return invalid("TTL cannot be negative");
  if (draft.ttl > kTtlMax) return fail(Code::kInvalidArgument, "TTL cannot be above {}", kTtlMax);
  DnsZoneRecord out;
  out.name = draft.name;
  out.type = draft.type;
  out.content = draft.content;
  out.ttl = draft.ttl;
  return out;
}

Result<> check_record_fits(const DnsZone& zone, const DnsZoneRecord& record) {
  if (!is_below(record.name, zone.domain)) return invalid("record name does not belong to zone");
  for (const DnsZoneRecord& other : zone.records) {
    if (other.id == record.id || other.name != record.name) continue;
    if (other.type == record.type && other.content == record.content)
      return fail(Code::kAlreadyExists, "identical record already exists");
    if (other.type == "CNAME" || record.type == "CNAME")
      return fail(Code::kInvalidArgument, "An A, AAAA, or CNAME record with name {} already exists",
                  record.name);
  }
  return {};
}

}  // namespace nb::management
