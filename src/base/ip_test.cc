#include "base/ip.h"

#include <gtest/gtest.h>

namespace nb {
namespace {

TEST(Ip, MappedAddressIsTheIpv4Address) {
  EXPECT_EQ(*IpAddress::parse("::ffff:10.1.2.3"), *IpAddress::parse("10.1.2.3"));
  EXPECT_EQ(IpAddress::parse("FD00:0:0::1")->text(), "fd00::1");
  EXPECT_EQ(IpAddress::parse("10.1.2.3")->v4_value(), 0x0A010203U);
  EXPECT_EQ(IpAddress::v4(0x64400001).text(), "100.64.0.1");
}

TEST(Ip, OtherTextIsRefused) {
  for (const auto* text : {"", "10.1.2", "10.1.2.256", "fd00::1%eth0", "host", "1.2.3.4 "}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0x", 9)));
  for (const auto* text : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "fd00::/129", "/8"}) {
    EXPECT_FALSE(IpPrefix::parse(text)) << text;
  }
}

TEST(Ip, PrefixContainsItsRangeOnly) {
  const auto net = *IpPrefix::parse("100.64.3.7/10");
  EXPECT_EQ(net.text(), "100.64.0.0/10");
  EXPECT_TRUE(net.contains(*IpAddress::parse("100.127.255.255")));
  EXPECT_FALSE(net.contains(*IpAddress::parse("100.128.0.0")));
  EXPECT_FALSE(net.contains(*IpAddress::parse("fd00::1")));
  EXPECT_TRUE(IpPrefix::parse("0.0.0.0/0")->contains(*IpAddress::parse("255.1.1.1")));
  EXPECT_TRUE(IpPrefix::parse("fd00::/9")->contains(*IpAddress::parse("fd7f::1")));
  EXPECT_FALSE(IpPrefix::parse("fd00::/9")->contains(*IpAddress::parse("fd80::1")));
}

}  // namespace
}  // namespace nb
