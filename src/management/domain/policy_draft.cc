#include "management/domain/policy_draft.h"

#include <algorithm>
#include <charconv>

namespace nb::management {
namespace {

constexpr std::int64_t kPortMax = 65'535;
constexpr std::size_t kRulesMax = 1'000;
constexpr std::size_t kPortsMax = 1'000;

Error invalid(const char* text) {
  return fail(Code::kInvalidArgument, std::string(text));
}

bool is_port(std::string_view text) {
  std::int64_t port = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
  return ec == std::errc{} && end == text.data() + text.size() && port >= 1 && port <= kPortMax;
}

Result<> check_sides(const PolicyRuleDraft& rule) {
  if (rule.sources && rule.source_resource)
    return invalid("specify either sources or  source resources, not both");
  if (rule.destinations && rule.destination_resource)
    return invalid("specify either destinations or  destination resources, not both");
  if (!(rule.sources || rule.source_resource) || !(rule.destinations || rule.destination_resource))
    return invalid(
        "specify either sources or source resources and destinations or destination resources");
  return {};
}

Result<> check_ports(const PolicyRuleDraft& rule) {
  if (!rule.ports.empty() && !rule.port_ranges.empty())
    return invalid("specify either individual ports or port ranges, not both");
  if (rule.ports.size() > kPortsMax || rule.port_ranges.size() > kPortsMax)
    return fail(Code::kInvalidArgument, "a rule has at most {} ports", kPortsMax);
  const bool ports_fit = std::all_of(rule.ports.begin(), rule.ports.end(), is_port);
  const bool ranges_fit =
      std::all_of(rule.port_ranges.begin(), rule.port_ranges.end(),
                  [](const auto& r) { return r.start >= 1 && r.end <= kPortMax; });
  if (!ports_fit || !ranges_fit) return invalid("valid port value is in 1..65535 range");
  // Upstream stores such a range, which then matches nothing.
  for (const PortRangeDraft& range : rule.port_ranges)
    if (range.start > range.end)
      return fail(Code::kInvalidArgument, "port range {}-{}: start is above end", range.start,
                  range.end);
  const bool has_ports = !rule.ports.empty() || !rule.port_ranges.empty();
  if (has_ports && (rule.protocol == kProtocolAll || rule.protocol == kProtocolIcmp))
    return invalid("for ALL or ICMP protocol ports is not allowed");
  return {};
}

Result<> check_ssh_groups(const PolicyRuleDraft& rule) {
  if (rule.protocol != kProtocolSsh || rule.authorized_groups.empty() || !rule.sources) return {};
  for (const GroupId& source : *rule.sources)
    if (!rule.authorized_groups.contains(source))
      return invalid(
          "authorized group for netbird-ssh protocol should be specified for each source group");
  return {};
}

Result<> check_rule(const PolicyRuleDraft& rule) {
  NB_TRY(check_sides(rule));
  if (rule.action != kActionAccept && rule.action != kActionDrop)
    return invalid("unknown action type");
  const auto known = {kProtocolAll, kProtocolTcp, kProtocolUdp, kProtocolIcmp, kProtocolSsh};
  if (std::find(known.begin(), known.end(), rule.protocol) == known.end())
    return fail(Code::kInvalidArgument, "unknown protocol type: {}", rule.protocol);
  NB_TRY(check_ports(rule));
  return check_ssh_groups(rule);
}

PolicyRule rule_of(const PolicyRuleDraft& draft) {
  PolicyRule rule;
  rule.id = draft.id;
  rule.name = draft.name;
  rule.description = draft.description;
  rule.enabled = draft.enabled;
  rule.action = draft.action;
  rule.destinations = draft.destinations.value_or(std::vector<GroupId>{});
  rule.destination_resource = draft.destination_resource.value_or(Resource{});
  rule.sources = draft.sources.value_or(std::vector<GroupId>{});
  rule.source_resource = draft.source_resource.value_or(Resource{});
  rule.bidirectional = draft.bidirectional;
  rule.protocol = draft.protocol;
  rule.ports = draft.ports;
  for (const PortRangeDraft& range : draft.port_ranges)
    rule.port_ranges.push_back(
        {static_cast<std::uint16_t>(range.start), static_cast<std::uint16_t>(range.end)});
  if (rule.protocol == kProtocolSsh) rule.authorized_groups = draft.authorized_groups;
  rule.authorized_user = draft.authorized_user;
  return rule;
}

template <class T>
bool same_set(std::vector<T> a, std::vector<T> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

bool same_ranges(std::vector<PortRange> a, std::vector<PortRange> b) {
  const auto less = [](const PortRange& x, const PortRange& y) {
    return x.start != y.start ? x.start < y.start : x.end < y.end;
  };
  std::sort(a.begin(), a.end(), less);
  std::sort(b.begin(), b.end(), less);
  return a == b;
}

bool same_users(const PolicyRule& a, const PolicyRule& b) {
  return std::equal(a.authorized_groups.begin(), a.authorized_groups.end(),
                    b.authorized_groups.begin(), b.authorized_groups.end(),
                    [](const auto& x, const auto& y) {
                      return x.first == y.first && same_set(x.second, y.second);
                    });
}

bool same_rule(const PolicyRule& a, const PolicyRule& b) {
  return a.id == b.id && a.name == b.name && a.description == b.description &&
         a.enabled == b.enabled && a.action == b.action &&
         same_set(a.destinations, b.destinations) &&
         a.destination_resource == b.destination_resource && same_set(a.sources, b.sources) &&
         a.source_resource == b.source_resource && a.bidirectional == b.bidirectional &&
         a.protocol == b.protocol && same_set(a.ports, b.ports) &&
         same_ranges(a.port_ranges, b.port_ranges) && same_users(a, b) &&
         a.authorized_user == b.authorized_user;
}

}  // namespace

Result<Policy> policy_of(const PolicyDraft& draft) {
  if (draft.name.empty()) return invalid("policy name shouldn't be empty");
  if (draft.rules.empty()) return invalid("policy rules shouldn't be empty");
  if (draft.rules.size() > kRulesMax)
    return fail(Code::kInvalidArgument, "a policy has at most {} rules", kRulesMax);
  Policy policy;
  policy.name = draft.name;
  policy.description = draft.description;
  policy.enabled = draft.enabled;
  policy.source_posture_checks = draft.source_posture_checks;
  for (const PolicyRuleDraft& rule : draft.rules) {
    NB_TRY(check_rule(rule));
    policy.rules.push_back(rule_of(rule));
  }
  return policy;
}

bool same_choice(const Policy& a, const Policy& b) {
  if (a.name != b.name || a.description != b.description || a.enabled != b.enabled ||
      !same_set(a.source_posture_checks, b.source_posture_checks) ||
      a.rules.size() != b.rules.size())
    return false;
  return std::all_of(a.rules.begin(), a.rules.end(), [&](const PolicyRule& rule) {
    return std::any_of(b.rules.begin(), b.rules.end(),
                       [&](const PolicyRule& other) { return same_rule(rule, other); });
  });
}

}  // namespace nb::management
