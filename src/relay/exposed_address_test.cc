#include "relay/exposed_address.h"

#include <gtest/gtest.h>

#include <string>

namespace nb::relay {
namespace {

std::string url(std::string_view exposed, bool tls) {
  const auto result = instance_url(exposed, tls);
  return result ? *result : "refused";
}

TEST(ExposedAddress, GetsTheSchemeThatFitsWhereThereIsNone) {
  EXPECT_EQ(url("relay.example.com:443", true), "rels://relay.example.com:443");
  EXPECT_EQ(url("10.0.0.1:33080", false), "rel://10.0.0.1:33080");
  EXPECT_EQ(url("[2001:db8::1]:33080", false), "rel://[2001:db8::1]:33080");
}

TEST(ExposedAddress, TlsMayEndAtAProxyButNotBeDenied) {
  EXPECT_EQ(url("rels://relay.example.com", false), "rels://relay.example.com");
  EXPECT_EQ(url("rel://relay.example.com", false), "rel://relay.example.com");
  EXPECT_EQ(url("rel://relay.example.com", true), "refused");
}

TEST(ExposedAddress, WhatNoPeerCouldDialIsRefused) {
  for (const std::string bad :
       {"", "https://relay.example.com", "rel://rels://a", "a://b://c", "rel://", ":443",
        "relay.example.com:0", "relay.example.com:70000", "relay.example.com:x", "two words:1"}) {
    EXPECT_EQ(url(bad, false), "refused") << bad;
  }
}

}  // namespace
}  // namespace nb::relay
