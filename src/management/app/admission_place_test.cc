#include "management/app/admission_place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace nb::management::app {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

std::string name_of(AdmissionPlace::Outcome outcome) {
  switch (outcome) {
    case AdmissionPlace::Outcome::kAdmittedAtOnce:
      return "at once";
    case AdmissionPlace::Outcome::kAdmittedAfterWait:
      return "after a wait";
    case AdmissionPlace::Outcome::kRefused:
      return "refused";
  }
  return "?";
}

class AdmissionPlaceTest : public testing::Test {
 protected:
  /// Whether it waits.
  bool enter(AdmissionPlace& place, const std::string& name) {
    return place.enter(
        {.source = "a", .since = now}, [](const std::function<void()>& work) { work(); },
        [this, name](AdmissionPlace::Outcome outcome) {
          told.push_back(name + ": " + name_of(outcome));
        });
  }

  const Instant now{};
  std::vector<std::string> told;
  StreamAdmission admission{{.in_setup_max = 1, .waiting_max = 2, .wait_max = 10s}};
};

TEST_F(AdmissionPlaceTest, WhereThereIsRoomTheCallerIsToldAtOnce) {
  AdmissionPlace place(admission);
  EXPECT_FALSE(enter(place, "only"));
  EXPECT_THAT(told, ElementsAre("only: at once"));
  EXPECT_TRUE(place.held());
}

TEST_F(AdmissionPlaceTest, WhoWaitsIsToldWhenThereIsRoom) {
  AdmissionPlace first(admission);
  AdmissionPlace second(admission);
  enter(first, "first");
  EXPECT_TRUE(enter(second, "second"));
  EXPECT_THAT(told, ElementsAre("first: at once"));
  first.leave();
  EXPECT_THAT(told, ElementsAre("first: at once", "second: after a wait"));
}

TEST_F(AdmissionPlaceTest, WhoWaitsForTooLongIsRefused) {
  AdmissionPlace first(admission);
  AdmissionPlace second(admission);
  enter(first, "first");
  enter(second, "second");
  admission.expire(now + 10s);
  EXPECT_THAT(told, ElementsAre("first: at once", "second: refused"));
}

TEST_F(AdmissionPlaceTest, WhoFindsTheQueueFullIsRefusedAtOnce) {
  AdmissionPlace first(admission);
  AdmissionPlace second(admission);
  AdmissionPlace third(admission);
  AdmissionPlace fourth(admission);
  enter(first, "first");
  enter(second, "second");
  enter(third, "third");
  EXPECT_FALSE(enter(fourth, "fourth"));
  EXPECT_THAT(told, ElementsAre("first: at once", "fourth: refused"));
}

TEST_F(AdmissionPlaceTest, APlaceThatIsDroppedIsGivenBack) {
  AdmissionPlace last(admission);
  {
    AdmissionPlace first(admission);
    AdmissionPlace waits(admission);
    enter(first, "first");
    enter(waits, "waits");
    enter(last, "last");
    EXPECT_EQ(admission.waiting(), 2U);
  }  // who waits goes before whom it waits for
  EXPECT_THAT(told, ElementsAre("first: at once", "last: after a wait"));
  EXPECT_EQ(admission.waiting(), 0U);
  EXPECT_EQ(admission.in_setup(), 1U);
}

}  // namespace
}  // namespace nb::management::app
