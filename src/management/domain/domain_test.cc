#include "management/domain/allocation.h"

#include <gtest/gtest.h>

namespace nb::management {
namespace {

TEST(Prefix, ContainsItsHostsOnly) {
  const auto net = *Prefix::parse("100.72.0.0/16");
  EXPECT_TRUE(net.contains(*IpAddress::parse("100.72.255.255")));
  EXPECT_FALSE(net.contains(*IpAddress::parse("100.73.0.0")));
  EXPECT_FALSE(net.contains(*IpAddress::parse("::1")));
}

}  // namespace
}  // namespace nb::management
