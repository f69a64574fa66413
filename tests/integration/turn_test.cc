// TURN credentials that management hands out, at a real coturn: contract/signal-relay-ops.md §4.2.
#include "crypto/relay_token.h"
#include "integration/mgmt_harness.h"
#include "support/servers.h"
#include "turn_client.h"

#include <gtest/gtest.h>

namespace nb::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kSecret = "turn-secret-of-the-test";

struct Credentials {
  std::string uri;
  std::string user;
  std::string password;
};

std::string turn_json(const TurnServer& turn, const std::string& rest) {
  return R"("TURNConfig": {"Turns": [{"Proto": "udp", "URI": "turn:127.0.0.1:)" +
         std::to_string(turn.port()) +
         R"(", "Username": "static-user", "Password": "static-password"}], )" + rest + "},";
}

Credentials of(const pb::NetbirdConfig& config) {
  EXPECT_EQ(config.turns_size(), 1);
  if (config.turns_size() == 0) return {};
  const auto& turn = config.turns(0);
  return {turn.hostconfig().uri(), turn.user(), turn.password()};
}

/// A management server whose agents use `turn`.
struct Managed {
  Managed(const TurnServer& turn, const std::string& rest)
      : server({.json = turn_json(turn, rest)}) {
    server.start();
    login = agent.login(server.target(), server.setup_key());
    EXPECT_TRUE(login.ok()) << login.status.error_message();
  }
  MgmtServer server;
  Agent agent{"turn-user"};
  Agent::Answer<pb::LoginResponse> login;
};

/// Allocates, and packets come and go through the relayed address.
void expect_works(const TurnServer& turn, const Credentials& with) {
  TurnClient client(turn.port(), with.user, with.password);
  const auto relayed = client.allocate();
  ASSERT_TRUE(relayed) << client.error();
  ASSERT_TRUE(client.permit());
  const UdpSocket peer;
  client.send(peer.port(), "there");
  const auto there = peer.receive();
  ASSERT_TRUE(there);
  EXPECT_EQ(there->first, "there");
  EXPECT_EQ(there->second, *relayed);
  peer.send(*relayed, "and back");
  EXPECT_EQ(client.receive(), "and back");
}

/// With which code; 0: not at all.
int refusal(const TurnServer& turn, const std::string& user, const std::string& password) {
  TurnClient client(turn.port(), user, password);
  const auto relayed = client.allocate();
  return relayed ? 0 : client.error();
}

TEST(Turn, CoturnTakesTheTimeBasedCredentialsOfAnAgent) {
  const TurnServer turn({.secret = kSecret});
  const Managed managed(turn, R"("TimeBasedCredentials": true, "CredentialsTTL": "1h",
                                 "Secret": ")" +
                                  std::string(kSecret) + "\"");
  SyncStream sync(managed.agent, managed.server.target());
  ASSERT_TRUE(sync.wait_first());
  const Credentials given = of(sync.received().front().netbirdconfig());
  EXPECT_EQ(given.uri, "turn:127.0.0.1:" + std::to_string(turn.port()));
  expect_works(turn, given);

  EXPECT_EQ(refusal(turn, given.user, given.password + "x"), 401) << "a wrong password";
  const std::string longer = std::to_string(std::stoll(given.user) + 3'600);
  EXPECT_EQ(refusal(turn, longer, given.password), 401) << "a longer life than was signed";
  const auto past = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()) - 2s;
  const auto expired = crypto::make_turn_credentials(Secret(std::string(kSecret)), past);
  EXPECT_EQ(refusal(turn, expired.username, expired.password), 401);
  const auto foreign = crypto::make_turn_credentials(Secret(std::string("another")), past + 1h);
  EXPECT_EQ(refusal(turn, foreign.username, foreign.password), 401) << "signed by somebody else";
}

TEST(Turn, RunningAgentsGetNewCredentialsBeforeTheOldOnesExpire) {
  const TurnServer turn({.secret = kSecret});
  const Managed managed(turn, R"("TimeBasedCredentials": true, "CredentialsTTL": "4s",
                                 "Secret": ")" +
                                  std::string(kSecret) + "\"");
  SyncStream sync(managed.agent, managed.server.target());
  ASSERT_TRUE(sync.wait_first());
  const Credentials first = of(sync.received().front().netbirdconfig());
  const auto newer = [&](const pb::SyncResponse& message) {
    return message.netbirdconfig().turns_size() == 1 &&
           message.netbirdconfig().turns(0).user() != first.user;
  };
  ASSERT_TRUE(sync.wait_for(newer, 15s));
  expect_works(turn, of(sync.last()->netbirdconfig()));
  EXPECT_TRUE(eventually([&] { return refusal(turn, first.user, first.password) == 401; }));
}

TEST(Turn, StaticCredentialsArePassedThrough) {
  const TurnServer turn({.user = "static-user", .password = "static-password"});
  const Managed managed(turn, R"("TimeBasedCredentials": false)");
  expect_works(turn, of(managed.login.value.netbirdconfig()));
  SyncStream sync(managed.agent, managed.server.target());
  ASSERT_TRUE(sync.wait_first());
  expect_works(turn, of(sync.received().front().netbirdconfig()));
  EXPECT_EQ(refusal(turn, "static-user", "guess"), 401);
}

}  // namespace
}  // namespace nb::test
