#include "ha/sealed_bus.h"

#include "ha/message_bus_contract.h"

#include <gtest/gtest.h>

namespace nb::ha {
namespace {

/// SealedBus over LocalBus in a world, as instance "a".
class SealedRig : public WorldRig {
 public:
  SealedRig() : WorldRig(true) {}
  MessageBus& bus() { return sealed_; }
  prometheus::Registry registry;
  BusMetrics metrics{registry};

 private:
  static SealOptions options() {
    SealOptions options;
    options.secrets.emplace_back("secret");
    return options;
  }
  SealedBus sealed_{WorldRig::bus(),   InstanceId{"a"}, clock(),
                    [] { return 5U; }, options(),       metrics};
};

using SealedRigs = testing::Types<SealedRig>;
INSTANTIATE_TYPED_TEST_SUITE_P(Sealed, MessageBusContract, SealedRigs);

class SealedBusTest : public testing::Test {
 protected:
  SealedBusTest() {
    SubscribeOptions options;
    options.on_message = [this](const Delivery& message) {
      heard.emplace_back(message.payload);
      senders.emplace_back(message.sender);
    };
    subscription = rig.bus().subscribe("c", std::move(options));
  }
  /// Puts bytes on the channel as an outsider or another instance would.
  void inject(std::string bytes) {
    ASSERT_TRUE(rig.get(rig.WorldRig::bus().publish("c", std::move(bytes))));
    (void)rig.eventually([&] { return false; });
  }
  double refused(Refusal why) { return rig.metrics.refused(why).Value(); }
  SealedRig rig;
  std::vector<std::string> heard, senders;
  Subscription subscription;
};

TEST_F(SealedBusTest, SenderIsNamed) {
  ASSERT_TRUE(rig.get(rig.bus().publish("c", "x")));
  ASSERT_TRUE(rig.eventually([&] { return heard.size() == 1; }));
  EXPECT_EQ(senders[0], "a");
}

TEST_F(SealedBusTest, WhatOthersInjectIsCountedAndNotDelivered) {
  inject("ping");
  EXPECT_EQ(refused(Refusal::kGarbage), 1);
  Envelope envelope{"b", due_ms(rig.clock().wall()), 1, 1, "x"};
  inject(encode_envelope(envelope, "c", Secret()));
  EXPECT_EQ(refused(Refusal::kUnsigned), 1);
  inject(encode_envelope(envelope, "c", Secret("wrong")));
  EXPECT_EQ(refused(Refusal::kBadSignature), 1);
  inject(encode_envelope(envelope, "d", Secret("secret")));
  EXPECT_EQ(refused(Refusal::kBadSignature), 2);
  EXPECT_TRUE(heard.empty());

  // Healed: what is right is delivered, once.
  envelope.sent_ms = due_ms(rig.clock().wall());
  const std::string good = encode_envelope(envelope, "c", Secret("secret"));
  inject(good);
  inject(good);
  EXPECT_EQ(heard, (std::vector<std::string>{"x"}));
  EXPECT_EQ(senders, (std::vector<std::string>{"b"}));
  EXPECT_EQ(refused(Refusal::kReplayed), 1);
  envelope.sent_ms -= 200'000;
  inject(encode_envelope(envelope, "c", Secret("secret")));
  EXPECT_EQ(refused(Refusal::kStale), 1);
}

}  // namespace
}  // namespace nb::ha
