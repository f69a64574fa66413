#include "relay/messages.h"

#include "crypto/box.h"
#include "crypto/encoding.h"
#include "net/websocket_messages.h"
#include "support/paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <string>

namespace nb::relay {
namespace {

using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::Optional;

Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

const std::string kZeroKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

std::string contract_auth() {  // contract/signal-relay-ops.md §10
  const crypto::RelayTokens tokens({Secret("relay-secret")});
  return make_auth(crypto::relay_peer_id(kZeroKey),
                   tokens.make(std::chrono::sys_seconds(std::chrono::seconds(1'893'456'000))));
}

TEST(RelayMessages, AuthenticationIsTheOneOfTheContract) {
  EXPECT_EQ(
      hex(contract_auth()),
      "01062112a4427368612d51643eac9777b63a7b268174d1fd4276daedec9bc9ea0bc6e5abf69047bc54f6"
      "01171b78c230f8924ea423b2db791f90effa360b02a58889d318e4aba5bdfb2eff31383933343536303030");
  EXPECT_EQ(make_auth_response("rels://relay.example.com:443"),
            "\x01\x07rels://relay.example.com:443");
}

TEST(RelayMessages, AuthenticationIsReadBack) {
  const std::string message = contract_auth();
  const auto parsed = parse_auth(bytes_of(message));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->id, crypto::relay_peer_id(kZeroKey));
  EXPECT_EQ(parsed->algorithm, 1);
  EXPECT_EQ(parsed->payload, "1893456000");
}

TEST(RelayMessages, AuthenticationsThatAreNoneAreRefused) {
  const std::string good = contract_auth();
  const auto refused = [](const std::string& message) { return !parse_auth(bytes_of(message)); };
  EXPECT_TRUE(refused(""));
  EXPECT_TRUE(refused(good.substr(0, 74)));
  std::string wrong_type = good;
  wrong_type[1] = 3;
  EXPECT_TRUE(refused(wrong_type));
  std::string wrong_magic = good;
  wrong_magic[2] = 0;
  EXPECT_TRUE(refused(wrong_magic));
  EXPECT_FALSE(refused(good + std::string(kAuthMax - good.size(), '0')));
  EXPECT_TRUE(refused(good + std::string(kAuthMax - good.size() + 1, '0')));
}

TEST(RelayMessages, OnlyWhatAClientMaySayIsTaken) {
  std::string allowed;
  for (int type = 0; type < 256; ++type) {
    if (client_type(1, static_cast<std::uint8_t>(type))) allowed += std::to_string(type) + " ";
    EXPECT_FALSE(client_type(2, static_cast<std::uint8_t>(type)));
  }
  EXPECT_EQ(allowed, "3 4 5 6 8 9 ");
}

TEST(RelayMessages, IdListsHaveAWholeNumberOfIdsAndALimit) {
  const std::vector<PeerId> ids = {crypto::relay_peer_id("a"), crypto::relay_peer_id("b")};
  const std::string message = make_ids(Type::kSubscribe, ids);
  EXPECT_EQ(message.size(), 74U);
  EXPECT_THAT(parse_ids(bytes_of(message).subspan(2)), Optional(Eq(ids)));
  EXPECT_FALSE(parse_ids(bytes_of(message).subspan(3)));
  EXPECT_FALSE(parse_ids({}));
  EXPECT_TRUE(parse_ids(bytes_of(std::string(kIdsMax * kIdBytes, 'x'))));
  EXPECT_FALSE(parse_ids(bytes_of(std::string((kIdsMax + 1) * kIdBytes, 'x'))));
}

// --- what an official agent and an official relay said ----------------------------------------

std::string recorded(const std::string& name) {
  std::ifstream file(nb::test::source_dir() + "/tests/data/relay/" + name, std::ios::binary);
  std::string all{std::istreambuf_iterator<char>(file), {}};
  EXPECT_GT(all.size(), 1'000U) << name;
  return all.substr(all.find("\r\n\r\n") + 4);
}

struct Collected final : net::websocket::MessageSink {
  bool on_message(const net::WebSocketMessage& message) override {
    std::string bytes(message.size(), '\0');
    message.copy(0, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
    messages.push_back(bytes);
    return true;
  }
  bool on_control(net::websocket::Opcode, std::string_view) override { return true; }
  std::vector<std::string> messages;
};

TEST(RelayMessages, AnOfficialAgentsBytesAreUnderstood) {
  net::websocket::MessageReader reader(kMessageMax);
  Collected seen;
  ASSERT_EQ(reader.feed(bytes_of(recorded("agent-to-relay.bin")), seen),
            net::websocket::CloseCode::kNone);
  ASSERT_GT(seen.messages.size(), 5U);
  // Both agents' worthless private keys stand in contract/captures/keys.json.
  const auto own = crypto::PrivateKey::parse("eM30RrIppJ303+oc4bh6U/7qQpsUmxYsL0JcCti4KVY=");
  const auto other = crypto::PrivateKey::parse("iGL3uvMDILeTp0co98ZwGeiLBhsChsPaj6R6XiuVGVk=");
  ASSERT_TRUE(own && other);
  const PeerId own_id = crypto::relay_peer_id(own->public_key().base64());
  const PeerId other_id = crypto::relay_peer_id(other->public_key().base64());

  EXPECT_EQ(seen.messages[0].size(), 85U);
  const auto auth = parse_auth(bytes_of(seen.messages[0]));
  ASSERT_TRUE(auth);
  EXPECT_EQ(auth->id, own_id);
  std::map<Type, int> count;
  for (const std::string& message : seen.messages) {
    const auto type =
        client_type(static_cast<std::uint8_t>(message[0]), static_cast<std::uint8_t>(message[1]));
    ASSERT_TRUE(type);
    ++count[*type];
    if (*type == Type::kSubscribe) {
      EXPECT_THAT(parse_ids(bytes_of(message).subspan(2)), Optional(ElementsAre(other_id)));
    } else if (*type == Type::kTransport) {
      EXPECT_EQ(message, make_transport(other_id, message.substr(kTransportHeadBytes)));
    }
  }
  EXPECT_GE(count[Type::kHealthCheck], 1);
  EXPECT_GE(count[Type::kTransport], 5);
  EXPECT_GE(count[Type::kSubscribe], 1);
}

TEST(RelayMessages, WhatAnOfficialRelayAnswersIsWhatOursWrites) {
  std::string bytes = recorded("relay-to-agent.bin");
  std::map<Type, int> count;
  while (bytes.size() >= 2) {  // server frames are not masked and stay below 64 KiB
    std::size_t size = static_cast<unsigned char>(bytes[1]);
    std::size_t head = 2;
    if (size == 126) {
      size = static_cast<std::size_t>(static_cast<unsigned char>(bytes[2])) << 8 |
             static_cast<unsigned char>(bytes[3]);
      head = 4;
    }
    const std::string message = bytes.substr(head, size);
    const auto type = server_type(static_cast<std::uint8_t>(message.at(0)),
                                  static_cast<std::uint8_t>(message.at(1)));
    ASSERT_TRUE(type);
    ++count[*type];
    if (*type == Type::kAuthResponse) {
      EXPECT_EQ(message, make_auth_response("rel://10.77.0.1:33080"));
    } else if (*type == Type::kPeersOnline) {
      const auto ids = parse_ids(bytes_of(message).subspan(2));
      ASSERT_TRUE(ids);
      EXPECT_EQ(message, make_ids(Type::kPeersOnline, *ids));
    } else if (*type == Type::kHealthCheck) {
      EXPECT_EQ(message, "\x01\x05");
    }
    bytes.erase(0, head + size);
  }
  EXPECT_EQ(count[Type::kAuthResponse], 1);
  EXPECT_GE(count[Type::kPeersOnline], 1);
  EXPECT_GE(count[Type::kTransport], 5);
}

}  // namespace
}  // namespace nb::relay
