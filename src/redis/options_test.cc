#include "redis/options.h"

#include <gtest/gtest.h>

#include <string>

namespace nb::redis {
namespace {

Options parsed(std::string_view text) {
  Options options;
  const auto result = apply_url(options, text);
  EXPECT_TRUE(result) << text << ": " << (result ? "" : result.error().text);
  return options;
}

TEST(RedisUrl, HostAndPort) {
  EXPECT_EQ(parsed("redis.nb-ha.local:6380").address, (Address{"redis.nb-ha.local", 6380}));
  EXPECT_EQ(parsed("redis").address, (Address{"redis", 6379}));
  EXPECT_EQ(parsed("10.1.2.3:1").address, (Address{"10.1.2.3", 1}));
  EXPECT_EQ(parsed("[::1]:6380").address, (Address{"::1", 6380}));
  EXPECT_EQ(parsed("[::1]").address, (Address{"::1", 6379}));
  EXPECT_EQ(parsed("fd00::1").address, (Address{"fd00::1", 6379}));
}

TEST(RedisUrl, EveryPartOfAUrl) {
  const Options options = parsed("rediss://net%40bird:p%3Aa%2Fs@s@redis.example.com:6390/7");
  EXPECT_TRUE(options.tls.enabled);
  EXPECT_EQ(options.user, "net@bird");
  EXPECT_EQ(options.password.reveal(), "p:a/s@s");
  EXPECT_EQ(options.address, (Address{"redis.example.com", 6390}));
  EXPECT_EQ(options.db, 7);
}

TEST(RedisUrl, PartsMayBeMissing) {
  EXPECT_EQ(parsed("redis://host").address, (Address{"host", 6379}));
  EXPECT_FALSE(parsed("redis://host").tls.enabled);
  EXPECT_EQ(parsed("redis://host/").db, 0);
  EXPECT_EQ(parsed("redis://host?db=3").db, 3);
  EXPECT_EQ(parsed("redis://:pw@host").password.reveal(), "pw");
  EXPECT_EQ(parsed("redis://:pw@host").user, "");
  EXPECT_EQ(parsed("redis://me@host").user, "me");
  EXPECT_TRUE(parsed("redis://me@host").password.empty());
  EXPECT_EQ(parsed("redis://[::1]:7000/1").address, (Address{"::1", 7000}));
}

TEST(RedisUrl, WhatItDoesNotSayIsKept) {
  Options options;
  options.password = Secret("kept");
  options.db = 4;
  options.tls.enabled = true;
  ASSERT_TRUE(apply_url(options, "other:1234"));
  EXPECT_EQ(options.password.reveal(), "kept");
  EXPECT_EQ(options.db, 4);
  EXPECT_TRUE(options.tls.enabled);
}

TEST(RedisUrl, BadOnesChangeNothingAndAreNotRepeated) {
  for (const char* text : {"",
                           ":6379",
                           "host:",
                           "host:0",
                           "host:65536",
                           "host:64x",
                           "host:-1",
                           "ho st",
                           "host/1",
                           "hunter2@host",
                           "http://hunter2:hunter2@host",
                           "redis://",
                           "redis://:hunter2",
                           "redis://:hunter2/x@host",
                           "redis://host:hunter2",
                           "redis://host/hunter2",
                           "redis://host/-1",
                           "redis://host/65536",
                           "redis://host?hunter2=1",
                           "redis://host?db=x",
                           "redis://user:hunter2%2@host",
                           "redis://user:hunter2%zz@host",
                           "redis://user:hunter2#x@host",
                           "[::1",
                           "[::1]x",
                           "[]:1",
                           "redis://h\nost"}) {
    Options options;
    const auto result = apply_url(options, text);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, Code::kInvalidArgument) << text;
    EXPECT_EQ(result.error().text.find("hunter2"), std::string::npos) << result.error().text;
    EXPECT_EQ(options.address, Options().address) << text;
    EXPECT_EQ(options.user, "") << text;
    EXPECT_TRUE(options.password.empty()) << text;
    EXPECT_FALSE(options.tls.enabled) << text;
  }
}

TEST(SentinelList, AddressesWithTheSentinelsPortByDefault) {
  const auto list = parse_sentinels("a:1, b ,[::1]:2,");
  ASSERT_TRUE(list);
  EXPECT_EQ(*list, (std::vector<Address>{{"a", 1}, {"b", 26379}, {"::1", 2}}));
  EXPECT_FALSE(parse_sentinels(""));
  EXPECT_FALSE(parse_sentinels(" , "));
  EXPECT_FALSE(parse_sentinels("a:1,b:x"));
}

}  // namespace
}  // namespace nb::redis
