#include "management/netmap/posture.h"

#include <gtest/gtest.h>

namespace nb::netmap {
namespace {

using management::IpAddress;
using management::Peer;
using management::PostureChecks;
using management::Prefix;

Peer linux_peer() {
  Peer peer;
  peer.meta.go_os = "linux";
  peer.meta.wt_version = "0.60.0";
  peer.meta.kernel_version = "6.1.0-13-amd64";
  return peer;
}

TEST(PostureCheck, WithNothingConfiguredPasses) {
  EXPECT_TRUE(passes({}, linux_peer()));
}

TEST(PostureCheck, ThatCannotBeReadFailsEverybody) {
  PostureChecks checks;
  checks.unreadable = true;
  EXPECT_FALSE(passes(checks, linux_peer()));
}

TEST(PostureCheck, ComparesAgentVersionsWithoutTheirSuffix) {
  PostureChecks checks;
  checks.nb_version_min = "0.60.0";
  Peer peer = linux_peer();
  EXPECT_TRUE(passes(checks, peer));
  peer.meta.wt_version = "0.60.0-rc1";
  EXPECT_TRUE(passes(checks, peer));
  for (const char* version : {"0.59.9", "development", ""}) {
    peer.meta.wt_version = version;
    EXPECT_FALSE(passes(checks, peer)) << version;
  }
}

TEST(PostureCheck, AsksTheKernelOfLinuxAndWindowsAndTheSystemOfOthers) {
  PostureChecks checks;
  checks.os_version.emplace();
  checks.os_version->linux_kernel = "6.1";
  checks.os_version->darwin = "14.2";
  Peer peer = linux_peer();
  EXPECT_TRUE(passes(checks, peer));
  peer.meta.kernel_version = "5.15.0-generic";
  EXPECT_FALSE(passes(checks, peer));
  peer.meta.go_os = "darwin";
  peer.meta.os_version = "14.2.1";
  EXPECT_TRUE(passes(checks, peer));
  peer.meta.go_os = "windows";  // not listed
  peer.meta.kernel_version = "10.0.19045";
  EXPECT_FALSE(passes(checks, peer));
  peer.meta.go_os = "freebsd";  // nobody asks
  EXPECT_TRUE(passes(checks, peer));
}

TEST(PostureCheck, LocationIsByCountryAndPerhapsCity) {
  PostureChecks checks;
  checks.geo_location = {.locations = {{"DE", "Berlin"}, {"FR", ""}}, .action = "allow"};
  Peer peer = linux_peer();
  EXPECT_FALSE(passes(checks, peer));  // nothing known
  peer.location.country_code = "FR";
  peer.location.city_name = "Paris";
  EXPECT_TRUE(passes(checks, peer));
  peer.location = {};
  peer.location.country_code = "DE";
  peer.location.city_name = "berlin";
  EXPECT_FALSE(passes(checks, peer));
  checks.geo_location->action = "deny";
  EXPECT_TRUE(passes(checks, peer));
  peer.location.city_name = "Berlin";
  EXPECT_FALSE(passes(checks, peer));
  checks.geo_location->action = "other";
  EXPECT_FALSE(passes(checks, peer));
}

TEST(PostureCheck, RangeHasToContainTheWholePrefix) {  // contract/network-map.md §9 no. 24
  PostureChecks checks;
  checks.network_range = {.ranges = {*Prefix::parse("10.0.0.0/8")}, .action = "deny"};
  Peer peer = linux_peer();
  EXPECT_FALSE(passes(checks, peer));  // no address at all
  peer.meta.network_addresses = {{*Prefix::parse("10.1.2.3/24"), ""}};
  EXPECT_FALSE(passes(checks, peer));
  peer.meta.network_addresses = {{*Prefix::parse("10.0.0.0/7"), ""}};
  EXPECT_TRUE(passes(checks, peer));
  checks.network_range->action = "allow";
  EXPECT_FALSE(passes(checks, peer));
  peer.location.connection_ip = *IpAddress::parse("::ffff:10.9.9.9");
  EXPECT_TRUE(passes(checks, peer));
}

TEST(PostureCheck, EveryProcessHasToRun) {
  PostureChecks checks;
  checks.processes = {{.linux_path = "/bin/a", .mac_path = "/mac/a", .windows_path = ""},
                      {.linux_path = "/bin/b", .mac_path = "", .windows_path = "C:\\b"}};
  Peer peer = linux_peer();
  peer.meta.files = {{"/bin/a", true, true}, {"/bin/b", true, false}};
  EXPECT_FALSE(passes(checks, peer));
  peer.meta.files[1].process_is_running = true;
  EXPECT_TRUE(passes(checks, peer));
  peer.meta.go_os = "darwin";  // has no path for the second
  EXPECT_FALSE(passes(checks, peer));
  peer.meta.go_os = "freebsd";
  EXPECT_FALSE(passes(checks, peer));
  EXPECT_EQ(checked_files(checks),
            (std::vector<std::string>{"/bin/a", "/mac/a", "/bin/b", "C:\\b"}));
}

}  // namespace
}  // namespace nb::netmap
