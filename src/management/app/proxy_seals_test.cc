#include "management/app/proxy_seals.h"

#include <gtest/gtest.h>

namespace nb::management::app {
namespace {

using namespace std::chrono_literals;

struct ProxySealsTest : testing::Test {
  crypto::SystemRandom random;
  std::vector<std::string> secrets{"one"};
  ProxySeals seals{[this] {
                     std::vector<Secret> out;
                     for (const std::string& text : secrets) out.emplace_back(text);
                     return out;
                   },
                   random};
  WallTime now = WallTime(1'800'000'000s);
};

TEST_F(ProxySealsTest, TokenIsForItsServiceAndItsTime) {
  const std::string token = seals.token("a", "s", now);
  EXPECT_NE(token, seals.token("a", "s", now));
  const auto opened = seals.open_token(token, "a", "s", now);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->ends, now + ProxySeals::kTokenLife);
  EXPECT_FALSE(seals.open_token(token, "a", "t", now));
  EXPECT_FALSE(seals.open_token(token, "b", "s", now));
  EXPECT_FALSE(seals.open_token(token, "a", "s", now + ProxySeals::kTokenLife));
  for (const std::string& bad : {std::string(), std::string("x"), token + "A", token.substr(1)})
    EXPECT_EQ(seals.open_token(bad, "a", "s", now).error().code, Code::kUnauthenticated);
}

TEST_F(ProxySealsTest, NoByteOfATokenMayChange) {
  const std::string token = seals.token("a", "s", now);
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string bad = token;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(seals.open_token(bad, "a", "s", now)) << i;
  }
}

TEST_F(ProxySealsTest, StateBringsItsAddressBack) {
  const std::string url = "https://app.example.net/a?b=c|d&e=\xc3\xa4";
  const std::string state = seals.state(url, now);
  const auto opened = seals.open_state(state, now);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->url, url);
  EXPECT_EQ(opened->once.ends, now + ProxySeals::kStateLife);
  EXPECT_FALSE(seals.open_state(state, now + ProxySeals::kStateLife));
  for (std::size_t i = 0; i < state.size(); ++i) {
    std::string bad = state;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(seals.open_state(bad, now)) << i;
  }
}

// What is good once is the state, not one spelling of it.
TEST_F(ProxySealsTest, StateHasOneSpelling) {
  const std::string state = seals.state("https://app.example.net/", now);
  const std::size_t bar = state.find('|');
  ASSERT_TRUE(seals.open_state(state, now));
  for (const std::string& other : {" " + state, state + " ", state + "|", "|" + state,
                                   state.substr(0, bar) + "|" + state.substr(bar),
                                   state.substr(0, bar) + " " + state.substr(bar)}) {
    EXPECT_FALSE(seals.open_state(other, now)) << other;
    EXPECT_FALSE(seals.verifier(other)) << other;
  }
  EXPECT_TRUE(seals.open_state(seals.state("", now), now));
}

TEST_F(ProxySealsTest, VerifierIsOneOfRfc7636AndTheStatesOwn) {
  const std::string state = seals.state("https://app.example.net/", now);
  EXPECT_EQ(seals.verifier(state)->size(), 43U);
  EXPECT_EQ(*seals.verifier(state), *seals.verifier(state));
  EXPECT_NE(*seals.verifier(state), *seals.verifier(seals.state("https://app.example.net/", now)));
  EXPECT_FALSE(seals.verifier("a|b|c"));
}

TEST_F(ProxySealsTest, WhatTheSecretBeforeSealedStaysGood) {
  const std::string token = seals.token("a", "s", now);
  const std::string state = seals.state("https://app.example.net/", now);
  const std::string verifier = *seals.verifier(state);
  secrets = {"two", "one"};
  EXPECT_TRUE(seals.open_token(token, "a", "s", now));
  EXPECT_TRUE(seals.open_state(state, now));
  EXPECT_EQ(*seals.verifier(state), verifier);
  secrets = {"two"};
  EXPECT_FALSE(seals.open_token(token, "a", "s", now));
  EXPECT_FALSE(seals.open_state(state, now));
}

}  // namespace
}  // namespace nb::management::app
