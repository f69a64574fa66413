// What every MessageBus does, whatever carries it.
#pragma once

#include "ha/contract_rig.h"

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

namespace nb::ha {

template <class Rig>
class MessageBusContract : public testing::Test {
 protected:
  struct Ear {
    std::mutex mutex;
    std::vector<std::string> heard;
    std::atomic<int> gaps{0};
    Subscription subscription;
    std::vector<std::string> all() {
      const std::scoped_lock lock(mutex);
      return heard;
    }
  };
  ~MessageBusContract() override {
    rig.on_home([&] { ears.clear(); });
  }
  Ear& listen(const std::string& channel) {
    ears.push_back(std::make_unique<Ear>());
    Ear& ear = *ears.back();
    rig.on_home([&] {
      SubscribeOptions options;
      options.on_message = [&ear](const Delivery& message) {
        const std::scoped_lock lock(ear.mutex);
        ear.heard.emplace_back(message.payload);
      };
      options.on_gap = [&ear] { ++ear.gaps; };
      ear.subscription = rig.bus().subscribe(channel, std::move(options));
    });
    EXPECT_TRUE(rig.eventually([&ear] { return ear.gaps == 1; }));
    return ear;
  }
  std::size_t publish(const std::string& channel, const std::string& payload) {
    const auto count = rig.get(rig.bus().publish(channel, payload));
    EXPECT_TRUE(count);
    return *count;
  }
  Rig rig;
  std::vector<std::unique_ptr<Ear>> ears;
};
TYPED_TEST_SUITE_P(MessageBusContract);

TYPED_TEST_P(MessageBusContract, MessagesArriveInOrderByteForByte) {
  auto& ear = this->listen("c");
  std::vector<std::string> sent{"", std::string("\0\r\n\xff", 4),
                                std::string(kBusMessageBytesMax - 512, 'x')};
  for (int i = 0; i < 200; ++i) sent.push_back(std::to_string(i));
  for (const auto& text : sent) EXPECT_EQ(this->publish("c", text), 1U);
  EXPECT_TRUE(this->rig.eventually([&] { return ear.all().size() == sent.size(); }));
  EXPECT_EQ(ear.all(), sent);
}

TYPED_TEST_P(MessageBusContract, NobodyThereIsToldAsZero) {
  EXPECT_EQ(this->publish("nobody", "x"), 0U);
}

TYPED_TEST_P(MessageBusContract, ChannelsAreApartAndBatchesCountEach) {
  auto& a = this->listen("a");
  auto& b = this->listen("b");
  std::vector<BusMessage> messages{{"a", "1"}, {"b", "2"}, {"c", "3"}, {"a", "4"}};
  const auto counts = this->rig.get(this->rig.bus().publish_all(std::move(messages)));
  ASSERT_TRUE(counts);
  EXPECT_EQ(*counts, (std::vector<std::size_t>{1, 1, 0, 1}));
  EXPECT_TRUE(this->rig.eventually([&] { return a.all().size() == 2 && b.all().size() == 1; }));
  EXPECT_EQ(a.all(), (std::vector<std::string>{"1", "4"}));
}

TYPED_TEST_P(MessageBusContract, TwoOnOneChannelBothHearAndEndApart) {
  auto& one = this->listen("c");
  auto& two = this->listen("c");
  EXPECT_GE(this->publish("c", "both"), 1U);
  EXPECT_TRUE(this->rig.eventually([&] { return one.all().size() == 1 && two.all().size() == 1; }));
  this->rig.on_home([&] { one.subscription = Subscription(); });
  EXPECT_GE(this->publish("c", "two"), 1U);
  EXPECT_TRUE(this->rig.eventually([&] { return two.all().size() == 2; }));
  EXPECT_EQ(one.all().size(), 1U);
  this->rig.on_home([&] { two.subscription = Subscription(); });
  EXPECT_TRUE(this->rig.eventually([&] { return this->publish("c", "nobody") == 0; }));
}

TYPED_TEST_P(MessageBusContract, SubscriptionMayEndInsideItsHandler) {
  auto& ear = this->listen("c");
  Subscription once;
  std::atomic<int> calls{0};
  this->rig.on_home([&] {
    SubscribeOptions options;
    options.on_message = [&](const Delivery&) {
      ++calls;
      once = Subscription();
    };
    once = this->rig.bus().subscribe("c", std::move(options));
  });
  EXPECT_TRUE(this->rig.eventually([&] {
    this->publish("c", "x");
    return calls > 0;
  }));
  const auto before = ear.all().size();
  this->publish("c", "last");
  EXPECT_TRUE(this->rig.eventually([&] { return ear.all().size() > before; }));
  EXPECT_EQ(calls, 1);
}

TYPED_TEST_P(MessageBusContract, TooLargeIsRefused) {
  const auto count =
      this->rig.get(this->rig.bus().publish("c", std::string(kBusMessageBytesMax + 1, 'x')));
  ASSERT_FALSE(count);
  EXPECT_EQ(count.error().code, Code::kInvalidArgument);
}

REGISTER_TYPED_TEST_SUITE_P(MessageBusContract, MessagesArriveInOrderByteForByte,
                            NobodyThereIsToldAsZero, ChannelsAreApartAndBatchesCountEach,
                            TwoOnOneChannelBothHearAndEndApart, SubscriptionMayEndInsideItsHandler,
                            TooLargeIsRefused);

}  // namespace nb::ha
