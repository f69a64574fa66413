#include "signal/router.h"

#include "proto/signalexchange.pb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

namespace nb::signal {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::SizeIs;

std::string message_to(const std::string& peer, const std::string& body = "body") {
  signalexchange::EncryptedMessage message;
  message.set_key("alice");
  message.set_remotekey(peer);
  message.set_body(body);
  return message.SerializeAsString();
}

ha::Holder holder(const std::string& instance, std::uint64_t seq = 1) {
  return {.instance = ha::InstanceId(instance),
          .claim = ha::Claim{ha::InstanceId(instance), ha::Incarnation("boot-" + instance), seq}};
}

/// One router with its surroundings played by hand.
struct Fixture {
  std::set<std::string> dead;
  Instant now = Instant{} + 1h;
  Router router;

  explicit Fixture(Router::Options options = {})
      : router(ha::InstanceId("a"), 1'000, std::move(options),
               [this](const ha::Holder& h) { return !dead.contains(h.instance.value()); }) {}

  void send(Ticket ticket, const std::string& peer, const std::string& body = "body") {
    router.send(ticket, peer, message_to(peer, body), now);
  }
  void found(const std::string& peer, std::optional<ha::Holder> who) {
    router.found(peer, Result<std::optional<ha::Holder>>(std::move(who)), now);
  }
  void unavailable(const std::string& peer) {
    router.found(peer, fail(Code::kUnavailable, "no store"), now);
  }
  void published(std::vector<std::size_t> counts) { router.published(std::move(counts), now); }
  void pass(std::chrono::milliseconds time) {
    now += time;
    router.tick(now);
  }
  RouterEffects take() { return router.take_effects(); }
  /// Payload as `from` would send it to us.
  void answer(const std::string& from, std::uint64_t id, Outcome outcome) {
    BusWriter writer(from);
    writer.answer(id, outcome);
    router.received(writer.take(), now);
  }
  void arrival(const std::string& at, const std::string& peer) {
    BusWriter writer(at);
    writer.arrived(peer);
    router.heard(writer.take());
  }
  std::uint64_t forwarded_id(const RouterEffects& effects) {
    const auto batch = decode_bus(effects.publish.at(0).payload);
    return batch->records.at(0).id;
  }
  /// Sends to "bob" at "b" up to the point where the answer is awaited.
  std::uint64_t sent(Ticket ticket) {
    send(ticket, "bob");
    take();
    found("bob", holder("b"));
    const auto id = forwarded_id(take());
    published({1});
    return id;
  }
};

MATCHER_P2(ReplyIs, ticket, code, "") {
  return arg.ticket == ticket && arg.code == code;
}

TEST(SignalRouter, MessageGoesToTheInstanceOfThePeerAndItsAnswerEndsTheSend) {
  Fixture f;
  f.send(7, "bob", "sealed");
  auto effects = f.take();
  EXPECT_THAT(effects.find, testing::ElementsAre("bob"));
  f.found("bob", holder("b"));
  effects = f.take();
  ASSERT_THAT(effects.publish, SizeIs(1));
  EXPECT_EQ(effects.publish[0].channel, "nb:signal:instance:b");
  const auto batch = decode_bus(effects.publish[0].payload);
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->from, "a");
  EXPECT_EQ(batch->records.at(0).message, message_to("bob", "sealed"));
  EXPECT_THAT(effects.reply, IsEmpty());
  f.published({1});
  f.answer("b", batch->records[0].id, Outcome::kAccepted);

  EXPECT_THAT(f.take().reply, testing::ElementsAre(ReplyIs(7U, Code::kOk)));
  EXPECT_EQ(f.router.counts().forwarded, 1U);
  EXPECT_EQ(f.router.pending(), 0U);
  EXPECT_EQ(f.router.pending_bytes(), 0U);
}

TEST(SignalRouter, S6_AbsentPeerIsLookedUpTwiceThenKnownAsAbsentForASecond) {
  Fixture f;
  f.send(1, "nobody");
  EXPECT_THAT(f.take().find, SizeIs(1));
  f.found("nobody", std::nullopt);
  EXPECT_THAT(f.take().reply, IsEmpty());
  f.pass(150ms);
  EXPECT_THAT(f.take().find, SizeIs(1));
  f.found("nobody", std::nullopt);
  EXPECT_THAT(f.take().reply, testing::ElementsAre(ReplyIs(1U, Code::kOk)));
  f.send(2, "nobody");
  const auto effects = f.take();
  EXPECT_THAT(effects.find, IsEmpty());
  EXPECT_THAT(effects.reply, testing::ElementsAre(ReplyIs(2U, Code::kOk)));
  f.pass(1'001ms);
  f.send(3, "nobody");
  EXPECT_THAT(f.take().find, SizeIs(1));
  EXPECT_EQ(f.router.counts().not_connected, 2U);
}

TEST(SignalRouter, ManySendsToOnePeerShareOneLookUpAndKeepTheirOrder) {
  Fixture f;
  for (Ticket t = 1; t <= 5; ++t) f.send(t, "bob", "m" + std::to_string(t));
  EXPECT_THAT(f.take().find, SizeIs(1));
  f.found("bob", holder("b"));
  const auto effects = f.take();
  ASSERT_THAT(effects.publish, SizeIs(1));
  const auto batch = decode_bus(effects.publish[0].payload);
  ASSERT_THAT(batch->records, SizeIs(5));
  for (std::size_t i = 0; i < 5; ++i)
    EXPECT_EQ(batch->records[i].message, message_to("bob", "m" + std::to_string(i + 1)));
}

TEST(SignalRouter, OneBatchIsUnderWayAtATimeSoThatOrderIsKept) {
  Fixture f;
  f.sent(1);
  f.send(2, "bob");
  EXPECT_THAT(f.take().publish, SizeIs(1));  // by the cached route, without a look-up
  EXPECT_FALSE(f.router.next_batch_waits());
  f.send(3, "bob");
  EXPECT_THAT(f.take().publish, IsEmpty());
  EXPECT_TRUE(f.router.next_batch_waits());
  f.published({1});
  EXPECT_THAT(f.take().publish, SizeIs(1));
  EXPECT_FALSE(f.router.next_batch_waits());
}

TEST(SignalRouter, S3_NoReceiverAgainAndAgainMeansDeadInstanceEntryIsForgottenAndTheSenderTold) {
  Fixture f;
  f.send(1, "bob");
  for (const auto pause : {0ms, 150ms, 300ms, 450ms}) {
    f.pass(pause);
    EXPECT_THAT(f.take().find, SizeIs(1));
    f.found("bob", holder("b"));
    EXPECT_THAT(f.take().publish, SizeIs(1));
    f.published({0});
  }
  const auto effects = f.take();
  ASSERT_THAT(effects.forget, SizeIs(1));
  EXPECT_EQ(effects.forget[0].peer.value(), "bob");
  EXPECT_EQ(effects.forget[0].holder, holder("b"));
  EXPECT_THAT(effects.reply, testing::ElementsAre(ReplyIs(1U, Code::kUnavailable)));
  EXPECT_EQ(f.router.counts().owner_dead, 1U);
  f.send(2, "bob");
  EXPECT_THAT(f.take().reply, testing::ElementsAre(ReplyIs(2U, Code::kUnavailable)))
      << "told again, at once";
}

TEST(SignalRouter, S10_InstanceThatSubscribesAgainMeanwhileGetsTheMessage) {
  Fixture f;
  f.send(1, "bob");
  f.take();
  f.found("bob", holder("b"));
  f.take();
  f.published({0});
  f.pass(150ms);
  f.take();
  f.found("bob", holder("b"));
  const auto effects = f.take();
  EXPECT_THAT(effects.publish, SizeIs(1));
  EXPECT_THAT(effects.forget, IsEmpty());
}

TEST(SignalRouter, S3_PeerThatCameBackElsewhereGetsTheMessageOfItsDeadInstance) {
  Fixture f;
  f.send(1, "bob");
  f.take();
  f.found("bob", holder("b"));
  f.take();
  f.published({0});
  f.take();
  f.pass(150ms);
  EXPECT_THAT(f.take().find, SizeIs(1));
  f.found("bob", holder("c", 2));
  const auto effects = f.take();
  ASSERT_THAT(effects.publish, SizeIs(1));
  EXPECT_EQ(effects.publish[0].channel, "nb:signal:instance:c");
}

TEST(SignalRouter, S2_EntryOfADeadInstanceReadsAsAbsent) {
  Fixture f;
  f.dead.insert("b");
  f.send(1, "bob");
  f.take();
  f.found("bob", holder("b"));
  const auto effects = f.take();
  EXPECT_THAT(effects.publish, IsEmpty());
  EXPECT_THAT(effects.forget, SizeIs(1));
}

TEST(SignalRouter, S13_DirectoryNamesUsForAPeerWeDoNotServe) {
  Fixture f;
  f.send(1, "bob");
  f.take();
  f.found("bob", holder("a"));
  auto effects = f.take();
  ASSERT_THAT(effects.deliver, SizeIs(1));
  f.router.delivered(effects.deliver[0].origin, "bob", Outcome::kNotHere, f.now);
  effects = f.take();
  EXPECT_THAT(effects.repair, testing::ElementsAre("bob"));
  EXPECT_THAT(effects.find, testing::ElementsAre("bob"));
  f.found("bob", holder("b", 2));
  EXPECT_THAT(f.take().publish, SizeIs(1));
}

TEST(SignalRouter, RefusedMessageIsLookedUpAgainAndNeverPassedOnByItsReceiver) {
  Fixture f;
  const auto id = f.sent(1);
  f.answer("b", id, Outcome::kNotHere);
  auto effects = f.take();
  EXPECT_THAT(effects.find, SizeIs(1));
  f.found("bob", holder("c", 2));
  effects = f.take();
  ASSERT_THAT(effects.publish, SizeIs(1));
  EXPECT_EQ(effects.publish[0].channel, "nb:signal:instance:c");
  f.published({1});
  f.answer("c", id, Outcome::kAccepted);
  EXPECT_THAT(f.take().reply, testing::ElementsAre(ReplyIs(1U, Code::kOk)));
}

TEST(SignalRouter, LateRefusalOfAnEarlierInstanceChangesNothing) {
  Fixture f;
  const auto id = f.sent(1);
  f.answer("b", id, Outcome::kNotHere);
  f.take();
  f.found("bob", holder("c", 2));
  f.take();
  f.published({1});
  f.answer("b", id, Outcome::kNotHere);
  EXPECT_THAT(f.take().find, IsEmpty());
}

TEST(SignalRouter, S10_UnansweredMessageIsSentOnceMoreThenTheSenderIsTold) {
  Fixture f;
  f.sent(1);
  f.pass(1'000ms);
  EXPECT_THAT(f.take().find, SizeIs(1)) << "it may have moved";
  f.found("bob", holder("b"));
  EXPECT_THAT(f.take().publish, SizeIs(1));
  f.published({1});
  f.pass(1'000ms);
  EXPECT_THAT(f.take().reply, testing::ElementsAre(ReplyIs(1U, Code::kUnavailable)));
  EXPECT_EQ(f.router.counts().timeouts, 1U);
  EXPECT_EQ(f.router.counts().resent, 1U);
}

TEST(SignalRouter, PurgeOfAnInstanceThatDidNotAnswerIsALossAndNoAbsence) {
  Fixture f;
  f.sent(1);
  f.pass(1'000ms);
  f.take();
  for (int look = 0; look < 3; ++look) {
    f.found("bob", std::nullopt);
    f.pass(300ms);
  }
  EXPECT_THAT(f.take().reply, testing::ElementsAre(ReplyIs(1U, Code::kUnavailable)));
}

TEST(SignalRouter, PeerThatDoesNotReadOnTheOtherInstanceIsNoErrorOfTheSender) {
  Fixture f;
  const auto id = f.sent(1);
  f.answer("b", id, Outcome::kWaiting);
  f.answer("b", id, Outcome::kTimeout);
  EXPECT_THAT(f.take().reply, testing::ElementsAre(ReplyIs(1U, Code::kOk)));
  EXPECT_EQ(f.router.counts().timeouts, 1U);
}

TEST(SignalRouter, ArrivalEndsRememberedAbsenceAtOnce) {
  Fixture f;
  f.send(1, "bob");
  f.found("bob", std::nullopt);
  f.pass(150ms);
  f.found("bob", std::nullopt);
  f.take();
  f.arrival("b", "bob");
  f.send(2, "bob");
  EXPECT_THAT(f.take().find, testing::ElementsAre("bob"));
  f.found("bob", holder("b"));
  EXPECT_THAT(f.take().publish, SizeIs(1));
}

TEST(SignalRouter, ArrivalDuringTheLookUpMakesItsAnswerVoid) {
  Fixture f;
  f.send(1, "bob");
  f.found("bob", std::nullopt);
  f.pass(150ms);
  f.take();
  f.arrival("b", "bob");
  f.found("bob", std::nullopt);  // read before the registration
  const auto effects = f.take();
  EXPECT_THAT(effects.find, testing::ElementsAre("bob"));
  EXPECT_THAT(effects.reply, IsEmpty());
}

TEST(SignalRouter, ArrivalEndsARememberedRoute) {
  Fixture f;
  f.answer("b", f.sent(1), Outcome::kAccepted);
  f.arrival("c", "bob");
  f.send(2, "bob");
  EXPECT_THAT(f.take().find, SizeIs(1)) << "it moved";
}

TEST(SignalRouter, ArrivalsAreAnnouncedToEverybodyInOneMessage) {
  Fixture f;
  f.router.arrived("bob");
  f.router.arrived("carol");
  const auto effects = f.take();
  ASSERT_THAT(effects.publish, SizeIs(1));
  EXPECT_EQ(effects.publish[0].channel, "nb:signal:registry:arrivals");
  EXPECT_THAT(decode_bus(effects.publish[0].payload)->records, SizeIs(2));
  f.router.heard(effects.publish[0].payload);  // we listen there too
  f.router.heard("ping");
  EXPECT_EQ(f.router.counts().invalid, 1U);
}

TEST(SignalRouter, InstanceThatStoppedAnsweringDelaysLaterSendersLess) {
  Fixture f;
  f.sent(1);
  f.pass(1'000ms);
  f.take();
  f.found("bob", holder("b"));
  f.take();
  f.published({1});
  f.pass(1'000ms);
  f.take();
  f.send(2, "bob");
  f.take();
  f.published({1});
  f.pass(500ms);
  EXPECT_THAT(f.take().reply, testing::ElementsAre(ReplyIs(2U, Code::kUnavailable)));
}

TEST(SignalRouter, S10_DuplicatesAreAnsweredButNotDeliveredAgain) {
  Fixture f;
  BusWriter writer("b");
  writer.forward(5, message_to("carol"));
  const std::string payload = writer.take();
  f.router.received(payload, f.now);
  auto effects = f.take();
  ASSERT_THAT(effects.deliver, SizeIs(1));
  f.router.received(payload, f.now);  // still being delivered: no answer yet
  EXPECT_THAT(f.take().deliver, IsEmpty());
  f.router.delivered(effects.deliver[0].origin, "carol", Outcome::kAccepted, f.now);
  EXPECT_THAT(f.take().publish, SizeIs(1));
  f.published({1});
  f.router.received(payload, f.now);
  effects = f.take();
  EXPECT_THAT(effects.deliver, IsEmpty());
  ASSERT_THAT(effects.publish, SizeIs(1));
  EXPECT_EQ(decode_bus(effects.publish[0].payload)->records.at(0).outcome, Outcome::kAccepted);
  EXPECT_EQ(f.router.counts().duplicates, 2U);
}

TEST(SignalRouter, RefusedForwardIsNoDuplicateWhenItComesAgain) {
  Fixture f;
  BusWriter writer("b");
  writer.forward(5, message_to("carol"));
  const std::string payload = writer.take();
  f.router.received(payload, f.now);
  auto effects = f.take();
  f.router.delivered(effects.deliver.at(0).origin, "carol", Outcome::kNotHere, f.now);
  f.take();
  f.router.received(payload, f.now);
  EXPECT_THAT(f.take().deliver, SizeIs(1));
}

TEST(SignalRouter, DegradedSendIsAnsweredOkWithinHalfASecondAndCounted) {
  Fixture f;
  f.send(1, "bob");
  f.take();
  f.unavailable("bob");
  EXPECT_THAT(f.take().reply, testing::ElementsAre(ReplyIs(1U, Code::kOk)));
  f.send(2, "carol");  // Redis is silent instead of refusing
  f.take();
  f.pass(400ms);
  EXPECT_THAT(f.take().reply, testing::ElementsAre(ReplyIs(2U, Code::kOk)));
  EXPECT_EQ(f.router.counts().store_unavailable, 2U);
}

TEST(SignalRouter, S10_MessageKeptOverAShortOutageIsSentWhenRedisIsBack) {
  Fixture f;
  f.send(1, "bob");
  f.take();
  f.found("bob", holder("b"));
  f.take();
  f.router.published(fail(Code::kUnavailable, "cut"), f.now);
  EXPECT_THAT(f.take().reply, testing::ElementsAre(ReplyIs(1U, Code::kOk)));
  f.pass(800ms);
  f.router.store_back(f.now);
  EXPECT_THAT(f.take().find, SizeIs(1));
  f.found("bob", holder("b"));
  EXPECT_THAT(f.take().publish, SizeIs(1));
}

TEST(SignalRouter, KeptMessagesAreForgottenAfterTheBudget) {
  Fixture f;
  f.send(1, "bob");
  f.take();
  f.unavailable("bob");
  f.pass(2'500ms);
  EXPECT_EQ(f.router.pending(), 0U);
  f.router.store_back(f.now);
  EXPECT_THAT(f.take().find, IsEmpty());
}

TEST(SignalRouter, LostStoreEndsTheWaitOfEverySenderAtOnce) {
  Fixture f;
  f.sent(1);
  f.send(2, "carol");
  f.take();
  f.router.store_lost(f.now);
  EXPECT_THAT(f.take().reply,
              testing::UnorderedElementsAre(ReplyIs(1U, Code::kOk), ReplyIs(2U, Code::kOk)));
}

TEST(SignalRouter, SlowPeerElsewhereKeepsTheSenderWaitingForTheOutcome) {
  Fixture f;
  const auto id = f.sent(1);
  f.answer("b", id, Outcome::kWaiting);
  f.pass(5'000ms);
  EXPECT_THAT(f.take().reply, IsEmpty());
  f.answer("b", id, Outcome::kOverflow);
  EXPECT_THAT(f.take().reply, testing::ElementsAre(ReplyIs(1U, Code::kResourceExhausted)));
}

TEST(SignalRouter, TooManyForwardsAreRefusedWithResourceExhausted) {
  Fixture f({.pending_max = 2});
  f.send(1, "x");
  f.send(2, "y");
  f.send(3, "z");
  EXPECT_THAT(f.take().reply, testing::ElementsAre(ReplyIs(3U, Code::kResourceExhausted)));
  EXPECT_EQ(f.router.counts().refused, 1U);
}

TEST(SignalRouter, S9_DisplacedInstanceIsToldUntilItAnswers) {
  Fixture f;
  f.router.displaced("bob", holder("b", 4), f.now);
  auto effects = f.take();
  ASSERT_THAT(effects.publish, SizeIs(1));
  auto record = decode_bus(effects.publish[0].payload)->records.at(0);
  EXPECT_EQ(record.kind, RecordKind::kEvict);
  EXPECT_EQ(record.token, ha::token(*holder("b", 4).claim));
  f.published({0});
  f.pass(1'000ms);
  effects = f.take();
  ASSERT_THAT(effects.publish, SizeIs(1)) << "again: nobody listened";
  f.published({1});
  f.answer("b", decode_bus(effects.publish[0].payload)->records.at(0).id, Outcome::kAccepted);
  f.pass(5'000ms);
  EXPECT_THAT(f.take().publish, IsEmpty());
}

TEST(SignalRouter, S9_EvictionEndsOnlyTheNamedRegistration) {
  Fixture f;
  BusWriter writer("b");
  writer.evict(9, "bob", "a/boot/3");
  f.router.received(writer.take(), f.now);
  const auto effects = f.take();
  ASSERT_THAT(effects.evict, SizeIs(1));
  EXPECT_EQ(effects.evict[0].token, "a/boot/3");
  EXPECT_THAT(effects.publish, SizeIs(1)) << "and is answered";
}

TEST(SignalRouter, S14_ForeignPayloadsAreCountedAndIgnored) {
  Fixture f;
  f.router.received("ping", f.now);
  f.router.received("{\"to_peer\":\"x\"}", f.now);
  f.router.received("", f.now);
  BusWriter writer("b");
  writer.forward(1, "\xff\xff");
  f.router.received(writer.take(), f.now);
  const auto effects = f.take();
  EXPECT_THAT(effects.deliver, IsEmpty());
  EXPECT_EQ(f.router.counts().invalid, 4U);
}

TEST(SignalRouter, OwnMessagesOnTheBusAreIgnored) {
  Fixture f;
  BusWriter writer("a");
  writer.forward(1, message_to("bob"));
  f.router.received(writer.take(), f.now);
  EXPECT_THAT(f.take().deliver, IsEmpty());
}

}  // namespace
}  // namespace nb::signal
