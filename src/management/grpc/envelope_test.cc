#include "management/grpc/envelope.h"

#include "proto/management.pb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::management::grpc {
namespace {

class EnvelopeTest : public testing::Test {
 protected:
  EnvelopeTest() { EXPECT_TRUE(ring.set({server})); }
  /// What the agent sends to the holder of `key`.
  std::string sealed(const crypto::PrivateKey& key, std::string_view plain) {
    ::management::EncryptedMessage message;
    message.set_wgpubkey(agent.public_key().base64());
    message.set_body(crypto::BoxSession::create(agent, key.public_key())->seal(plain, random));
    return message.SerializeAsString();
  }
  crypto::SystemRandom random;
  crypto::PrivateKey server = crypto::PrivateKey::generate(random);
  crypto::PrivateKey older = crypto::PrivateKey::generate(random);
  crypto::PrivateKey agent = crypto::PrivateKey::generate(random);
  ServerKeyRing ring;
};

TEST_F(EnvelopeTest, OpensAndAnswersWithTheKeyThatOpened) {
  const auto opened = open_envelope(sealed(server, "hello"), ring);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->plain, "hello");
  EXPECT_EQ(opened->channel.peer.value(), agent.public_key().base64());
  EXPECT_EQ(opened->nonce.size(), 24U);
  EXPECT_NE(opened->nonce, open_envelope(sealed(server, "hello"), ring)->nonce);
  ::management::EncryptedMessage answer;
  ASSERT_TRUE(answer.ParseFromString(opened->channel.seal("world", random)));
  EXPECT_EQ(answer.wgpubkey(), server.public_key().base64());
  EXPECT_EQ(*crypto::BoxSession::create(agent, server.public_key())->open(answer.body()), "world");
}

TEST_F(EnvelopeTest, AnswersAreEncodedAsTheProtocolLibraryDoes) {
  const auto opened = open_envelope(sealed(server, "hello"), ring);
  ASSERT_TRUE(opened);
  for (const std::size_t size : {0U, 80U, 100U, 16'000U, 17'000U, 3'000'000U}) {
    const std::string answer = opened->channel.seal(std::string(size, 'x'), random);
    ::management::EncryptedMessage parsed;
    ASSERT_TRUE(parsed.ParseFromString(answer));
    EXPECT_EQ(parsed.body().size(), size + crypto::BoxSession::kOverhead);
    EXPECT_EQ(parsed.SerializeAsString(), answer) << size;
  }
}

TEST_F(EnvelopeTest, PreviousKeyStillOpensDuringARotation) {
  ASSERT_TRUE(ring.set({server, older}));
  const auto opened = open_envelope(sealed(older, "late"), ring);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->channel.server_key, older.public_key().base64());
  EXPECT_EQ(ring.keys()->front().public_text, server.public_key().base64());
}

TEST_F(EnvelopeTest, SharedKeyIsRememberedAsLongAsTheServersKeysStay) {
  ASSERT_TRUE(ring.set({server, older}));
  EXPECT_FALSE(ring.known(agent.public_key()));
  EXPECT_FALSE(open_envelope(sealed(crypto::PrivateKey::generate(random), "x"), ring));
  EXPECT_FALSE(ring.known(agent.public_key())) << "who proved nothing is not remembered";
  for (const auto* key : {&older, &older, &server}) {
    const auto opened = open_envelope(sealed(*key, "x"), ring);
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->channel.server_key, key->public_key().base64());
    ASSERT_TRUE(ring.known(agent.public_key()));
    EXPECT_EQ(ring.known(agent.public_key())->server_key, key->public_key().base64());
  }
  const auto before = ring.keys();
  const auto shared = ring.known(agent.public_key());
  ASSERT_TRUE(ring.set({older}));
  EXPECT_FALSE(ring.known(agent.public_key()));
  ring.remember(before, agent.public_key(), *shared);  // a call that began before
  EXPECT_FALSE(ring.known(agent.public_key()));
  EXPECT_FALSE(open_envelope(sealed(server, "x"), ring));
}

TEST_F(EnvelopeTest, EmptyMessageIsFortyBytes) {
  ::management::EncryptedMessage message;
  ASSERT_TRUE(message.ParseFromString(sealed(server, "")));
  EXPECT_EQ(message.body().size(), 40U);
  EXPECT_TRUE(open_envelope(message.SerializeAsString(), ring));
}

TEST_F(EnvelopeTest, KeyWithStrayBitsIsTheSamePeer) {
  ::management::EncryptedMessage message;
  ASSERT_TRUE(message.ParseFromString(sealed(server, "x")));
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char& last = (*message.mutable_wgpubkey())[42];  // its two low bits mean nothing
  last = kDigits[kDigits.find(last) | 1U];
  const auto opened = open_envelope(message.SerializeAsString(), ring);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->channel.peer.value(), agent.public_key().base64());
}

TEST_F(EnvelopeTest, ForeignServerKeyIsRefused) {
  const auto opened = open_envelope(sealed(older, "x"), ring);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error(), fail(Code::kInvalidArgument, "invalid request message"));
}

TEST_F(EnvelopeTest, FlowsSayWhatIsWrongInTheirOwnWords) {  // contract/management-grpc.md §2
  const auto flow = [&](const std::string& bytes) {
    return open_envelope(bytes, ring, EnvelopeTexts::kFlow, "GetPKCEAuthorizationFlow").error();
  };
  ::management::EncryptedMessage message;
  message.set_wgpubkey("no key");
  EXPECT_EQ(flow(message.SerializeAsString()),
            (Error{Code::kInvalidArgument,
                   "error while parsing peer's Wireguard public key no key on "
                   "GetPKCEAuthorizationFlow request."}));
  const std::string key = agent.public_key().base64();
  EXPECT_EQ(
      flow(sealed(older, "x")),
      (Error{Code::kInvalidArgument,
             "error while decrypting peer's message with Wireguard public key " + key + "."}));
  EXPECT_EQ(open_envelope(sealed(older, "x"), ring).error(),
            (Error{Code::kInvalidArgument, "invalid request message"}));
  EXPECT_EQ(open_envelope(sealed(server, "x"), ServerKeyRing()).error(),
            (Error{Code::kInternal, "failed processing request"}));
}

TEST_F(EnvelopeTest, BadKeyTextIsShownWithoutItsBytes) {
  ::management::EncryptedMessage message;
  message.set_wgpubkey("a\x01" + std::string(500, 'b'));
  const auto opened = open_envelope(message.SerializeAsString(), ring);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().text, testing::StartsWith("provided wgPubKey a?bbb"));
  EXPECT_LT(opened.error().text.size(), 120U);
  const auto flow = open_envelope(message.SerializeAsString(), ring, EnvelopeTexts::kFlow, "GetX");
  EXPECT_THAT(flow.error().text, testing::HasSubstr("on GetX request."));
}

}  // namespace
}  // namespace nb::management::grpc
