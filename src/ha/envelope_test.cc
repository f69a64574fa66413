#include "ha/envelope.h"

#include <gtest/gtest.h>

namespace nb::ha {
namespace {
using namespace std::chrono_literals;

const WallTime kWall{1'700'000'000s};
const Instant kNow{1000h};
constexpr std::string_view kChannel = "nb:signal:instance:a";

Sealer a_sealer(std::vector<std::string> secrets, std::uint64_t boot = 7) {
  SealOptions options;
  for (auto& text : secrets) options.secrets.emplace_back(std::move(text));
  return Sealer(InstanceId{"signal-1"}, boot, std::move(options));
}

OpenedEnvelope opened(Sealer& by, std::string_view message, WallTime wall = kWall) {
  return by.open(kChannel, message, wall, kNow);
}

TEST(Envelope, CarriesSenderTimeIdAndPayload) {
  Sealer from = a_sealer({"s"});
  Sealer to = a_sealer({"s"}, 8);
  const std::string message = from.seal(kChannel, "hello", kWall);
  const OpenedEnvelope got = opened(to, message);
  ASSERT_TRUE(got.ok);
  EXPECT_EQ(got.sender, "signal-1");
  EXPECT_EQ(got.payload, "hello");
  EXPECT_EQ(got.boot, 7U);
  EXPECT_EQ(got.counter, 1U);
  EXPECT_EQ(got.sent_ms, 1'700'000'000'000);
}

TEST(Envelope, GarbageIsRefusedWhateverTheSecret) {
  std::vector<std::string> texts{"ping", "", "{}"};
  texts.emplace_back(500, 'x');
  texts.emplace_back(500, '\0');
  texts.push_back("\x01\x01\xff");  // signed, but too short for its sender and MAC
  texts.back().append(40, 'x');
  texts.emplace_back("\x01\x00\xff", 3);
  texts.back().append(30, 'x');
  for (const bool with_secret : {false, true}) {
    Sealer to = with_secret ? a_sealer({"s"}) : a_sealer({});
    for (const auto& text : texts) {
      const OpenedEnvelope got = opened(to, text);
      EXPECT_FALSE(got.ok);
      EXPECT_EQ(got.refusal, Refusal::kGarbage) << text;
    }
  }
}

TEST(Envelope, LaterVersionIsRefusedAsSuch) {
  Sealer to = a_sealer({});
  EXPECT_EQ(opened(to, "\x02" + std::string(60, 'y')).refusal, Refusal::kVersion);
}

TEST(Envelope, UnsignedIsRefusedWhenASecretIsSet) {
  Sealer from = a_sealer({});
  Sealer to = a_sealer({"s"});
  EXPECT_EQ(opened(to, from.seal(kChannel, "x", kWall)).refusal, Refusal::kUnsigned);
}

TEST(Envelope, EveryChangedBitIsRefused) {
  Sealer from = a_sealer({"s"});
  const std::string message = from.seal(kChannel, "hello", kWall);
  for (std::size_t bit = 0; bit < message.size() * 8; ++bit) {
    Sealer to = a_sealer({"s"});
    std::string changed = message;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(opened(to, changed).ok) << bit;
  }
  for (std::size_t size = 0; size < message.size(); ++size) {
    Sealer to = a_sealer({"s"});
    EXPECT_FALSE(opened(to, message.substr(0, size)).ok) << size;
  }
}

TEST(Envelope, MessageForAnotherChannelIsRefused) {
  Sealer from = a_sealer({"s"});
  Sealer to = a_sealer({"s"});
  const std::string message = from.seal("nb:signal:instance:b", "x", kWall);
  EXPECT_EQ(opened(to, message).refusal, Refusal::kBadSignature);
}

TEST(Envelope, BothSecretsAreAcceptedWhileRotating) {
  Sealer old_one = a_sealer({"old"});
  Sealer new_one = a_sealer({"new", "old"}, 9);
  EXPECT_TRUE(opened(new_one, old_one.seal(kChannel, "x", kWall)).ok);
  EXPECT_EQ(opened(old_one, new_one.seal(kChannel, "x", kWall)).refusal, Refusal::kBadSignature);
  std::vector<Secret> both;
  both.emplace_back("old");
  both.emplace_back("new");
  old_one.set_secrets(std::move(both));
  EXPECT_TRUE(opened(old_one, new_one.seal(kChannel, "x", kWall)).ok);
}

TEST(Envelope, MoreThanAMinuteOfSkewIsStaleOnBothSides) {
  Sealer from = a_sealer({"s"});
  for (const auto& [skew, fresh] :
       {std::pair{60s, true}, {61s, false}, {-60s, true}, {-61s, false}}) {
    Sealer to = a_sealer({"s"});
    EXPECT_EQ(opened(to, from.seal(kChannel, "x", kWall), kWall + skew).ok, fresh) << skew.count();
  }
}

TEST(Envelope, ExtremeTimesDoNotOverflow) {
  Sealer to = a_sealer({"s"});
  for (const std::int64_t ms : {INT64_MIN, INT64_MAX, std::int64_t{0}}) {
    const std::string message = encode_envelope({"a", ms, 1, 1, "x"}, kChannel, Secret("s"));
    EXPECT_EQ(opened(to, message).refusal, Refusal::kStale);
  }
}

TEST(Envelope, SecondSightIsAReplay) {
  Sealer from = a_sealer({"s"});
  Sealer to = a_sealer({"s"});
  const std::string message = from.seal(kChannel, "x", kWall);
  EXPECT_TRUE(opened(to, message).ok);
  EXPECT_EQ(opened(to, message, kWall + 1s).refusal, Refusal::kReplayed);
}

TEST(Envelope, WithoutASecretClocksMayDiffer) {
  Sealer from = a_sealer({});
  Sealer to = a_sealer({});
  EXPECT_TRUE(opened(to, from.seal(kChannel, "x", kWall), kWall + 1h).ok);
}

TEST(ReplayGuard, EachCounterOnceInAnyOrderWithinTheWindow) {
  ReplayGuard guard;
  const auto see = [&](std::uint64_t counter) { return guard.first_sight(1, counter, kNow, 180s); };
  EXPECT_TRUE(see(100));
  EXPECT_TRUE(see(99));
  EXPECT_FALSE(see(99));
  EXPECT_TRUE(see(1));
  EXPECT_TRUE(see(100 + ReplayGuard::kWindow));
  EXPECT_FALSE(see(100));  // just outside: cannot tell, so no
  EXPECT_TRUE(see(101));
  EXPECT_FALSE(see(101));
  EXPECT_TRUE(see(100 + 5 * ReplayGuard::kWindow));
  EXPECT_TRUE(see(100 + 5 * ReplayGuard::kWindow - 1));
  EXPECT_FALSE(see(100 + ReplayGuard::kWindow));
}

TEST(ReplayGuard, BitsOfAnEarlierLapAreForgotten) {
  ReplayGuard guard;
  const auto see = [&](std::uint64_t counter) { return guard.first_sight(1, counter, kNow, 180s); };
  for (std::uint64_t counter = 1; counter < 3 * ReplayGuard::kWindow; counter += 3) {
    ASSERT_TRUE(see(counter));
    ASSERT_FALSE(see(counter));
  }
  for (std::uint64_t counter = 2 * ReplayGuard::kWindow + 2; counter < 3 * ReplayGuard::kWindow;
       ++counter) {
    if (counter % 3 != 1) {
      ASSERT_TRUE(see(counter)) << counter;
    }
  }
}

TEST(ReplayGuard, SendersAreBoundedAndIdleOnesForgotten) {
  ReplayGuard guard;
  for (std::uint64_t boot = 0; boot < 1000; ++boot) {
    EXPECT_TRUE(guard.first_sight(boot, 1, kNow + std::chrono::seconds(boot / 100), 180s));
  }
  EXPECT_EQ(guard.senders(), ReplayGuard::kSendersMax);
  EXPECT_TRUE(guard.first_sight(5000, 1, kNow + 1h, 180s));
  EXPECT_EQ(guard.senders(), 1U);
}

}  // namespace
}  // namespace nb::ha
