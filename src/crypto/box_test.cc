#include "crypto/box.h"

#include "crypto/encoding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>

namespace nb::crypto {
namespace {

// Vectors made with golang.org/x/crypto/nacl/box, which the official agents use.
constexpr std::string_view kAlicePrivate = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
constexpr std::string_view kAlicePublic = "B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw=";
constexpr std::string_view kBobPrivate = "yMfGxcTDwsHAv769vLu6ubi3trW0s7KxsK+urayrqqk=";
constexpr std::string_view kBobPublic = "ja/P7q6QRe6aeNeKmfzzLneB5EHrBzCWw0K44tzDthI=";
constexpr std::string_view kSealedHex =
    "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7"
    "12e52e7d1d677d1d76e0362fbed067ac32596bbc1c18922add42dba1707cc0";
constexpr std::string_view kSealedEmptyHex =
    "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b74dcb27a10a67fea5362f85412cc87aa5";
constexpr std::string_view kText = "peer meets peer";

/// Counts up from 0xA0, the nonce of the vectors.
class CountingRandom final : public RandomSource {
 public:
  void fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) byte = next_++;
  }

 private:
  std::uint8_t next_ = 0xA0;
};

PrivateKey private_key(std::string_view text) {
  return *PrivateKey::parse(text);
}
PublicKey public_key(std::string_view text) {
  return *PublicKey::parse(text);
}

BoxSession alice_to_bob() {
  return *BoxSession::create(private_key(kAlicePrivate), public_key(kBobPublic));
}
BoxSession bob_to_alice() {
  return *BoxSession::create(private_key(kBobPrivate), public_key(kAlicePublic));
}

TEST(Key, PublicFollowsFromPrivate) {
  EXPECT_EQ(private_key(kAlicePrivate).public_key().base64(), kAlicePublic);
  EXPECT_EQ(private_key(kBobPrivate).public_key().base64(), kBobPublic);
  EXPECT_EQ(private_key(kBobPrivate).base64().reveal(), kBobPrivate);
}

TEST(Key, StrayBitsAreAcceptedAndPrintedCanonically) {
  std::string text(kAlicePublic);
  text[42] = 'x';  // 'w' with one stray bit
  const auto key = PublicKey::parse(text);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->base64(), kAlicePublic);
  EXPECT_EQ(*key, public_key(kAlicePublic));
}

TEST(Key, AnythingElseIsRefusedWithoutRepeatingIt) {
  const std::string good(kAlicePublic);
  for (const std::string& text :
       {std::string(), std::string("AAAA"), good.substr(1), good + "=", good.substr(0, 43),
        good.substr(0, 42) + "==", good.substr(0, 43) + "A", " " + good.substr(1),
        good.substr(0, 20) + "-" + good.substr(21), good.substr(0, 20) + "\n" + good.substr(21),
        good.substr(0, 20) + "=" + good.substr(21), std::string(44, '\0'), std::string(44, '=')}) {
    const auto key = PublicKey::parse(text);
    ASSERT_FALSE(key) << text;
    EXPECT_EQ(key.error().code, Code::kInvalidArgument);
    if (!text.empty()) {
      EXPECT_EQ(key.error().text.find(text), std::string::npos);
    }
    EXPECT_FALSE(PrivateKey::parse(text)) << text;
  }
}

TEST(Key, GeneratedPrivateKeysAreClampedAndDiffer) {
  SystemRandom random;
  const PrivateKey one = PrivateKey::generate(random);
  const PrivateKey two = PrivateKey::generate(random);
  EXPECT_NE(one.bytes(), two.bytes());
  EXPECT_EQ(one.bytes()[0] & 7, 0);
  EXPECT_EQ(one.bytes()[31] & 0xC0, 0x40);
}

TEST(BoxSession, WritesWhatOfficialAgentsWrite) {
  CountingRandom random;
  EXPECT_EQ(to_hex(alice_to_bob().seal(kText, random)), kSealedHex);
  CountingRandom again;
  EXPECT_EQ(to_hex(alice_to_bob().seal("", again)), kSealedEmptyHex);
}

TEST(BoxSession, OpensWhatOfficialAgentsWrite) {
  EXPECT_EQ(*bob_to_alice().open(*from_hex(kSealedHex)), kText);
  EXPECT_EQ(*bob_to_alice().open(*from_hex(kSealedEmptyHex)), "");
  EXPECT_EQ(*alice_to_bob().open(*from_hex(kSealedHex)), kText)
      << "the shared key has no direction";
}

TEST(BoxSession, NoncesDiffer) {
  SystemRandom random;
  const BoxSession session = alice_to_bob();
  EXPECT_NE(session.seal(kText, random), session.seal(kText, random));
}

TEST(BoxSession, EveryChangedByteIsNoticed) {
  const std::string sealed = *from_hex(kSealedHex);
  const BoxSession session = bob_to_alice();
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const auto opened = session.open(changed);
    ASSERT_FALSE(opened) << "byte " << i;
    EXPECT_EQ(opened.error(), (Error{Code::kInvalidArgument, "invalid request message"}));
  }
}

TEST(BoxSession, EveryShorterBodyIsRefused) {
  const std::string sealed = *from_hex(kSealedHex);
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_FALSE(bob_to_alice().open(std::string_view(sealed).substr(0, size))) << size;
  }
  EXPECT_FALSE(bob_to_alice().open(sealed + '\0'));
}

TEST(BoxSession, WrongKeyDoesNotOpen) {
  SystemRandom random;
  const PrivateKey other = PrivateKey::generate(random);
  const auto session = BoxSession::create(other, public_key(kAlicePublic));
  ASSERT_TRUE(session);
  EXPECT_FALSE(session->open(*from_hex(kSealedHex)));
}

TEST(BoxSession, PointsWithoutASharedSecretAreRefused) {
  const auto session = BoxSession::create(private_key(kAlicePrivate), PublicKey());
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, Code::kInvalidArgument);
  EXPECT_TRUE(PublicKey().is_zero());
}

TEST(BoxSession, ReusesTheBuffersItIsGiven) {
  SystemRandom random;
  const std::string text(10'000, 'x');
  std::string sealed;
  std::string plain;
  sealed.reserve(20'000);
  plain.reserve(20'000);
  const char* const sealed_at = sealed.data();
  const char* const plain_at = plain.data();
  alice_to_bob().seal_onto(sealed, text, random);
  ASSERT_TRUE(bob_to_alice().open_into(plain, sealed));
  EXPECT_EQ(plain, text);
  EXPECT_EQ(sealed.data(), sealed_at);
  EXPECT_EQ(plain.data(), plain_at);
}

TEST(BoxSession, SealsBehindWhatIsThere) {
  SystemRandom random;
  std::string sealed = "head";
  alice_to_bob().seal_onto(sealed, "text", random);
  ASSERT_EQ(sealed.substr(0, 4), "head");
  EXPECT_EQ(*bob_to_alice().open(sealed.substr(4)), "text");
}

TEST(BoxSession, SealsPartsAsOneText) {
  SystemRandom random;
  for (const std::size_t size : {0, 1, 63, 64, 65, 100'000}) {
    const std::string long_part(size, 'y');
    std::string sealed = "head";
    alice_to_bob().seal_onto(sealed, {"a", long_part, "", "z"}, random);
    EXPECT_EQ(*bob_to_alice().open(sealed.substr(4)), "a" + long_part + "z");
  }
}

}  // namespace
}  // namespace nb::crypto
