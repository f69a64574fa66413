#include "management/domain/settings_draft.h"

#include "management/domain/domain_name.h"

#include <algorithm>
#include <limits>

namespace nb::management {
namespace {

using namespace std::chrono_literals;

constexpr auto kLoginExpirationMin = 1h;
constexpr auto kLoginExpirationMax = 180 * 24h;
constexpr int kBitsMaxV4 = 28;
constexpr int kBitsMaxV6 = 120;
constexpr int kBitsMinV6 = 48;
constexpr std::int64_t kHostsMin = 10;

Error invalid(const char* text) {
  return fail(Code::kInvalidArgument, std::string(text));
}

bool within(const IpAddress& ip, const char* prefix) {
  return Prefix::parse(prefix)->contains(ip);
}

/// The kinds of addresses that no network can have.
Result<> check_address(const IpAddress& ip) {
  if (within(ip, "127.0.0.0/8") || within(ip, "::1/128"))
    return invalid("loopback address range not allowed");
  if (within(ip, "224.0.0.0/4") || within(ip, "ff00::/8"))
    return invalid("multicast address range not allowed");
  if (within(ip, "169.254.0.0/16") || within(ip, "fe80::/10"))
    return invalid("link-local address range not allowed");
  return {};
}

Result<> check_size(const Prefix& range) {
  if (range.address.is_v4() && range.length > kBitsMaxV4)
    return invalid("network range too small: minimum size is /28 for IPv4");
  if (range.address.is_v6() && range.length > kBitsMaxV6)
    return invalid("network range too small: minimum size is /120 for IPv6");
  if (range.address.is_v6() && range.length < kBitsMinV6)
    return invalid("network range too large: maximum size is /48 for IPv6");
  return {};
}

std::int64_t capacity(const Prefix& range) {
  const int bits = range.address.bits() - range.length;
  if (bits >= 63) return std::numeric_limits<std::int64_t>::max();
  const std::int64_t all = std::int64_t{1} << bits;
  return range.address.is_v4() ? all - 2 : all;
}

Result<Prefix> read_range(const std::string& text, bool v6, std::size_t peers) {
  const auto parsed = Prefix::parse(text);
  if (!parsed) return fail(Code::kInvalidArgument, "invalid CIDR format: {}", text);
  const Prefix range = parsed->masked();
  if (v6 && !range.address.is_v6()) return invalid("network range must be an IPv6 address");
  if (!v6 && !range.address.is_v4()) return invalid("network range must be an IPv4 address");
  NB_TRY(check_address(range.address));
  // 0.0.0.0/0 and the like would contain every other kind.
  if (!v6 && range.length < 8)
    return invalid("network range too large: maximum size is /8 for IPv4");
  NB_TRY(check_size(range));
  const auto count = static_cast<std::int64_t>(peers);
  const std::int64_t needed = std::max(kHostsMin, count + count / 2);
  if (capacity(range) < needed)
    return fail(Code::kInvalidArgument,
                "network range too small: need at least {} addresses for {} peers + buffer, but "
                "range provides {}",
                needed, peers, capacity(range));
  return range;
}

/// Three numbers with optional pre-release and build (semver.org), with or without a 'v'.
bool is_semantic_version(std::string_view text) {
  if (text.starts_with('v')) text.remove_prefix(1);
  const std::string_view numbers = text.substr(0, text.find_first_of("-+"));
  const std::string_view rest = text.substr(numbers.size());
  if (std::count(numbers.begin(), numbers.end(), '.') > 2 || numbers.empty()) return false;
  char last = '.';
  for (const char c : numbers) {
    if (c != '.' && (c < '0' || c > '9')) return false;
    if (c == '.' && last == '.') return false;
    last = c;
  }
  return last != '.' && rest.size() != 1 && text.size() <= 64 &&
         std::all_of(rest.begin(), rest.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '+' || c == '.';
         });
}

Result<> check_update_version(const std::string& version) {
  if (version.empty() || version == "latest" || version == "disabled" ||
      is_semantic_version(version))
    return {};
  return invalid("invalid AutoUpdateVersion");
}

void keep_extra(const AccountSettings& old, AccountSettings& out) {
  out.extra_peer_approval_enabled = old.extra_peer_approval_enabled;
  out.extra_user_approval_required = old.extra_user_approval_required;
}

Result<> set_ranges(const SettingsDraft& draft, std::size_t peers, AccountSettings& out) {
  if (draft.network_range && !draft.network_range->empty()) {
    NB_LET(out.network_range, read_range(*draft.network_range, false, peers));
  }
  if (draft.network_range_v6 && !draft.network_range_v6->empty()) {
    NB_LET(out.network_range_v6, read_range(*draft.network_range_v6, true, peers));
  }
  return {};
}

Result<> check_values(const AccountSettings& s) {
  if (s.peer_login_expiration > kLoginExpirationMax)
    return invalid("peer login expiration can't be larger than 180 days");
  if (s.peer_login_expiration < kLoginExpirationMin)
    return invalid("peer login expiration can't be smaller than one hour");
  if (s.peer_inactivity_expiration < 0s || s.peer_inactivity_expiration > kLoginExpirationMax)
    return invalid("peer inactivity expiration must be within 0 and 180 days");
  if (!s.dns_domain.empty() && !is_domain_name(s.dns_domain, Wildcard::kForbidden))
    return fail(Code::kInvalidArgument, "invalid domain \"{}\" provided for DNS domain",
                s.dns_domain);
  return {};
}

}  // namespace

Result<AccountSettings> settings_of(const SettingsDraft& draft, const Account& account,
                                    std::size_t peers) {
  const AccountSettings& old = account.settings;
  if (draft.values.peer_expose_enabled && draft.values.peer_expose_groups.empty())
    return invalid("peer expose requires at least one group");
  NB_TRY(check_update_version(draft.values.auto_update_version));
  if (draft.values.agent_network_only && !draft.dashboard_agent_network)
    return invalid(
        "agent network only mode requires dashboard_features.agent_network to be enabled");
  AccountSettings out = draft.values;
  out.network_range = old.network_range;
  out.network_range_v6 = old.network_range_v6;
  NB_TRY(set_ranges(draft, peers, out));
  NB_TRY(check_values(out));
  out.ipv6_enabled_groups = draft.ipv6_enabled_groups.value_or(old.ipv6_enabled_groups);
  out.auto_update_always = draft.auto_update_always.value_or(old.auto_update_always);
  out.metrics_push_enabled = draft.metrics_push_enabled.value_or(old.metrics_push_enabled);
  out.local_mfa_enabled = draft.local_mfa_enabled.value_or(old.local_mfa_enabled);
  out.jwt_allow_groups_unreadable = old.jwt_allow_groups_unreadable && out.jwt_allow_groups.empty();
  out.dashboard_features = draft.dashboard_features.value_or(old.dashboard_features);
  out.extra_integrated_validator = old.extra_integrated_validator;
  out.extra_integrated_validator_groups = old.extra_integrated_validator_groups;
  if (!draft.has_extra) keep_extra(old, out);
  return out;
}

const Prefix& effective_range(const Account& account) {
  return account.network.net.is_set() ? account.network.net : account.settings.network_range;
}
const Prefix& effective_range_v6(const Account& account) {
  return account.network.net_v6.is_set() ? account.network.net_v6
                                         : account.settings.network_range_v6;
}

namespace {

/// A switch and what its two positions are called.
struct Switch {
  bool AccountSettings::*value;
  Activity on;
  Activity off;
};
constexpr Switch kSwitches[] = {
    {&AccountSettings::routing_peer_dns_resolution_enabled, Activity::kAccountRoutingPeerDnsEnabled,
     Activity::kAccountRoutingPeerDnsDisabled},
    {&AccountSettings::lazy_connection_enabled, Activity::kAccountLazyConnectionEnabled,
     Activity::kAccountLazyConnectionDisabled},
    {&AccountSettings::peer_login_expiration_enabled, Activity::kAccountLoginExpirationEnabled,
     Activity::kAccountLoginExpirationDisabled},
    // Upstream records only the switching off.
    {&AccountSettings::peer_inactivity_expiration_enabled,
     Activity::kAccountInactivityExpirationEnabled, Activity::kAccountInactivityExpirationDisabled},
    {&AccountSettings::groups_propagation_enabled, Activity::kAccountGroupPropagationEnabled,
     Activity::kAccountGroupPropagationDisabled},
    {&AccountSettings::auto_update_always, Activity::kAccountAutoUpdateAlwaysEnabled,
     Activity::kAccountAutoUpdateAlwaysDisabled},
    {&AccountSettings::metrics_push_enabled, Activity::kAccountMetricsPushEnabled,
     Activity::kAccountMetricsPushDisabled},
    {&AccountSettings::peer_expose_enabled, Activity::kAccountPeerExposeEnabled,
     Activity::kAccountPeerExposeDisabled},
    {&AccountSettings::local_mfa_enabled, Activity::kAccountLocalMfaEnabled,
     Activity::kAccountLocalMfaDisabled},
    {&AccountSettings::extra_peer_approval_enabled, Activity::kAccountPeerApprovalEnabled,
     Activity::kAccountPeerApprovalDisabled},
};

void add_range_events(const Account& before, const AccountSettings& after,
                      std::vector<SettingsEvent>& out) {
  const auto add = [&](const Prefix& old, const Prefix& now, const char* suffix) {
    if (!now.is_set() || now == old) return;
    out.push_back({Activity::kAccountNetworkRangeUpdated,
                   {{fmt::format("old_network_range{}", suffix), old.to_string()},
                    {fmt::format("new_network_range{}", suffix), now.to_string()}}});
  };
  add(effective_range(before), after.network_range, "");
  add(effective_range_v6(before), after.network_range_v6, "_v6");
}

}  // namespace

std::vector<SettingsEvent> settings_events(const Account& before, const AccountSettings& after) {
  const AccountSettings& old = before.settings;
  std::vector<SettingsEvent> out;
  for (const Switch& s : kSwitches)
    if (old.*s.value != after.*s.value) out.push_back({after.*s.value ? s.on : s.off, {}});
  if (old.peer_login_expiration != after.peer_login_expiration)
    out.push_back({Activity::kAccountLoginExpirationUpdated, {}});
  if (after.peer_inactivity_expiration_enabled &&
      old.peer_inactivity_expiration != after.peer_inactivity_expiration)
    out.push_back({Activity::kAccountInactivityExpirationUpdated, {}});
  if (old.auto_update_version != after.auto_update_version)
    out.push_back(
        {Activity::kAccountAutoUpdateVersionUpdated, {{"version", after.auto_update_version}}});
  if (old.dns_domain != after.dns_domain)
    out.push_back({Activity::kAccountDnsDomainUpdated,
                   {{"old_dns_domain", old.dns_domain}, {"new_dns_domain", after.dns_domain}}});
  if (old.ipv6_enabled_groups.empty() != after.ipv6_enabled_groups.empty())
    out.push_back({after.ipv6_enabled_groups.empty() ? Activity::kAccountIpv6Disabled
                                                     : Activity::kAccountIpv6Enabled,
                   {}});
  add_range_events(before, after, out);
  return out;
}

bool concerns_peers(const AccountSettings& a, const AccountSettings& b) {
  return a.routing_peer_dns_resolution_enabled != b.routing_peer_dns_resolution_enabled ||
         a.lazy_connection_enabled != b.lazy_connection_enabled || a.dns_domain != b.dns_domain ||
         a.auto_update_version != b.auto_update_version ||
         a.auto_update_always != b.auto_update_always ||
         a.peer_login_expiration_enabled != b.peer_login_expiration_enabled ||
         a.peer_login_expiration != b.peer_login_expiration ||
         a.metrics_push_enabled != b.metrics_push_enabled ||
         a.ipv6_enabled_groups != b.ipv6_enabled_groups ||
         a.extra_peer_approval_enabled != b.extra_peer_approval_enabled ||
         a.groups_propagation_enabled != b.groups_propagation_enabled;
}

}  // namespace nb::management
