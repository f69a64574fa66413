#include "management/netmap/agent_version.h"

#include "management/netmap/ports.h"

#include <gtest/gtest.h>

namespace nb::netmap {
namespace {

TEST(AgentFeatures, FollowTheVersionBoundaries) {  // contract/network-map.md §2.5, §2.9, §2.12
  EXPECT_FALSE(AgentFeatures::of("0.47.9").port_ranges);
  EXPECT_TRUE(AgentFeatures::of("0.48.0").port_ranges);
  EXPECT_TRUE(AgentFeatures::of("0.48.0-rc1").port_ranges);
  EXPECT_FALSE(AgentFeatures::of("0.59.9").native_ssh);
  EXPECT_TRUE(AgentFeatures::of("0.60.0").native_ssh);
  EXPECT_TRUE(AgentFeatures::of("0.29.2").top_level_peers);
  EXPECT_FALSE(AgentFeatures::of("0.29.3").top_level_peers);
  EXPECT_TRUE(AgentFeatures::of("0.60.0-rc1").top_level_peers);
  EXPECT_FALSE(AgentFeatures::of("0.59.0-rc1").new_forwarder);
  EXPECT_TRUE(AgentFeatures::of("0.59.0").new_forwarder);
}

TEST(AgentFeatures, DevelopmentSupportsEverythingAndNonsenseNothing) {
  for (const char* text : {"development", "dev-abc", "ci-123"}) {
    const auto features = AgentFeatures::of(text);
    EXPECT_TRUE(features.port_ranges && features.native_ssh && features.new_forwarder) << text;
    EXPECT_FALSE(features.top_level_peers) << text;
  }
  for (const char* text :
       {"", "not-a-version", "1.2.x", "1..2", "0.60.", "v", "99999999999999999999.1"}) {
    const auto features = AgentFeatures::of(text);
    EXPECT_FALSE(features.port_ranges || features.native_ssh || features.new_forwarder) << text;
    EXPECT_TRUE(features.top_level_peers) << text;
  }
}

management::PolicyRule rule(std::string protocol, std::vector<std::string> ports,
                            std::vector<management::PortRange> ranges = {}) {
  management::PolicyRule out;
  out.protocol = std::move(protocol);
  out.ports = std::move(ports);
  out.port_ranges = std::move(ranges);
  return out;
}

TEST(ExpandPorts, PortsWinOverRanges) {
  const auto out = expand_ports(rule("tcp", {"80", "443"}, {{1, 2}}), {.ranges = true});
  EXPECT_EQ(out, (std::vector<PortSelection>{{.port = "80"}, {.port = "443"}}));
}

TEST(ExpandPorts, OldAgentsKeepOnlySinglePortRanges) {
  const auto wide = rule("udp", {}, {{8000, 8010}, {9000, 9000}});
  EXPECT_EQ(expand_ports(wide, {}), (std::vector<PortSelection>{{.port = "9000"}}));
  EXPECT_EQ(expand_ports(wide, {.ranges = true}).size(), 2U);
}

TEST(ExpandPorts, SshCompanionComesWithPort22Only) {
  const PortFeatures ssh{.ranges = true, .ssh_companion = true};
  EXPECT_EQ(expand_ports(rule("tcp", {"22"}), ssh).back().port, "22022");
  EXPECT_EQ(expand_ports(rule("tcp", {"22", "22022"}), ssh).size(), 2U);
  EXPECT_EQ(expand_ports(rule("tcp", {"80"}), ssh).size(), 1U);
  EXPECT_EQ(expand_ports(rule("tcp", {}), ssh).size(), 1U);
  EXPECT_EQ(expand_ports(rule("tcp", {}, {{20, 30}}), ssh).back().port, "22022");
  EXPECT_EQ(expand_ports(rule("netbird-ssh", {}), {}),
            (std::vector<PortSelection>{{.port = "22"}, {.port = "22022"}}));
}

}  // namespace
}  // namespace nb::netmap
