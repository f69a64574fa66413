#include "management/domain/allocation.h"
#include "management/domain/login_rules.h"
#include "management/domain/new_account.h"
#include "management/domain/setup_key.h"

#include <gtest/gtest.h>

#include <set>

namespace nb::management {
namespace {

using namespace std::chrono_literals;

const WallTime kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 22);

RandomFn counting(std::uint64_t start = 0) {
  return [value = start]() mutable { return value++; };
}
Result<std::string> no_idna(std::string_view) {
  return fail(Code::kInvalidArgument, "not ASCII");
}

IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value_or(IpAddress{});
}
Prefix prefix(std::string_view text) {
  return Prefix::parse(text).value_or(Prefix{});
}

TEST(IpAddress, TextComesBackCanonical) {
  EXPECT_EQ(ip("100.64.0.1").to_string(), "100.64.0.1");
  EXPECT_EQ(ip("FD00:0:0::A").to_string(), "fd00::a");
  EXPECT_EQ(ip("::ffff:10.0.0.1").unmapped().to_string(), "10.0.0.1");
  for (const char* bad : {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "g::", "1.2.3.4 ", "fe80::1%eth0"})
    EXPECT_FALSE(IpAddress::parse(bad)) << bad;
}

TEST(Prefix, ContainsItsHostsOnly) {
  const Prefix net = prefix("100.72.0.0/16");
  EXPECT_TRUE(net.contains(ip("100.72.255.255")));
  EXPECT_FALSE(net.contains(ip("100.73.0.0")));
  EXPECT_FALSE(net.contains(ip("::1")));
  EXPECT_TRUE(prefix("0.0.0.0/0").contains(ip("8.8.8.8")));
  EXPECT_TRUE(prefix("fd00::/64").contains(ip("fd00::ffff")));
  for (const char* bad :
       {"1.2.3.4", "1.2.3.4/33", "::/129", "1.2.3.4/", "1.2.3.4/-1", "1.2.3.4/08"})
    EXPECT_FALSE(Prefix::parse(bad)) << bad;
}

TEST(Allocation, RandomAddressesAreHostsOfTheNet) {
  const Prefix net = prefix("100.99.0.0/29");
  std::set<std::string> seen;
  const RandomFn random = counting();
  for (int i = 0; i < 12; ++i) seen.insert(random_address(net, random)->to_string());
  EXPECT_EQ(seen.size(), 6U);
  EXPECT_EQ(*seen.begin(), "100.99.0.1");
  EXPECT_EQ(*seen.rbegin(), "100.99.0.6");
  EXPECT_FALSE(random_address(prefix("100.99.0.0/31"), random));
}

TEST(Allocation, TheLowestFreeAddressFillsTheFirstGap) {
  const Prefix net = prefix("100.99.0.0/29");
  EXPECT_EQ(lowest_free_address(net, {})->to_string(), "100.99.0.1");
  EXPECT_EQ(lowest_free_address(net, {ip("100.99.0.2"), ip("100.99.0.1"), ip("100.99.0.4"),
                                      ip("10.0.0.1"), ip("fd00::1")})
                ->to_string(),
            "100.99.0.3");
  std::vector<IpAddress> all;
  for (int i = 1; i <= 6; ++i) all.push_back(ip("100.99.0." + std::to_string(i)));
  EXPECT_FALSE(lowest_free_address(net, all));
}

TEST(Allocation, AnAllZeroOrAllOneIpv6HostBecomesOne) {
  const Prefix net = prefix("fd00:1::/64");
  EXPECT_EQ(random_address_v6(net, [] { return 0; }).to_string(), "fd00:1::1");
  EXPECT_EQ(random_address_v6(net, [] { return UINT64_MAX; }).to_string(), "fd00:1::1");
  EXPECT_TRUE(net.contains(random_address_v6(net, counting(77))));
}

std::string label(std::string_view host) {
  const auto result = label_of_hostname(host, no_idna);
  return result ? *result : "error";
}

TEST(DnsLabel, ComesFromTheFirstPartOfTheHostName) {
  EXPECT_EQ(label("Web-1.example.org"), "web-1");
  EXPECT_EQ(label("my  cool_box!"), "my-cool-box");
  EXPECT_EQ(label("-x-"), "x");
  EXPECT_EQ(label(""), "error");
  EXPECT_EQ(label("..."), "error");
  EXPECT_EQ(label("___"), "error");
  EXPECT_EQ(label("bücher"), "error");  // what IDNA refuses is refused
  EXPECT_EQ(*label_of_hostname("bücher",
                               [](std::string_view) -> Result<std::string> {
                                 return std::string("xn--bcher-kva");
                               }),
            "xn--bcher-kva");
}

TEST(DnsLabel, NeverExceedsWhatDnsAllowsWithItsSuffix) {
  EXPECT_EQ(label(std::string(58, 'a')).size(), 58U);
  EXPECT_EQ(label(std::string(100, 'a')).size(), 59U);
  const std::string long_one = suffixed_label(label(std::string(100, 'a')), ip("100.64.255.254"));
  EXPECT_EQ(long_one.size(), 63U);
  EXPECT_TRUE(long_one.ends_with("-255-254"));
  EXPECT_EQ(suffixed_label("box", ip("100.64.3.7")), "box-3-7");
}

TEST(DnsLabel, ExtraLabelsAreDomainNamesAndFew) {
  EXPECT_TRUE(validate_extra_labels({"www", "a.b.c", "*.apps", "_srv"}));
  EXPECT_FALSE(validate_extra_labels({"*"}));
  EXPECT_FALSE(validate_extra_labels({"a..b"}));
  EXPECT_FALSE(validate_extra_labels({"a*b"}));
  EXPECT_FALSE(validate_extra_labels({""}));
  EXPECT_FALSE(validate_extra_labels({"ü"}));
  EXPECT_FALSE(validate_extra_labels({std::string(64, 'a')}));
  EXPECT_TRUE(validate_extra_labels(std::vector<std::string>(32, "a")));
  EXPECT_FALSE(validate_extra_labels(std::vector<std::string>(33, "a")));
}

TEST(DnsLabel, PhonesAreToldApartByTheirOwners) {
  EXPECT_EQ(display_hostname("iPhone", "uma@example.org"), "iPhone-uma");
  EXPECT_EQ(display_hostname("IPAD", "uma@example.org"), "IPAD-uma");
  EXPECT_EQ(display_hostname("iphone", ""), "iphone");
  EXPECT_EQ(display_hostname("iphone-9", "uma@example.org"), "iphone-9");
}

TEST(SetupKey, ExpiredKeyIsRefusedAtTheSecondOfExpiry) {
  auto key = new_setup_key({.name = "k", .expires_in_seconds = 60}, kNow);
  ASSERT_TRUE(key);
  EXPECT_TRUE(key->usable_at(kNow + 59s));
  EXPECT_FALSE(key->usable_at(kNow + 60s));
  key->expires_at.reset();
  EXPECT_TRUE(key->usable_at(kNow + 24h * 365 * 50));
}

TEST(SetupKey, UsesAreCountedOnlyWhereThereIsALimit) {
  auto key = new_setup_key({.name = "k", .type = "one-off"}, kNow);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->usage_limit, 1);
  key->used_times = 1;
  EXPECT_FALSE(key->usable_at(kNow));
  key->usage_limit = 0;
  EXPECT_TRUE(key->usable_at(kNow));
  key->revoked = true;
  EXPECT_FALSE(key->usable_at(kNow));
}

TEST(SetupKey, ImpossibleRequestsAreRefused) {
  EXPECT_FALSE(new_setup_key({}, kNow));
  EXPECT_FALSE(new_setup_key({.name = "k", .type = "twice"}, kNow));
  EXPECT_FALSE(new_setup_key({.name = "k", .type = "one-off", .usage_limit = 2}, kNow));
  EXPECT_FALSE(new_setup_key({.name = "k", .expires_in_seconds = -1}, kNow));
  EXPECT_FALSE(new_setup_key({.name = "k", .expires_in_seconds = INT64_MAX}, kNow));
  EXPECT_FALSE(new_setup_key({.name = "k", .usage_limit = -1}, kNow));
  EXPECT_FALSE(new_setup_key({.name = std::string(256, 'k')}, kNow));
}

TEST(PeerMeta, OrderOfListsIsNoChange) {
  PeerMeta a;
  a.hostname = "box";
  a.network_addresses = {{prefix("10.0.0.1/8"), "m1"}, {prefix("10.0.0.2/8"), "m2"}};
  a.files = {{"/a", true, false}, {"/b", false, false}};
  a.capabilities = {1, 2};
  PeerMeta b = a;
  std::reverse(b.network_addresses.begin(), b.network_addresses.end());
  std::reverse(b.files.begin(), b.files.end());
  b.capabilities = {2, 1, 2};
  EXPECT_FALSE(compare_meta(a, b).any);
  b.files.push_back(b.files.front());  // but a multiset counts
  EXPECT_TRUE(compare_meta(a, b).map_relevant);
}

TEST(PeerMeta, IrrelevantFieldsAreStoredWithoutANewMap) {
  PeerMeta a;
  a.hostname = "box";
  PeerMeta b = a;
  b.ui_version = "1";
  b.system_product_name = "KVM";
  EXPECT_TRUE(compare_meta(a, b).any);
  EXPECT_FALSE(compare_meta(a, b).map_relevant);
  b.flags.disable_ipv6 = true;
  b.capabilities = {kCapabilityIpv6Overlay};
  EXPECT_TRUE(compare_meta(a, b).map_relevant);
  EXPECT_FALSE(compare_meta(a, b).ipv6_support);  // it can, but was told not to
}

TEST(PeerMeta, AnEmptyOneAndAnEmptyUiVersionKeepWhatIsStored) {
  PeerMeta stored;
  stored.hostname = "box";
  stored.ui_version = "ui/1";
  stored.core = "old";
  EXPECT_EQ(merged_meta(stored, {}).hostname, "box");
  PeerMeta sent;
  sent.hostname = "new";
  const PeerMeta merged = merged_meta(stored, sent);
  EXPECT_EQ(merged.hostname, "new");
  EXPECT_EQ(merged.ui_version, "ui/1");
  EXPECT_EQ(merged.core, "old");
}

TEST(LoginRules, OnlyPeersOfUsersExpire) {
  AccountSettings settings;
  Peer peer;
  peer.last_login = kNow;
  peer.login_expiration_enabled = true;
  peer.status.login_expired = true;
  EXPECT_FALSE(login_expired(peer, settings, kNow + 1000h));
  peer.user_id = UserId("uma");
  EXPECT_TRUE(login_expired(peer, settings, kNow));
  peer.status.login_expired = false;
  EXPECT_FALSE(login_expired(peer, settings, kNow + 24h - 1s));
  EXPECT_TRUE(login_expired(peer, settings, kNow + 24h));
  settings.peer_login_expiration_enabled = false;
  EXPECT_FALSE(login_expired(peer, settings, kNow + 1000h));
  settings.peer_login_expiration_enabled = true;
  peer.login_expiration_enabled = false;
  EXPECT_FALSE(login_expired(peer, settings, kNow + 1000h));
}

TEST(NewAccount, NetworksComeFromTheReservedRanges) {
  for (std::uint64_t i = 0; i < 130; ++i) {
    const Prefix net = random_network(counting(i));
    EXPECT_EQ(net.length, 16);
    EXPECT_TRUE(prefix("100.64.0.0/10").contains(net.address)) << net.to_string();
  }
  EXPECT_EQ(random_network_v6([] { return UINT64_MAX; }).to_string(), "fdff:ffff:ffff:ffff::/64");
}

TEST(NewAccount, WithoutTheDefaultPolicyThereIsNone) {
  int ids = 0;
  NewAccountOptions options;
  options.owner = UserId("u");
  options.default_policy = false;
  const NewAccount made = new_account(
      std::move(options), [&] { return "id" + std::to_string(++ids); }, counting(), kNow);
  EXPECT_FALSE(made.default_policy);
  EXPECT_TRUE(made.all.is_all());
  EXPECT_EQ(made.owner.role, kRoleOwner);
  EXPECT_NE(made.account.id.value(), made.account.network.identifier);
}

}  // namespace
}  // namespace nb::management
