#include "management/app/stream_admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

namespace nb::management::app {
namespace {

using namespace std::chrono_literals;
using Decision = StreamAdmission::Decision;
using Entry = StreamAdmission::Entry;
using testing::ElementsAre;

class StreamAdmissionTest : public testing::Test {
 protected:
  /// Enters as `name` ("a1" is of source "a") and remembers what becomes of it.
  Entry enter(const std::string& name, std::size_t bytes = 100) {
    const auto place =
        admission->enter(name.substr(0, 1), bytes, now, [this, name](Decision decision) {
          (decision == Decision::kAdmitted ? went : refused).push_back(name);
        });
    tickets[name] = place.ticket;
    return place.entry;
  }
  void leave(const std::string& name) { admission->leave(tickets.at(name)); }
  void started(const std::string& name) { admission->started(tickets.at(name)); }
  void make(StreamAdmissionOptions options) { admission.emplace(options); }

  std::optional<StreamAdmission> admission;
  std::map<std::string, StreamAdmission::Ticket> tickets;
  std::vector<std::string> went;
  std::vector<std::string> refused;
  Instant now{};
};

TEST_F(StreamAdmissionTest, CallsAboveTheLimitWaitAndGoWhenOthersAreSetUp) {
  make({.in_setup_max = 2});
  EXPECT_EQ(enter("a1"), Entry::kAdmitted);
  EXPECT_EQ(enter("a2"), Entry::kAdmitted);
  EXPECT_EQ(enter("a3"), Entry::kWaits);
  EXPECT_EQ(enter("a4"), Entry::kWaits);
  started("a1");
  EXPECT_THAT(went, ElementsAre());
  leave("a1");
  EXPECT_THAT(went, ElementsAre("a3"));
  leave("a2");
  EXPECT_THAT(went, ElementsAre("a3", "a4"));
  EXPECT_EQ(admission->waiting(), 0U);
  EXPECT_EQ(admission->in_setup(), 2U);
}

TEST_F(StreamAdmissionTest, FewAskTheDatabaseAtOnceAndMoreAreSetUp) {
  make({.in_setup_max = 10, .starting_max = 1});
  EXPECT_EQ(enter("a1"), Entry::kAdmitted);
  EXPECT_EQ(enter("a2"), Entry::kWaits);
  EXPECT_EQ(enter("a3"), Entry::kWaits);
  started("a1");
  EXPECT_THAT(went, ElementsAre("a2"));
  started("a1");  // twice is once
  EXPECT_THAT(went, ElementsAre("a2"));
  leave("a2");  // without having started
  EXPECT_THAT(went, ElementsAre("a2", "a3"));
}

TEST_F(StreamAdmissionTest, SourcesTakeTurns) {
  make({.in_setup_max = 1});
  EXPECT_EQ(enter("a1"), Entry::kAdmitted);
  for (const char* name : {"a2", "a3", "a4", "b1", "c1", "b2"})
    EXPECT_EQ(enter(name), Entry::kWaits);
  std::string last = "a1";
  for (int i = 0; i < 6; ++i) {
    leave(last);
    last = went.back();
  }
  EXPECT_THAT(went, ElementsAre("a2", "b1", "c1", "a3", "b2", "a4"));
}

TEST_F(StreamAdmissionTest, WhoComesLateDoesNotOvertake) {
  make({.in_setup_max = 2});
  enter("a1");
  enter("a2");
  enter("a3");
  leave("a1");  // a3 goes
  EXPECT_EQ(enter("a4"), Entry::kWaits);
}

TEST_F(StreamAdmissionTest, AFullQueueRefusesTheSourceWithMost) {
  make({.in_setup_max = 1, .waiting_max = 4});
  enter("a1");
  for (const char* name : {"a2", "a3", "a4", "b1"}) EXPECT_EQ(enter(name), Entry::kWaits);
  EXPECT_EQ(enter("a5"), Entry::kRefused);
  EXPECT_EQ(enter("c1"), Entry::kWaits);
  EXPECT_THAT(refused, ElementsAre("a4"));
  EXPECT_EQ(enter("b2"), Entry::kRefused);  // as many as the others have
  EXPECT_EQ(admission->waiting(), 4U);
}

TEST_F(StreamAdmissionTest, RequestsAreBoundedInBytes) {
  make({.in_setup_max = 1, .waiting_bytes_max = 1'000});
  enter("a1");
  EXPECT_EQ(enter("a2", 600), Entry::kWaits);
  EXPECT_EQ(enter("b1", 600), Entry::kRefused);
  EXPECT_EQ(enter("b2", 400), Entry::kWaits);
  leave("a2");
  EXPECT_EQ(enter("b3", 600), Entry::kWaits);
}

TEST_F(StreamAdmissionTest, WhoWaitedForTooLongIsRefused) {
  make({.in_setup_max = 1, .wait_max = 10s});
  enter("a1");
  enter("a2");
  now += 5s;
  enter("a3");
  now += 5s;
  admission->expire(now);
  EXPECT_THAT(refused, ElementsAre("a2"));
  leave("a2");  // it knows nothing of that yet
  leave("a1");
  EXPECT_THAT(went, ElementsAre("a3"));
}

TEST_F(StreamAdmissionTest, WhoLeavesWhileWaitingIsNotCalled) {
  make({.in_setup_max = 1});
  enter("a1");
  enter("a2");
  enter("a3");
  leave("a2");
  leave("a1");
  EXPECT_THAT(went, ElementsAre("a3"));
  EXPECT_THAT(refused, ElementsAre());
}

TEST_F(StreamAdmissionTest, NoLimitIsNoQueueAndZeroRefusesAll) {
  make({.in_setup_max = -1, .starting_max = 1});
  EXPECT_EQ(enter("a1"), Entry::kAdmitted);
  EXPECT_EQ(enter("a2"), Entry::kAdmitted);
  make({.in_setup_max = 0});
  EXPECT_EQ(enter("a3"), Entry::kRefused);
}

/// Whatever comes and goes: limits hold, nobody is forgotten, everybody is told at most once.
TEST_F(StreamAdmissionTest, KeepsItsBooksOverRandomHistories) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    const auto up_to = [&](int limit) {
      return static_cast<int>(random() % static_cast<unsigned>(limit));
    };
    now = {};
    const StreamAdmissionOptions options{.in_setup_max = 1 + up_to(5),
                                         .starting_max = 1 + up_to(3),
                                         .waiting_max = static_cast<std::size_t>(1 + up_to(10)),
                                         .wait_max = std::chrono::seconds(1 + up_to(20))};
    make(options);
    enum class State { kWaits, kStarts, kMaps, kOver };
    std::map<StreamAdmission::Ticket, State> calls;
    const auto count = [&](State wanted) {
      return std::ranges::count_if(calls, [&](const auto& call) { return call.second == wanted; });
    };
    for (int step = 0; step < 300; ++step) {
      now += std::chrono::milliseconds(up_to(500));
      const int what = up_to(10);
      if (what < 5) {
        const auto ticket = std::make_shared<StreamAdmission::Ticket>();
        const auto place = admission->enter(
            std::string(1, static_cast<char>('a' + up_to(3))), 10, now,
            [&calls, ticket](Decision decision) {
              EXPECT_EQ(calls.at(*ticket), State::kWaits);
              calls[*ticket] = decision == Decision::kAdmitted ? State::kStarts : State::kOver;
            });
        *ticket = place.ticket;
        if (place.entry == Entry::kAdmitted) calls[place.ticket] = State::kStarts;
        if (place.entry == Entry::kWaits) calls[place.ticket] = State::kWaits;
      } else if (what < 9 && !calls.empty()) {
        auto at = calls.begin();
        std::advance(at, up_to(static_cast<int>(calls.size())));
        const auto ticket = at->first;
        if (what < 7 && at->second == State::kStarts) {
          at->second = State::kMaps;
          admission->started(ticket);
        } else {
          at->second = State::kOver;
          admission->leave(ticket);
        }
      } else {
        admission->expire(now);
      }
      ASSERT_LE(count(State::kStarts), options.starting_max) << "seed " << seed;
      ASSERT_LE(count(State::kStarts) + count(State::kMaps), options.in_setup_max);
      ASSERT_EQ(static_cast<std::size_t>(count(State::kWaits)), admission->waiting());
      ASSERT_LE(admission->waiting(), options.waiting_max);
      ASSERT_TRUE(admission->waiting() == 0 || count(State::kStarts) == options.starting_max ||
                  count(State::kStarts) + count(State::kMaps) == options.in_setup_max)
          << "seed " << seed << ": somebody waits for nothing";
    }
  }
}

}  // namespace
}  // namespace nb::management::app
