#include "stun/source_limit.h"

#include "net/address.h"

#include <gtest/gtest.h>

#include <string>

namespace nb::stun {
namespace {

using namespace std::chrono_literals;
const Instant kStart = Instant{} + 1h;

in6_addr ip(const std::string& text) {
  return net::parse_ip(text)->ip;
}

int taken(SourceLimit& limit, const std::string& from, Instant now, int tries) {
  int count = 0;
  for (int i = 0; i < tries; ++i) count += limit.take(ip(from), now) ? 1 : 0;
  return count;
}

TEST(StunSourceLimit, ASourceGetsItsBurstAndThenItsRate) {
  SourceLimit limit(10, 20);
  EXPECT_EQ(taken(limit, "192.0.2.1", kStart, 100), 20);
  EXPECT_EQ(taken(limit, "192.0.2.1", kStart + 500ms, 100), 5);
  EXPECT_EQ(taken(limit, "192.0.2.1", kStart + 1h, 100), 20);
}

TEST(StunSourceLimit, OthersDoNotNotice) {
  SourceLimit limit(10, 20);
  EXPECT_EQ(taken(limit, "192.0.2.1", kStart, 1'000), 20);
  int served = 0;
  for (int i = 1; i < 200; ++i)
    served += limit.take(ip("198.51.100." + std::to_string(i)), kStart) ? 1 : 0;
  EXPECT_GE(served, 197);  // 16,384 places: hardly ever one in the same
}

TEST(StunSourceLimit, AnIpv6NetworkCountsAsOne) {
  SourceLimit limit(10, 20);
  int served = 0;
  for (int i = 0; i < 100; ++i)
    served += limit.take(ip("2001:db8:1:2::" + std::to_string(i)), kStart) ? 1 : 0;
  EXPECT_EQ(served, 20);
  EXPECT_TRUE(limit.take(ip("2001:db8:1:3::1"), kStart));
}

TEST(StunSourceLimit, ZeroMeansNone) {
  SourceLimit limit(0, 0);
  EXPECT_EQ(taken(limit, "192.0.2.1", kStart, 1'000), 1'000);
}

}  // namespace
}  // namespace nb::stun
