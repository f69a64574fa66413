#include "net/address.h"

#include <gtest/gtest.h>

namespace nb::net {
namespace {

AddressRange range(const char* text) {
  return *AddressRange::parse(text);
}

PeerAddress peer(const char* text) {
  return *parse_ip(text);
}

TEST(AddressRange, ContainsWhatItsPrefixSays) {
  EXPECT_TRUE(range("10.0.0.0/8").contains(peer("10.200.3.4").ip));
  EXPECT_FALSE(range("10.0.0.0/8").contains(peer("11.0.0.1").ip));
  EXPECT_TRUE(range("192.0.2.1").contains(peer("192.0.2.1").ip));
  EXPECT_FALSE(range("192.0.2.1").contains(peer("192.0.2.2").ip));
  EXPECT_TRUE(range("2001:db8::/33").contains(peer("2001:db8:7fff::1").ip));
  EXPECT_FALSE(range("2001:db8::/33").contains(peer("2001:db8:8000::1").ip));
  EXPECT_FALSE(range("0.0.0.0/0").contains(peer("2001:db8::1").ip));
  EXPECT_TRUE(range("::/0").contains(peer("192.0.2.1").ip));
}

TEST(AddressRange, NonsenseIsRefused) {
  for (const char* text :
       {"", "10.0.0.0/33", "10.0.0/8", "::/129", "host", "10.0.0.0/", "10.0.0.0/x"}) {
    EXPECT_FALSE(AddressRange::parse(text).has_value()) << text;
  }
}

TEST(RealClient, HeadersOfAStrangerAreIgnored) {
  ProxyRules rules;
  rules.trusted_peers = {range("10.0.0.0/8")};
  const auto client = rules.resolve(peer("192.0.2.7:4000"), "198.51.100.1", "198.51.100.2");
  EXPECT_EQ(client.ip, "192.0.2.7");
  EXPECT_EQ(client.port, 4000);
}

TEST(RealClient, TheFirstUntrustedHopFromTheRightWins) {
  ProxyRules rules;
  rules.trusted_peers = {range("10.0.0.0/8")};
  rules.trusted_proxies = {range("203.0.113.0/24")};
  const auto resolve = [&](const char* forwarded) {
    return rules.resolve(peer("10.1.1.1"), forwarded, "").ip;
  };
  EXPECT_EQ(resolve("198.51.100.9"), "198.51.100.9");
  EXPECT_EQ(resolve("1.2.3.4, 198.51.100.9, 203.0.113.5, 10.9.9.9"), "198.51.100.9");
  EXPECT_EQ(resolve("203.0.113.4, 10.9.9.9"), "203.0.113.4");  // all trusted: the furthest
  EXPECT_EQ(resolve("nonsense, 10.9.9.9"), "10.9.9.9");
  EXPECT_EQ(resolve("[2001:db8::5]:8080"), "2001:db8::5");
}

TEST(RealClient, PermissiveTrustStillTakesTheRightmostHop) {
  ProxyRules rules;
  rules.trusted_peers = {range("0.0.0.0/0")};
  EXPECT_EQ(rules.resolve(peer("10.1.1.1"), "1.2.3.4, 198.51.100.9", "").ip, "198.51.100.9");
}

TEST(RealClient, ACountIndexesFromTheRight) {
  ProxyRules rules;
  rules.trusted_peers = {range("10.0.0.0/8")};
  rules.count = 2;
  EXPECT_EQ(rules.resolve(peer("10.1.1.1"), "1.1.1.1, 2.2.2.2, 3.3.3.3", "").ip, "2.2.2.2");
  EXPECT_EQ(rules.resolve(peer("10.1.1.1"), "3.3.3.3", "").ip, "10.1.1.1");
}

TEST(RealClient, RealIpCountsWhenNothingWasForwarded) {
  ProxyRules rules;
  rules.trusted_peers = {range("10.0.0.0/8")};
  EXPECT_EQ(rules.resolve(peer("10.1.1.1"), "", "198.51.100.2").ip, "198.51.100.2");
  EXPECT_EQ(rules.resolve(peer("10.1.1.1"), "", "").ip, "10.1.1.1");
}

}  // namespace
}  // namespace nb::net
