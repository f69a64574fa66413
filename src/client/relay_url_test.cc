#include "client/relay_url.h"

#include <gtest/gtest.h>

namespace nb::client {
namespace {

TEST(RelayUrl, HasTheSchemesPorts) {
  const auto plain = parse_relay_url("rel://relay.example.com");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host, "relay.example.com");
  EXPECT_EQ(plain->port, 80);
  EXPECT_FALSE(plain->tls);
  const auto secure = parse_relay_url("rels://relay.example.com");
  ASSERT_TRUE(secure);
  EXPECT_EQ(secure->port, 443);
  EXPECT_TRUE(secure->tls);
}

TEST(RelayUrl, TakesPortsAndAddresses) {
  const auto v6 = parse_relay_url("rels://[::1]:33080/whatever");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->host, "::1");
  EXPECT_EQ(v6->port, 33080);
}

TEST(RelayUrl, RefusesWhatNobodyCouldDial) {
  for (const char* text : {"", "relay.example.com", "http://relay", "rel://", "rel://:80",
                           "rel://a:0x", "rel://a:70000", "rel://user@a", "rel://::1"})
    EXPECT_FALSE(parse_relay_url(text)) << text;
}

}  // namespace
}  // namespace nb::client
