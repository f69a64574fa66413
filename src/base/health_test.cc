#include "base/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace nb {
namespace {

TEST(Health, NotReadyUntilEveryDependencyIsUp) {
  SystemClock clock;
  Health health(clock);
  EXPECT_FALSE(health.ready());
  const auto store = health.add("store");
  const auto redis = health.add("redis");
  EXPECT_FALSE(health.ready());
  store.set(HealthState::kOk);
  EXPECT_FALSE(health.ready());
  redis.set(HealthState::kDegraded, "connection refused");
  EXPECT_TRUE(health.ready()) << "degraded stays in the balancer";
  store.set(HealthState::kDown, "no answer");
  EXPECT_FALSE(health.ready());
}

TEST(Health, TroubleNamesWhatIsNotWell) {
  const SystemClock clock;
  Health health(clock);
  const auto store = health.add("store", HealthState::kOk);
  health.add("redis", HealthState::kDegraded, "not connected");
  EXPECT_EQ(health.trouble(), "redis: not connected");
  store.set(HealthState::kDown);
  EXPECT_EQ(health.trouble(), "store: down; redis: not connected");
}

TEST(Health, DrainingIsFinal) {
  SystemClock clock;
  Health health(clock);
  const auto store = health.add("store", HealthState::kOk);
  ASSERT_TRUE(health.ready());
  health.start_draining();
  EXPECT_FALSE(health.ready());
  store.set(HealthState::kOk);
  EXPECT_FALSE(health.ready());
  EXPECT_TRUE(health.draining());
  EXPECT_THAT(health.json(), testing::HasSubstr(R"("status":"draining","ready":false)"));
}

TEST(Health, DocumentNamesEachDependency) {
  SystemClock clock;
  Health health(clock);
  health.add("store", HealthState::kOk, "");
  health.add("redis", HealthState::kDegraded, "line\nbreak \"quoted\"");
  const auto json = health.json();
  EXPECT_THAT(json, testing::HasSubstr(R"("status":"degraded","ready":true)"));
  EXPECT_THAT(json, testing::HasSubstr(R"("store":{"status":"ok","since":")"));
  EXPECT_THAT(json, testing::HasSubstr(R"("detail":"line\\nbreak \"quoted\"")"));
}

TEST(Health, OnlyWhatIsNotUpYetIsStarting) {
  SystemClock clock;
  Health health(clock);
  health.add("instance", HealthState::kOk);
  EXPECT_THAT(health.json(), testing::Not(testing::HasSubstr("starting")));
  health.add("store");
  EXPECT_THAT(health.json(), testing::HasSubstr(R"("detail":"starting")"));
}

TEST(Health, CallbacksHearChangesOnly) {
  SystemClock clock;
  Health health(clock);
  std::vector<bool> heard;
  health.on_change([&](bool ready) {
    heard.push_back(ready);
    EXPECT_EQ(health.ready(), ready) << "no lock is held";
    EXPECT_FALSE(health.json().empty());
  });
  const auto store = health.add("store");
  store.set(HealthState::kOk);
  store.set(HealthState::kDegraded);
  store.set(HealthState::kDown);
  health.start_draining();
  EXPECT_EQ(heard, (std::vector<bool>{true, false}));
}

}  // namespace
}  // namespace nb
