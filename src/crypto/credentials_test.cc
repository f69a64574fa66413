// Relay and TURN credentials, access tokens, setup keys, ids: the vectors of
// contract/signal-relay-ops.md §10, contract/auth-idp.md and of a real database.
#include "crypto/crypto.h"
#include "crypto/sign_key.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <set>
#include <string>

namespace nb::crypto {
namespace {
using std::chrono::seconds;
using std::chrono::sys_seconds;

constexpr sys_seconds kExpiry{seconds(1893456000)};
const std::string kZeroKey = std::string(43, 'A') + "=";

TEST(RelayPeerId, HashesTheTextOfTheKey) {
  const RelayPeerId id = relay_peer_id(kZeroKey);
  EXPECT_EQ(to_hex(id),
            to_hex("sha-") + "51643eac9777b63a7b268174d1fd4276daedec9bc9ea0bc6e5abf69047bc54f6");
  EXPECT_EQ(printable(id), "sha-UWQ+rJd3tjp7JoF00f1Cdtrt7JvJ6gvG5av2kEe8VPY=");
  EXPECT_EQ(to_hex(relay_peer_id("healthcheck-agent")).substr(8),
            "8997fbf9a582b2f557ce6510601a8b993f8bef68ff11aac982e2f0963ba9f61c");
}

TEST(RelayTokens, SignAsRelaysExpect) {
  const RelayTokens tokens({Secret("relay-secret")});
  const RelayToken token = tokens.make(kExpiry);
  EXPECT_EQ(token.payload, "1893456000");
  EXPECT_EQ(token.signature_base64(), "Fxt4wjD4kk6kI7LbeR+Q7/o2CwKliInTGOSrpb37Lv8=");
  // The relay's auth message: version, type, magic, peer id, algorithm, signature, payload.
  EXPECT_EQ("01062112a442" + to_hex(relay_peer_id(kZeroKey)) + "01" + to_hex(token.signature) +
                to_hex(token.payload),
            "01062112a4427368612d51643eac9777b63a7b268174d1fd4276daedec9bc9ea0bc6e5abf69047bc54f601"
            "171b78c230f8924ea423b2db791f90effa360b02a58889d318e4aba5bdfb2eff31383933343536303030");
}

TEST(RelayTokens, AreGoodThroughTheirSecondOfExpiry) {
  const RelayTokens tokens({Secret("relay-secret")});
  const RelayToken token = tokens.make(kExpiry);
  EXPECT_TRUE(tokens.check(token.payload, token.signature, kExpiry));
  const auto late = tokens.check(token.payload, token.signature, kExpiry + seconds(1));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), (Error{Code::kUnauthenticated, "token: expired"}));
}

TEST(RelayTokens, OtherSecretOrPayloadIsRefused) {
  const RelayTokens tokens({Secret("relay-secret")});
  RelayToken token = tokens.make(kExpiry);
  EXPECT_FALSE(
      RelayTokens({Secret("other-secret")}).check(token.payload, token.signature, kExpiry));
  EXPECT_FALSE(tokens.check("1893456001", token.signature, kExpiry));
  EXPECT_FALSE(tokens.check("189345600", token.signature, kExpiry));
  EXPECT_FALSE(tokens.check("", token.signature, kExpiry));
  EXPECT_FALSE(tokens.check(token.payload, std::span(token.signature).first(31), kExpiry));
  EXPECT_FALSE(tokens.check(token.payload, {}, kExpiry));
  token.signature[31] ^= 1;
  EXPECT_FALSE(tokens.check(token.payload, token.signature, kExpiry));
}

TEST(RelayTokens, SignedButUnreadableExpiryIsRefused) {
  const RelayTokens tokens({Secret("relay-secret")});
  const std::string payload = "1893456000x";
  const Digest32 signature = hmac_sha256(as_text(sha256("relay-secret")), payload);
  const auto checked = tokens.check(payload, signature, kExpiry);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().text, "token: expiry is not a number");
}

TEST(RelayTokens, OldSecretIsAcceptedWhileItIsRotatedOut) {
  const RelayToken old = RelayTokens({Secret("old")}).make(kExpiry);
  const RelayTokens both({Secret("new"), Secret("old")});
  EXPECT_TRUE(both.check(old.payload, old.signature, kExpiry));
  EXPECT_EQ(both.make(kExpiry).signature, RelayTokens({Secret("new")}).make(kExpiry).signature);
}

TEST(TurnCredentials, FollowTheRestScheme) {
  const TurnCredentials credentials = make_turn_credentials(Secret("turn-secret"), kExpiry);
  EXPECT_EQ(credentials.username, "1893456000");
  EXPECT_EQ(credentials.password, "rIQg5pATU018bPOcwDqROCV8keE=");
}

TEST(AccessToken, ChecksumIsPaddedToSixDigits) {
  EXPECT_EQ(token_checksum("000000000000000000000000037127"), "000YQf");
  EXPECT_EQ(token_checksum("Xk5Lz9mP2vQwRtYu1aN3bC4dE5fGh0"), "0NfntW");
  EXPECT_TRUE(check_token(TokenKind::kPersonal, "nbp_000000000000000000000000037127000YQf"));
  EXPECT_FALSE(check_token(TokenKind::kPersonal, "nbp_000000000000000000000000037127YQf000"));
}

TEST(AccessToken, OfficialTokensPassAndHashAsStored) {
  const std::string invite = "nbi_Xk5Lz9mP2vQwRtYu1aN3bC4dE5fGh00NfntW";
  EXPECT_TRUE(check_token(TokenKind::kInvite, invite));
  EXPECT_EQ(hash_token(invite), "PeJIxvLHcgIdw5bONNntf5m5YWLthp0larGzbpK2a3U=");
  const std::string pat = "nbp_0F8mebTdZusa9i4FAcBC4aUG6VPE4X14wflz";
  EXPECT_TRUE(check_token(TokenKind::kPersonal, pat));
  EXPECT_EQ(hash_token(pat), "2++A9/jPsLrmdbx4xL7spt91wsWryAUkYqNYZVGABi8=");
}

TEST(AccessToken, WrongFormIsRefused) {
  const std::string good = "nbp_0F8mebTdZusa9i4FAcBC4aUG6VPE4X14wflz";
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string changed = good;
    changed[i] = changed[i] == 'Q' ? 'R' : 'Q';
    EXPECT_FALSE(check_token(TokenKind::kPersonal, changed)) << i;
  }
  EXPECT_FALSE(check_token(TokenKind::kInvite, good));
  EXPECT_FALSE(check_token(TokenKind::kProxy, good));
  EXPECT_FALSE(check_token(TokenKind::kPersonal, ""));
  EXPECT_FALSE(check_token(TokenKind::kPersonal, good + "0"));
  const std::string odd = std::string(29, '0') + "-";
  EXPECT_FALSE(check_token(TokenKind::kPersonal, "nbp_" + odd + token_checksum(odd)));
}

TEST(AccessToken, GeneratedTokensPassTheirOwnCheckOnly) {
  SeededRandom random(1);
  std::set<std::string> seen;
  for (int i = 0; i < 500; ++i) {
    const Secret token = generate_token(TokenKind::kProxy, random);
    EXPECT_TRUE(check_token(TokenKind::kProxy, token.reveal()));
    EXPECT_FALSE(check_token(TokenKind::kPersonal, token.reveal()));
    seen.emplace(token.reveal());
  }
  EXPECT_EQ(seen.size(), 500U);
}

TEST(SetupKey, HashIsOfTheUpperCaseText) {
  // Key and stored hash of a real database.
  constexpr std::string_view kHash = "EcIGL5yUy/zm3hbK/Ra494Fridj+2JcBaWJHrhfF+8M=";
  EXPECT_EQ(hash_setup_key("A60863DD-6146-4FD2-9E1F-65A305C4DDCE"), kHash);
  EXPECT_EQ(hash_setup_key("a60863dd-6146-4fd2-9e1f-65a305c4ddce"), kHash);
  EXPECT_EQ(setup_key_hint("A60863DD-6146-4FD2-9E1F-65A305C4DDCE"), "A6086****");
}

TEST(SetupKey, IsAnUpperCaseUuidOfVersion4) {
  SystemRandom random;
  const Secret key = generate_setup_key(random);
  const std::string_view text = key.reveal();
  ASSERT_EQ(text.size(), 36U);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      EXPECT_EQ(text[i], '-');
    } else {
      EXPECT_TRUE(std::isdigit(text[i]) || (text[i] >= 'A' && text[i] <= 'F')) << text;
    }
  }
  EXPECT_EQ(text[14], '4');
  EXPECT_NE(std::string_view("89AB").find(text[19]), std::string_view::npos);
}

class FixedClock final : public Clock {
 public:
  [[nodiscard]] WallTime wall() const override { return WallTime(seconds(1300816219)); }
  [[nodiscard]] Instant now() const override { return {}; }
  boost::asio::awaitable<void> sleep_for(std::chrono::nanoseconds /*time*/) override { co_return; }
};

TEST(Xid, ReadsAndWritesTheKnownId) {
  const auto bytes = parse_xid("9m4e2mr0ui3e8a215n4g");
  ASSERT_TRUE(bytes);
  EXPECT_EQ(to_hex(*bytes), "4d88e15b60f486e428412dc9");
  EXPECT_EQ(xid_text(*bytes), "9m4e2mr0ui3e8a215n4g");
  EXPECT_EQ(xid_time(*bytes), sys_seconds(seconds(1300816219)));
}

TEST(Xid, OtherTextsAreRefused) {
  for (const char* text :
       {"", "9m4e2mr0ui3e8a215n4", "9m4e2mr0ui3e8a215n4gg", "9M4e2mr0ui3e8a215n4g",
        "9m4e2mr0ui3e8a215n4h", "9m4e2mr0ui3e8a215n4w", "9m4e2mr0ui3e8a215n4 "}) {
    EXPECT_FALSE(parse_xid(text)) << text;
  }
}

TEST(Xid, IdsOfOneGeneratorGrowAndCarryTheTime) {
  const FixedClock clock;
  SeededRandom random(3);
  XidGenerator ids(clock, random);
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(ids.next());
  EXPECT_EQ(seen.size(), 1000U);
  const auto bytes = parse_xid(*seen.begin());
  ASSERT_TRUE(bytes);
  EXPECT_EQ(xid_time(*bytes), sys_seconds(seconds(1300816219)));
}

TEST(Xid, GeneratorsDoNotShareIds) {
  const FixedClock clock;
  SystemRandom random;
  EXPECT_NE(XidGenerator(clock, random).next().substr(0, 15),
            XidGenerator(clock, random).next().substr(0, 15));
}

class Replay final : public RandomSource {
 public:
  explicit Replay(std::string bytes) : bytes_(std::move(bytes)) {}
  void fill(std::span<std::uint8_t> out) override {
    ASSERT_EQ(out.size(), bytes_.size());
    std::copy(bytes_.begin(), bytes_.end(), out.begin());
  }

 private:
  std::string bytes_;
};

TEST(SignKeys, AreThoseOfRfc8032) {
  const std::string seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
  const std::string open = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
  Replay random(*from_hex(seed));
  const SignKeyPair pair = generate_sign_key(random);
  EXPECT_EQ(to_hex(*from_base64(pair.public_key)), open);
  EXPECT_EQ(to_hex(*from_base64(pair.private_key.reveal())), seed + open);
}

}  // namespace
}  // namespace nb::crypto
