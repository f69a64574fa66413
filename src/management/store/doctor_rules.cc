// Source   contract/schema/README.md, network-map.md §1.
#include "management/store/doctor_rules.h"

#include "crypto/encoding.h"
#include "management/domain/network.h"
#include "management/domain/policy.h"
#include "management/store/edits/service_rows.h"
#include "management/store/json_read.h"

#include <boost/json/value.hpp>

#include <algorithm>
#include <charconv>

namespace nb::management::doctor {
namespace {

constexpr std::string_view kRecordA = "A";
constexpr std::string_view kRecordAaaa = "AAAA";
constexpr std::string_view kRecordCname = "CNAME";
constexpr std::string_view kTypeOne = "1";
constexpr std::string_view kTypeTwo = "2";
constexpr std::string_view kTypeThree = "3";

template <auto Read>
void check(std::string_view text, columns::Damage& damage) {
  static_cast<void>(Read(text, damage));
}
void check_environment(std::string_view text, columns::Damage& damage) {
  PeerMeta meta;
  columns::read_environment(text, meta, damage);
}

constexpr auto kStrings = &check<&columns::read_strings>;
constexpr auto kAddress = &check<&columns::read_address>;
constexpr auto kPrefix = &check<&columns::read_prefix>;
constexpr auto kResource = &check<&columns::read_resource>;

template <auto... Known>
bool is_one_of(std::string_view text) {
  return ((text == *Known) || ...);
}

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  return error == std::errc{} && stop == end && port > 0;
}
bool are_ports(std::string_view text) {
  columns::Damage damage;  // said elsewhere
  return std::ranges::all_of(columns::read_strings(text, damage), is_port);
}
bool are_port_ranges(std::string_view text) {
  columns::Damage damage;
  return std::ranges::all_of(columns::read_port_ranges(text, damage), [](const PortRange& range) {
    return range.start > 0 && range.start <= range.end;
  });
}
bool is_json(std::string_view text) {
  columns::Damage damage;
  static_cast<void>(columns::parsed(text, damage));
  return damage.fields == 0;
}
bool is_key_hash(std::string_view text) {
  const auto bytes = crypto::from_base64(text);
  return bytes && bytes->size() == 32;
}

std::vector<std::string> authorized_groups(std::string_view text, columns::Damage& damage) {
  std::vector<std::string> out;
  for (const auto& [group, users] : columns::read_authorized_groups(text, damage))
    out.push_back(group.value());
  return out;
}
std::vector<std::string> one_id(std::string_view text, columns::Damage& /*damage*/) {
  if (text.empty()) return {};
  return {std::string(text)};
}

constexpr std::string_view kEmpty = "read as empty";
constexpr std::string_view kRuleOff = "the rule is off";
constexpr std::string_view kSideUnknown = "the rule is off; one that drops drops for all";
constexpr std::string_view kPortsUnknown = "the rule is off; one that drops drops on every port";
constexpr std::string_view kRouteOff = "the route is off";
constexpr std::string_view kServersOff = "the nameserver group is off";
constexpr std::string_view kServiceOff = "the service is off";
constexpr std::string_view kNoNetwork =
    "no peer can join or log in, and agents keep their maps, until a network range is saved";
constexpr std::string_view kPartly = "the damaged part is left out";

}  // namespace

std::span<const Structure> structures() {
  static constexpr Structure kAll[] = {
      {"group_peers", "member is not there:", "ignored",
       "SELECT m.group_id, m.peer_id FROM group_peers m WHERE NOT EXISTS (SELECT 1 FROM peers p "
       "WHERE p.id = m.peer_id) ORDER BY m.group_id, m.peer_id"},
      {"group_peers", "group is not there; member:", "ignored",
       "SELECT m.group_id, m.peer_id FROM group_peers m WHERE NOT EXISTS (SELECT 1 FROM groups g "
       "WHERE g.id = m.group_id) ORDER BY m.group_id, m.peer_id"},
      {"group_peers", "member belongs to another account:", "ignored",
       "SELECT m.group_id, m.peer_id FROM group_peers m JOIN groups g ON g.id = m.group_id JOIN "
       "peers "
       "p ON p.id = m.peer_id WHERE g.account_id <> p.account_id ORDER BY m.group_id, m.peer_id"},
      {"policy_rules", "policy is not there:", "ignored",
       "SELECT r.id, r.policy_id FROM policy_rules r WHERE NOT EXISTS (SELECT 1 FROM policies o "
       "WHERE "
       "o.id = r.policy_id) ORDER BY r.id"},
      {"policies", "has no rule", "allows nothing",
       "SELECT o.id, '' FROM policies o WHERE NOT EXISTS (SELECT 1 FROM policy_rules r WHERE "
       "r.policy_id = o.id) ORDER BY o.id"},
      {"records", "zone is not there:", "ignored",
       "SELECT d.id, d.zone_id FROM records d WHERE NOT EXISTS (SELECT 1 FROM zones z WHERE z.id = "
       "d.zone_id) ORDER BY d.id"},
      {"targets", "service is not there:", "ignored",
       "SELECT x.id, x.service_id FROM targets x WHERE NOT EXISTS (SELECT 1 FROM services v WHERE "
       "v.id = x.service_id) ORDER BY x.id"},
      {"targets", "peer is not there:", "leads nowhere",
       "SELECT x.id, x.target_id FROM targets x WHERE x.target_type = 'peer' AND NOT EXISTS "
       "(SELECT "
       "1 FROM peers p WHERE p.id = x.target_id AND p.account_id = x.account_id) ORDER BY x.id"},
      {"targets", "resource is not there:", "leads nowhere",
       "SELECT x.id, x.target_id FROM targets x WHERE x.target_type IN ('host', 'subnet', "
       "'domain') "
       "AND NOT EXISTS (SELECT 1 FROM network_resources e WHERE e.id = x.target_id AND "
       "e.account_id "
       "= x.account_id) ORDER BY x.id"},
      {"network_routers", "network is not there:", "routes nothing",
       "SELECT w.id, w.network_id FROM network_routers w WHERE NOT EXISTS (SELECT 1 FROM networks "
       "n "
       "WHERE n.id = w.network_id) ORDER BY w.id"},
      {"network_resources", "network is not there:", "is reached by nobody",
       "SELECT e.id, e.network_id FROM network_resources e WHERE NOT EXISTS (SELECT 1 FROM "
       "networks n "
       "WHERE n.id = e.network_id) ORDER BY e.id"},
      {"network_routers", "peer is not there:", "routes nothing",
       "SELECT w.id, w.peer FROM network_routers w WHERE COALESCE(w.peer, '') <> '' AND NOT EXISTS "
       "(SELECT 1 FROM peers p WHERE p.id = w.peer) ORDER BY w.id"},
      {"routes", "peer is not there:", "the route is left out",
       "SELECT t.id, t.peer FROM routes t WHERE COALESCE(t.peer, '') <> '' AND NOT EXISTS (SELECT "
       "1 "
       "FROM peers p WHERE p.id = t.peer) ORDER BY t.id"},
      {"peers", "user is not there:", "counts as a user's machine that nobody can log in again",
       "SELECT p.id, p.user_id FROM peers p WHERE COALESCE(p.user_id, '') <> '' AND NOT EXISTS "
       "(SELECT 1 FROM users u WHERE u.id = p.user_id) ORDER BY p.id"},
      {"peers", "has no key", "left out of the account",
       "SELECT p.id, '' FROM peers p WHERE COALESCE(p.key, '') = '' ORDER BY p.id"},
      {"peers", "has no address", "left out of the account",
       "SELECT p.id, '' FROM peers p WHERE COALESCE(p.ip, '') IN ('', '\"\"') ORDER BY p.id"},
      {"peers", "is not in the group All:", "policies for all do not reach it",
       "SELECT p.id, p.name FROM peers p WHERE NOT COALESCE(p.proxy_meta_embedded, FALSE) AND NOT "
       "EXISTS (SELECT 1 FROM group_peers m JOIN groups g ON g.id = m.group_id WHERE m.peer_id = "
       "p.id "
       "AND g.name = 'All') ORDER BY p.id"},
      {"accounts", "has no group All", "new peers join no group",
       "SELECT a.id, '' FROM accounts a WHERE NOT EXISTS (SELECT 1 FROM groups g WHERE "
       "g.account_id = "
       "a.id AND g.name = 'All') ORDER BY a.id"},
      {"accounts", "has no owner", "nobody may do everything",
       "SELECT a.id, '' FROM accounts a WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.account_id "
       "= "
       "a.id AND u.role = 'owner') ORDER BY a.id"},
      {"accounts", "has no network", kNoNetwork,
       "SELECT a.id, '' FROM accounts a WHERE COALESCE(a.network_net, '') IN ('', '{}', 'null') "
       "ORDER "
       "BY a.id"},
      {"personal_access_tokens", "user is not there:", "the token opens nothing",
       "SELECT t.id, t.user_id FROM personal_access_tokens t WHERE NOT EXISTS (SELECT 1 FROM users "
       "u "
       "WHERE u.id = t.user_id) ORDER BY t.id"},
  };
  return kAll;
}

std::span<const std::string_view> account_tables() {
  static constexpr std::string_view kAll[] = {"users",
                                              "peers",
                                              "groups",
                                              "policies",
                                              "posture_checks",
                                              "routes",
                                              "networks",
                                              "network_routers",
                                              "network_resources",
                                              "name_server_groups",
                                              "zones",
                                              "records",
                                              "setup_keys",
                                              "services",
                                              "targets",
                                              "domains",
                                              "user_invites",
                                              "jobs"};
  return kAll;
}

std::span<const NotNull> not_null() {
  static constexpr NotNull kAll[] = {
      {"accounts", "created_by domain domain_category is_domain_primary_account"},
      {"users",
       "role service_user_name issued integration_ref_id integration_ref_integration_type email "
       "name"},
      {"peers", "key name dns_label user_id ssh_key"},
      {"groups", "public_id name issued"},
      {"policies", "public_id name description"},
      {"policy_rules", "name description action protocol"},
      {"routes", "public_id net_id description peer network_type"},
      {"name_server_groups", "public_id name description"},
      {"posture_checks", "public_id name description"},
      {"networks", "public_id name description"},
      {"network_routers", "public_id peer"},
      {"network_resources", "public_id name description type domain"},
      {"setup_keys", "key key_secret name type"},
      {"personal_access_tokens", "name hashed_token created_by"},
      {"targets", "host"},
  };
  return kAll;
}

std::span<const Encoded> encoded() {
  using namespace columns;
  static constexpr Encoded kAll[] = {
      {"accounts", "network_net", &check<&read_network_v4>, kNoNetwork},
      {"accounts", "network_net_v6", &check<&read_network_v6>, "no IPv6 in this account"},
      {"accounts", "dns_settings_disabled_management_groups", kStrings, kEmpty},
      {"accounts", "settings_jwt_allow_groups", kStrings, "no user of a provider gets in"},
      {"accounts", "settings_peer_expose_groups", kStrings, kEmpty},
      {"accounts", "settings_ipv6_enabled_groups", kStrings, kEmpty},
      {"accounts", "settings_network_range", kPrefix, kEmpty},
      {"accounts", "settings_network_range_v6", kPrefix, kEmpty},
      {"users", "auto_groups", kStrings, kEmpty},
      {"setup_keys", "auto_groups", kStrings, kEmpty},
      {"user_invites", "auto_groups", kStrings, kEmpty},
      {"peers", "ip", kAddress, "the peer is left out of the account"},
      {"peers", "ipv6", kAddress, "the peer has no IPv6 address"},
      {"peers", "location_connection_ip", kAddress, kEmpty},
      {"peers", "extra_dns_labels", kStrings, kEmpty},
      {"peers", "meta_network_addresses", &check<&read_network_addresses>, kPartly},
      {"peers", "meta_environment", &check_environment, kEmpty},
      {"peers", "meta_flags", &check<&read_flags>, kEmpty},
      {"peers", "meta_files", &check<&read_files>, kPartly},
      {"peers", "meta_capabilities", &check<&read_integers>, kEmpty},
      {"groups", "resources", &check<&read_resources>, kPartly},
      {"policies", "source_posture_checks", kStrings,
       "what its rules let in is off; what they drop is dropped for all"},
      {"policy_rules", "sources", kStrings, kSideUnknown},
      {"policy_rules", "destinations", kStrings, kSideUnknown},
      {"policy_rules", "source_resource", kResource, kSideUnknown},
      {"policy_rules", "destination_resource", kResource, kSideUnknown},
      {"policy_rules", "ports", kStrings, kPortsUnknown},
      {"policy_rules", "port_ranges", &check<&read_port_ranges>, kPortsUnknown},
      {"policy_rules", "authorized_groups", &check<&read_authorized_groups>, kRuleOff},
      {"posture_checks", "checks", &check<&read_posture_checks>,
       "no peer passes; who is dropped by it is dropped all the same"},
      {"routes", "network", kPrefix, kRouteOff},
      {"routes", "domains", kStrings, kRouteOff},
      {"routes", "peer_groups", kStrings, kRouteOff},
      {"routes", "groups", kStrings, kRouteOff},
      {"routes", "access_control_groups", kStrings, kRouteOff},
      {"network_routers", "peer_groups", kStrings, "the router is off"},
      {"network_resources", "prefix", kPrefix, "the resource is off"},
      {"name_server_groups", "name_servers", &check<&read_name_servers>, kServersOff},
      {"name_server_groups", "groups", kStrings, kServersOff},
      {"name_server_groups", "domains", kStrings, kServersOff},
      {"zones", "distribution_groups", kStrings, "the zone is off"},
      {"services", "access_groups", kStrings, kServiceOff},
      {"services", "auth", &check<&work::read_auth>, kServiceOff},
      {"services", "restrictions", &check<&work::read_restrictions>, kServiceOff},
      {"targets", "custom_headers", &check<&work::read_headers>, kEmpty},
  };
  return kAll;
}

std::span<const Value> values() {
  static constexpr Value kAll[] = {
      {"policy_rules", "action", &is_one_of<&kActionAccept, &kActionDrop>, "the rule is off"},
      {"policy_rules", "protocol",
       &is_one_of<&kProtocolAll, &kProtocolTcp, &kProtocolUdp, &kProtocolIcmp, &kProtocolSsh>,
       "the rule is off"},
      {"policy_rules", "ports", &are_ports, "agents are told what they can not read"},
      {"policy_rules", "port_ranges", &are_port_ranges, "agents are told what they can not read"},
      {"records", "type", &is_one_of<&kRecordA, &kRecordAaaa, &kRecordCname>,
       "agents are not told the record"},
      {"routes", "network_type", &is_one_of<&kTypeOne, &kTypeTwo, &kTypeThree>,
       "agents may refuse the route"},
      {"network_resources", "type", &is_one_of<&kResourceHost, &kResourceSubnet, &kResourceDomain>,
       "is reached by nobody"},
      {"setup_keys", "key", &is_key_hash, "no machine can join with it"},
      {"jobs", "workload_parameters", &is_json, "the job has no parameters"},
      {"jobs", "workload_result", &is_json, "the job has no result"},
  };
  return kAll;
}

std::span<const IdList> id_lists() {
  static constexpr IdList kAll[] = {
      {"policy_rules", "sources", "groups",
       "SELECT r.id, o.account_id, r.sources FROM policy_rules r JOIN policies o ON o.id = "
       "r.policy_id ORDER BY r.id"},
      {"policy_rules", "destinations", "groups",
       "SELECT r.id, o.account_id, r.destinations FROM policy_rules r JOIN policies o ON o.id = "
       "r.policy_id ORDER BY r.id"},
      {"policies", "source_posture_checks", "posture_checks",
       "SELECT id, account_id, source_posture_checks FROM policies ORDER BY id"},
      {"policy_rules", "authorized_groups", "groups",
       "SELECT r.id, o.account_id, r.authorized_groups FROM policy_rules r JOIN policies o ON o.id "
       "= r.policy_id ORDER BY r.id",
       &authorized_groups},
      {"policy_rules", "authorized_user", "users",
       "SELECT r.id, o.account_id, r.authorized_user FROM policy_rules r JOIN policies o ON o.id = "
       "r.policy_id ORDER BY r.id",
       &one_id},
      {"user_invites", "auto_groups", "groups",
       "SELECT id, account_id, auto_groups FROM user_invites ORDER BY id"},
      {"routes", "groups", "groups", "SELECT id, account_id, groups FROM routes ORDER BY id"},
      {"routes", "peer_groups", "groups",
       "SELECT id, account_id, peer_groups FROM routes ORDER BY id"},
      {"routes", "access_control_groups", "groups",
       "SELECT id, account_id, access_control_groups FROM routes ORDER BY id"},
      {"network_routers", "peer_groups", "groups",
       "SELECT id, account_id, peer_groups FROM network_routers ORDER BY id"},
      {"name_server_groups", "groups", "groups",
       "SELECT id, account_id, groups FROM name_server_groups ORDER BY id"},
      {"zones", "distribution_groups", "groups",
       "SELECT id, account_id, distribution_groups FROM zones ORDER BY id"},
      {"users", "auto_groups", "groups",
       "SELECT id, account_id, auto_groups FROM users ORDER BY id"},
      {"setup_keys", "auto_groups", "groups",
       "SELECT id, account_id, auto_groups FROM setup_keys ORDER BY id"},
      {"services", "access_groups", "groups",
       "SELECT id, account_id, access_groups FROM services ORDER BY id"},
      {"accounts", "dns_settings_disabled_management_groups", "groups",
       "SELECT id, id, dns_settings_disabled_management_groups FROM accounts ORDER BY id"},
      {"accounts", "settings_ipv6_enabled_groups", "groups",
       "SELECT id, id, settings_ipv6_enabled_groups FROM accounts ORDER BY id"},
      {"accounts", "settings_peer_expose_groups", "groups",
       "SELECT id, id, settings_peer_expose_groups FROM accounts ORDER BY id"},
  };
  return kAll;
}

std::span<const ResourceList> resource_lists() {
  using namespace columns;
  constexpr auto kOne = [](std::string_view text, Damage& damage) {
    return std::vector<Resource>{read_resource(text, damage)};
  };
  static constexpr ResourceList kAll[] = {
      {"groups", "resources", &read_resources,
       "SELECT id, account_id, resources FROM groups ORDER BY id"},
      {"policy_rules", "source_resource", kOne,
       "SELECT r.id, o.account_id, r.source_resource FROM policy_rules r JOIN policies o ON o.id = "
       "r.policy_id ORDER BY r.id"},
      {"policy_rules", "destination_resource", kOne,
       "SELECT r.id, o.account_id, r.destination_resource FROM policy_rules r JOIN policies o ON "
       "o.id = r.policy_id ORDER BY r.id"},
  };
  return kAll;
}

}  // namespace nb::management::doctor
