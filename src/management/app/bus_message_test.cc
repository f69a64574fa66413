#include "management/app/bus_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::management::app {
namespace {

class BusMessageTest : public testing::TestWithParam<BusMessage> {};

TEST_P(BusMessageTest, SurvivesTheWire) {
  const auto again = decode_bus_message(encode(GetParam()));
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, BusMessageTest,
    testing::Values(BusMessage{"acc", "m/1", Changed{7}},
                    BusMessage{"acc", "m/1", Superseded{"a", 1'700'000'000'000'000'000}},
                    BusMessage{"acc", "m/1", Ended{"a", EndReason::kRefused}},
                    BusMessage{"acc", "m/1", JobWaiting{"a"}},
                    BusMessage{"acc", "m/1", JobSuperseded{"a", 1'700'000'000'000'000'000}}));

TEST(BusMessage, ChangeOfALaterVersionIsUnderstood) {
  const auto message = decode_bus_message("nbmgmt1\nchanged\nacc\nm\n7\n*\nmore");
  ASSERT_TRUE(message);
  EXPECT_EQ(std::get<Changed>(message->body).serial, 7U);
}

TEST(BusMessage, GarbageIsRefused) {
  for (const char* text : {"", "ping", "nbmgmt1", "nbmgmt1\nchanged", "nbmgmt1\nchanged\nacc\nm",
                           "nbmgmt1\nchanged\nacc\nm\nx", "nbmgmt1\nchanged\nacc\nm\n-1\n*",
                           "nbmgmt1\nchanged\n\nm\n1\n*", "nbmgmt1\nsuperseded\nacc\nm\na",
                           "nbmgmt1\nsuperseded\nacc\nm\na\n1\nmore",
                           "nbmgmt1\nended\nacc\nm\na\n99", "nbmgmt1\njob-waiting\nacc\nm\na\nmore",
                           "nbmgmt1\njob-superseded\nacc\nm\na", "nbmgmt1\nunknown\nacc\nm\na\n1"})
    EXPECT_FALSE(decode_bus_message(text)) << text;
}

}  // namespace
}  // namespace nb::management::app
