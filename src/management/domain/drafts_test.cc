// What callers may ask of objects, with the answers they get.
#include "base/error_kinds.h"
#include "management/domain/dns_draft.h"
#include "management/domain/domain_name.h"
#include "management/domain/network_draft.h"
#include "management/domain/policy_draft.h"
#include "management/domain/posture_draft.h"
#include "management/domain/route_draft.h"
#include "management/domain/temporary_access.h"

#include <gtest/gtest.h>

namespace nb::management {
namespace {

/// Knows one name; enough to see that conversion happens.
Result<std::string> to_ascii(std::string_view label) {
  if (label == "bücher") return std::string("xn--bcher-kva");
  return fail(Code::kInvalidArgument, "unknown name");
}

template <class T>
Error error_of(const Result<T>& result) {
  return result ? Error{Code::kOk, "no error"} : result.error();
}
template <class T>
std::string text_of(const Result<T>& result) {
  return error_of(result).text;
}

// --- names ---------------------------------------------------------------------------------

TEST(DomainName, LiesBelowItselfAndItsParentsOnly) {
  EXPECT_TRUE(is_below("example.com", "example.com"));
  EXPECT_TRUE(is_below("a.b.example.com", "example.com"));
  EXPECT_FALSE(is_below("badexample.com", "example.com"));
  EXPECT_FALSE(is_below("com", "example.com"));
  EXPECT_FALSE(is_below(".example.com", ".example.com."));
  EXPECT_FALSE(is_below("example.", ""));
}

// --- policies ---------------------------------------------------------------------------------

PolicyDraft a_policy() {
  PolicyRuleDraft rule;
  rule.name = "rule";
  rule.enabled = true;
  rule.action = "accept";
  rule.protocol = "tcp";
  rule.sources = {{GroupId("a")}};
  rule.destinations = {{GroupId("b")}};
  rule.ports = {"80"};
  PolicyDraft draft;
  draft.name = "web";
  draft.enabled = true;
  draft.rules = {rule};
  return draft;
}

TEST(PolicyDraft, AGoodOneBecomesAPolicy) {
  const auto policy = policy_of(a_policy());
  ASSERT_TRUE(policy) << policy.error().text;
  EXPECT_EQ(policy->name, "web");
  ASSERT_EQ(policy->rules.size(), 1U);
  EXPECT_EQ(policy->rules[0].ports, std::vector<std::string>{"80"});
}

TEST(PolicyDraft, NeedsNameAndRules) {
  auto draft = a_policy();
  draft.name.clear();
  EXPECT_EQ(text_of(policy_of(draft)), "policy name shouldn't be empty");
  draft = a_policy();
  draft.rules.clear();
  EXPECT_EQ(text_of(policy_of(draft)), "policy rules shouldn't be empty");
  EXPECT_EQ(error_of(policy_of(draft)).code, Code::kInvalidArgument);
}

TEST(PolicyDraft, EachSideIsGroupsOrAResource) {
  auto draft = a_policy();
  draft.rules[0].source_resource = Resource{"p", "peer"};
  EXPECT_EQ(text_of(policy_of(draft)), "specify either sources or  source resources, not both");
  draft = a_policy();
  draft.rules[0].destination_resource = Resource{"p", "peer"};
  EXPECT_EQ(text_of(policy_of(draft)),
            "specify either destinations or  destination resources, not both");
  draft = a_policy();
  draft.rules[0].sources.reset();
  EXPECT_EQ(text_of(policy_of(draft)),
            "specify either sources or source resources and destinations or destination resources");
  draft = a_policy();
  draft.rules[0].sources.emplace();  // empty, but present
  EXPECT_TRUE(policy_of(draft));
}

TEST(PolicyDraft, ActionsAndProtocolsAreKnownOnes) {
  auto draft = a_policy();
  draft.rules[0].action = "log";
  EXPECT_EQ(text_of(policy_of(draft)), "unknown action type");
  draft = a_policy();
  draft.rules[0].protocol = "sctp";
  EXPECT_EQ(text_of(policy_of(draft)), "unknown protocol type: sctp");
}

TEST(PolicyDraft, PortsAreWithinRangeAndOnlyWhereTheyMeanSomething) {
  const auto with_ports = [](std::vector<std::string> ports, std::string protocol = "tcp") {
    auto draft = a_policy();
    draft.rules[0].ports = std::move(ports);
    draft.rules[0].protocol = std::move(protocol);
    return text_of(policy_of(draft));
  };
  for (const char* bad : {"0", "65536", "http", "80 ", "-1", ""})
    EXPECT_EQ(with_ports({"80", bad}), "valid port value is in 1..65535 range") << bad;
  EXPECT_EQ(with_ports({"1", "65535"}), "no error");
  EXPECT_EQ(with_ports({"80"}, "all"), "for ALL or ICMP protocol ports is not allowed");
  EXPECT_EQ(with_ports({"80"}, "icmp"), "for ALL or ICMP protocol ports is not allowed");
  EXPECT_EQ(with_ports({}, "icmp"), "no error");
}

TEST(PolicyDraft, RangesHaveAStartBelowTheirEnd) {
  const auto with_range = [](std::int64_t start, std::int64_t end, bool port_too = false) {
    auto draft = a_policy();
    if (!port_too) draft.rules[0].ports.clear();
    draft.rules[0].port_ranges = {{start, end}};
    return text_of(policy_of(draft));
  };
  EXPECT_EQ(with_range(8000, 8010), "no error");
  EXPECT_EQ(with_range(0, 10), "valid port value is in 1..65535 range");
  EXPECT_EQ(with_range(1, 65536), "valid port value is in 1..65535 range");
  EXPECT_EQ(with_range(20, 10), "port range 20-10: start is above end");
  EXPECT_EQ(with_range(1, 2, true), "specify either individual ports or port ranges, not both");
}

TEST(PolicyDraft, SshGroupsCoverEverySource) {
  auto draft = a_policy();
  draft.rules[0].protocol = "netbird-ssh";
  draft.rules[0].ports = {"22"};
  draft.rules[0].authorized_groups = {{GroupId("other"), {"root"}}};
  EXPECT_EQ(text_of(policy_of(draft)),
            "authorized group for netbird-ssh protocol should be specified for each source group");
  draft.rules[0].authorized_groups[GroupId("a")] = {};
  ASSERT_TRUE(policy_of(draft));
  draft.rules[0].protocol = "tcp";  // kept only where it has a meaning
  EXPECT_TRUE(policy_of(draft)->rules[0].authorized_groups.empty());
}

TEST(PolicyDraft, OrderOfListsMakesNoDifference) {
  auto draft = a_policy();
  draft.rules[0].ports = {"80", "443"};
  draft.rules[0].sources = {{GroupId("a"), GroupId("c")}};
  const auto one = policy_of(draft);
  draft.rules[0].ports = {"443", "80"};
  draft.rules[0].sources = {{GroupId("c"), GroupId("a")}};
  EXPECT_TRUE(same_choice(*one, *policy_of(draft)));
  draft.rules[0].ports = {"443"};
  EXPECT_FALSE(same_choice(*one, *policy_of(draft)));
  draft = a_policy();
  draft.rules[0].enabled = false;
  EXPECT_FALSE(same_choice(*policy_of(a_policy()), *policy_of(draft)));
}

// --- posture checks ---------------------------------------------------------------------------

PostureDraft a_check(PostureChecks checks) {
  PostureDraft draft;
  draft.name = "check";
  draft.checks = std::move(checks);
  return draft;
}

TEST(PostureDraft, NeedsNameAndACheck) {
  EXPECT_EQ(text_of(posture_check_of(a_check({}))), "posture checks shouldn't be empty");
  auto draft = a_check({.nb_version_min = "0.50.0"});
  EXPECT_TRUE(posture_check_of(draft));
  draft.name.clear();
  EXPECT_EQ(text_of(posture_check_of(draft)), "posture checks name shouldn't be empty");
}

TEST(PostureDraft, VersionsAreVersions) {
  for (const char* good :
       {"0.50.0", "v1.2", "1", "10.0.19045", "1.2.3-rc.1+build.5", "5.10-generic"})
    EXPECT_TRUE(is_version(good)) << good;
  for (const char* bad :
       {"", "v", "one", "1..2", ".1", "1.2.", "1.2-", "1.2+", "1 2", "development"})
    EXPECT_FALSE(is_version(bad)) << bad;
  EXPECT_EQ(text_of(posture_check_of(a_check({.nb_version_min = "x"}))),
            "NBVersionCheck version: x is not valid");
  EXPECT_EQ(text_of(posture_check_of(a_check({.os_version = OsVersionCheck{}}))),
            "OSVersionCheck at least one OS version check is required");
}

TEST(PostureDraft, GeoChecksNeedADatabaseAndCountries) {
  GeoLocationCheck geo{{{"DE", ""}}, "allow"};
  EXPECT_TRUE(posture_check_of(a_check({.geo_location = geo})));
  auto without = a_check({.geo_location = geo});
  without.geo_database = false;
  EXPECT_EQ(error_of(posture_check_of(without)).code, Code::kFailedPrecondition);
  geo.locations[0].country_code = "DEU";
  EXPECT_EQ(error_of(posture_check_of(a_check({.geo_location = geo}))).code,
            Code::kInvalidArgument);
  geo.locations.clear();
  EXPECT_EQ(text_of(posture_check_of(a_check({.geo_location = geo}))),
            "GeoLocationCheck locations shouldn't be empty");
}

TEST(PostureDraft, RangesAreReadFromTheirTexts) {
  auto draft = a_check({.network_range = NetworkRangeCheck{{}, "deny"}});
  EXPECT_EQ(text_of(posture_check_of(draft)),
            "PeerNetworkRangeCheck network ranges shouldn't be empty");
  draft.range_texts = {"10.0.0.0/8", "fd00::/8"};
  const auto check = posture_check_of(draft);
  ASSERT_TRUE(check);
  EXPECT_EQ(check->checks.network_range->ranges.size(), 2U);
  draft.range_texts = {"10.0.0.0"};
  EXPECT_EQ(text_of(posture_check_of(draft)), "invalid network prefix");
}

TEST(PostureDraft, AProcessHasAPathSomewhere) {
  EXPECT_EQ(text_of(posture_check_of(a_check({.processes = std::vector<CheckedProcess>{{}}}))),
            "ProcessCheck path shouldn't be empty");
  EXPECT_TRUE(posture_check_of(
      a_check({.processes = std::vector<CheckedProcess>{{.linux_path = "/bin/x"}}})));
}

// --- names ------------------------------------------------------------------------------------

TEST(DomainName, FollowsTheRulesOfTheApi) {
  for (const char* good : {"example.com", "a", "_dmarc.example.com", "x-1.example", "EXAMPLE.com"})
    EXPECT_TRUE(is_domain_name(good, Wildcard::kForbidden)) << good;
  for (const char* bad : {"", ".", "example.com.", "-a.example", "a-.example", "a..b", "exa mple",
                          "*.example.com", "exämple.com", "a.b_"})
    EXPECT_FALSE(is_domain_name(bad, Wildcard::kForbidden)) << bad;
  EXPECT_TRUE(is_domain_name("*.example.com", Wildcard::kAllowed));
  EXPECT_FALSE(is_domain_name("*.*.example.com", Wildcard::kAllowed));
  EXPECT_FALSE(is_domain_name(std::string(64, 'a') + ".example", Wildcard::kAllowed));
  EXPECT_TRUE(is_domain_name(std::string(63, 'a') + ".example", Wildcard::kAllowed));
}

TEST(DomainName, BecomesAsciiLabelByLabel) {
  EXPECT_EQ(*ascii_domain("*.bücher.Example", to_ascii), "*.xn--bcher-kva.example");
  EXPECT_EQ(*ascii_domain("a.b.", to_ascii), "a.b.");
  EXPECT_FALSE(ascii_domain("ä.example", to_ascii));
}

// --- routes -----------------------------------------------------------------------------------

RouteDraft a_route() {
  RouteDraft draft;
  draft.network = "10.1.2.3/16";
  draft.peer = PeerId("p");
  draft.net_id = "lan";
  draft.metric = 9999;
  draft.groups = {GroupId("g")};
  return draft;
}

TEST(RouteDraft, HostBitsAreCleared) {
  const auto route = route_of(a_route(), to_ascii);
  ASSERT_TRUE(route) << route.error().text;
  EXPECT_EQ(route->network.to_string(), "10.1.0.0/16");
  EXPECT_EQ(route->network_type, kNetworkTypeIpv4);
  EXPECT_EQ(describe_destination(*route), "prefix 10.1.0.0/16");
}

TEST(RouteDraft, DomainsTakeTheirPlaceholder) {
  auto draft = a_route();
  draft.network.reset();
  draft.domains = {{"bücher.example", "Other.example"}};
  const auto route = route_of(draft, to_ascii);
  ASSERT_TRUE(route) << route.error().text;
  EXPECT_EQ(route->network.to_string(), "192.0.2.0/32");
  EXPECT_EQ(route->network_type, kNetworkTypeDomain);
  EXPECT_EQ(route->domains, (std::vector<std::string>{"xn--bcher-kva.example", "other.example"}));
  draft.domains->resize(33, "a.example");
  EXPECT_EQ(text_of(route_of(draft, to_ascii)),
            "invalid domains: domains list exceeds maximum allowed domains: 32");
}

TEST(RouteDraft, OneOfEachPair) {
  auto draft = a_route();
  draft.domains.emplace();
  EXPECT_EQ(text_of(route_of(draft, to_ascii)),
            "only one of 'network' or 'domains' should be provided");
  draft.network.reset();
  draft.domains.reset();
  EXPECT_EQ(text_of(route_of(draft, to_ascii)), "either 'network' or 'domains' should be provided");
  draft = a_route();
  draft.peer_groups.emplace();  // an empty list counts
  EXPECT_EQ(text_of(route_of(draft, to_ascii)),
            "only one of 'peer' or 'peer_groups' should be provided");
  draft.peer.reset();
  draft.peer_groups.reset();
  EXPECT_EQ(text_of(route_of(draft, to_ascii)),
            "either 'peer' or 'peer_groups' should be provided");
}

TEST(RouteDraft, LimitsOfNameMetricAndGroups) {
  auto draft = a_route();
  draft.net_id = "ä";
  for (int i = 0; i < 39; ++i) draft.net_id += "ä";  // 40 characters, 80 bytes
  EXPECT_TRUE(route_of(draft, to_ascii));
  draft.net_id += "x";
  EXPECT_EQ(text_of(route_of(draft, to_ascii)), "identifier should be between 1 and 40 characters");
  for (const std::int64_t metric : {0, 10'000}) {
    draft = a_route();
    draft.metric = metric;
    EXPECT_EQ(text_of(route_of(draft, to_ascii)), "metric should be between 1 and 9999");
  }
  draft = a_route();
  draft.groups.clear();
  EXPECT_EQ(text_of(route_of(draft, to_ascii)), "the list of group IDs should not be empty");
  draft = a_route();
  draft.network = "10.0.0.0";
  EXPECT_EQ(text_of(route_of(draft, to_ascii)), "invalid network 10.0.0.0");
}

// --- networks ---------------------------------------------------------------------------------

std::pair<std::string, std::string> type_and_address(const std::string& address) {
  const auto resource = resource_of({.name = "r", .address = address}, to_ascii);
  if (!resource) return {"error", resource.error().text};
  return {resource->type, address_of(*resource)};
}

TEST(ResourceDraft, TheAddressDecidesTheType) {
  using Pair = std::pair<std::string, std::string>;
  EXPECT_EQ(type_and_address("1.1.1.1"), Pair("host", "1.1.1.1/32"));
  EXPECT_EQ(type_and_address("fd00::1"), Pair("host", "fd00::1/128"));
  EXPECT_EQ(type_and_address("1.1.1.1/32"), Pair("host", "1.1.1.1/32"));
  EXPECT_EQ(type_and_address("192.168.0.0/24"), Pair("subnet", "192.168.0.0/24"));
  EXPECT_EQ(type_and_address("*.example.com"), Pair("domain", "*.example.com"));
  EXPECT_EQ(type_and_address("not valid!"), Pair("error", "not a valid host, subnet, or domain"));
}

TEST(RouterDraft, PeerOrGroups) {
  EXPECT_EQ(error_of(router_of({.peer = PeerId("p"), .peer_groups = {GroupId("g")}, .metric = 1})),
            fail(kBadRequest, "peer and peer_groups cannot be set at the same time"));
  EXPECT_EQ(error_of(router_of({.metric = 1})),
            fail(kBadRequest, "either peer or peer_groups must be provided"));
  EXPECT_TRUE(router_of({.peer = PeerId("p"), .metric = 9999}));
  EXPECT_EQ(error_of(router_of({.peer = PeerId("p"), .metric = 0})).code, Code::kInvalidArgument);
}

// --- DNS --------------------------------------------------------------------------------------

NameServerGroupDraft some_servers() {
  NameServerGroupDraft draft;
  draft.name = "dns";
  draft.name_servers = {{"[2001:db8::1]", "udp", 53}};
  draft.groups = {GroupId("g")};
  draft.domains = {"example.com."};
  return draft;
}

TEST(NameServerGroupDraft, BracketsAreTakenOff) {
  const auto group = name_server_group_of(some_servers(), to_ascii);
  ASSERT_TRUE(group) << group.error().text;
  EXPECT_EQ(group->name_servers[0].ip.to_string(), "2001:db8::1");
  EXPECT_EQ(group->domains, std::vector<std::string>{"example.com."});  // as sent
}

TEST(NameServerGroupDraft, RefusesWhatTheApiRefuses) {
  auto draft = some_servers();
  draft.name_servers[0].ip = "one.one.one.one";
  EXPECT_EQ(text_of(name_server_group_of(draft, to_ascii)), "invalid ns servers format");
  draft = some_servers();
  draft.name_servers.assign(4, {"1.1.1.1", "udp", 53});
  EXPECT_EQ(text_of(name_server_group_of(draft, to_ascii)),
            "the list of nameservers should be 1 or 3, got 4");
  draft = some_servers();
  draft.primary = true;
  EXPECT_EQ(error_of(name_server_group_of(draft, to_ascii)).code, Code::kInvalidArgument);
  draft.domains.clear();
  EXPECT_TRUE(name_server_group_of(draft, to_ascii));
  draft.search_domains_enabled = true;
  EXPECT_FALSE(name_server_group_of(draft, to_ascii));
  draft = some_servers();
  draft.domains = {"*.example.com"};
  EXPECT_NE(text_of(name_server_group_of(draft, to_ascii)).find("wildcards not allowed"),
            std::string::npos);
  draft = some_servers();
  draft.name = std::string(41, 'n');
  EXPECT_EQ(text_of(name_server_group_of(draft, to_ascii)),
            "nameserver group name should be between 1 and 40");
}

TEST(ZoneDraft, NeedsNameDomainAndGroups) {
  const ZoneDraft good{
      .name = "z", .domain = "corp.example", .distribution_groups = {GroupId("g")}};
  EXPECT_TRUE(zone_of(good));
  auto draft = good;
  draft.domain = "*.corp.example";
  EXPECT_EQ(text_of(zone_of(draft)), "invalid zone domain format");
  draft = good;
  draft.distribution_groups.clear();
  EXPECT_EQ(text_of(zone_of(draft)), "at least one distribution group is required");
  draft = good;
  draft.name = std::string(256, 'z');
  EXPECT_FALSE(zone_of(draft));
}

TEST(RecordDraft, ContentFitsTheType) {
  const auto check = [](const char* type, const char* content) {
    return text_of(
        record_of({.name = "a.corp.example", .type = type, .content = content, .ttl = 60}));
  };
  EXPECT_EQ(check("A", "10.0.0.1"), "no error");
  EXPECT_EQ(check("A", "fd00::1"), "A record must be a valid IPv4 address");
  EXPECT_EQ(check("AAAA", "fd00::1"), "no error");
  EXPECT_EQ(check("AAAA", "10.0.0.1"), "AAAA record must be a valid IPv6 address");
  EXPECT_EQ(check("AAAA", "::ffff:10.0.0.1"), "AAAA record must be a valid IPv6 address");
  EXPECT_EQ(check("CNAME", "b.example"), "no error");
  EXPECT_EQ(check("CNAME", "*.b.example"), "invalid CNAME target format");
  EXPECT_EQ(check("MX", "b.example"), "invalid record type, must be A, AAAA, or CNAME");
  EXPECT_EQ(text_of(record_of({.name = "a", .type = "A", .content = "10.0.0.1", .ttl = -1})),
            "TTL cannot be negative");
}

TEST(RecordDraft, FitsIntoItsZone) {
  DnsZone zone;
  zone.domain = "corp.example";
  DnsZoneRecord present;
  present.id = RecordId("r1");
  present.name = "a.corp.example";
  present.type = "A";
  present.content = "10.0.0.1";
  zone.records = {present};
  DnsZoneRecord record = present;
  EXPECT_TRUE(check_record_fits(zone, record));  // itself
  record.id = RecordId("r2");
  EXPECT_EQ(error_of(check_record_fits(zone, record)),
            fail(Code::kAlreadyExists, "identical record already exists"));
  record.content = "10.0.0.2";
  EXPECT_TRUE(check_record_fits(zone, record));
  record.type = "CNAME";
  EXPECT_EQ(error_of(check_record_fits(zone, record)).code, Code::kInvalidArgument);
  record.name = "a.other.example";
  EXPECT_EQ(text_of(check_record_fits(zone, record)), "record name does not belong to zone");
  record.name = "acorp.example";
  EXPECT_FALSE(check_record_fits(zone, record));
  record.name = "corp.example";
  EXPECT_TRUE(check_record_fits(zone, record));
}

// --- temporary access -------------------------------------------------------------------------

TEST(TemporaryAccess, RulesOfOneWord) {
  const auto rule = [](const char* word) {
    return temporary_rule(word, PeerId("a"), PeerId("b"), UserId("u"));
  };
  EXPECT_TRUE(rule("all")->port_ranges.empty());
  EXPECT_EQ(rule("icmp")->protocol, "icmp");
  EXPECT_EQ(rule("tcp/80")->port_ranges[0].end, 80);
  EXPECT_EQ(rule("udp/1-100")->port_ranges[0].end, 100);
  const auto ssh = rule("netbird-ssh/22");
  ASSERT_TRUE(ssh);
  EXPECT_EQ(ssh->port_ranges[0].start, 22022);
  EXPECT_EQ(ssh->authorized_user, "u");
  EXPECT_EQ(ssh->source_resource, (Resource{"a", "peer"}));
  for (const char* bad : {"", "tcp", "tcp/", "tcp/0", "tcp/9-1", "sctp/1", "all/1", "tcp/1-2-3"})
    EXPECT_FALSE(rule(bad)) << bad;
}

}  // namespace
}  // namespace nb::management
