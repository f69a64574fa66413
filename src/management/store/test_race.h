// Two instances over one PostgreSQL, and threads that start together.
#pragma once

#include "management/store/test_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

namespace nb::management::test {

class RaceTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto report = a_.prepare();
    ASSERT_TRUE(report) << report.error().text;
    auto made = get(a_.store->ensure_account(soon(), fresh_account()));
    ASSERT_TRUE(made) << made.error().text;
    account_ = std::move(made->first);
  }
  Store& store(int i) { return i % 2 == 0 ? *a_.store : *b_.store; }
  SetupKey make_key(SetupKeyRequest request = {}) {
    auto key = get(a_.store->create_setup_key(
        soon(), fresh_setup_key(account_.id, std::move(request)), account_.created_by));
    EXPECT_TRUE(key) << key.error().text;
    return *std::move(key);
  }
  /// Runs `work(i)` on `count` threads that start together.
  static void together(int count, const std::function<void(int)>& work) {
    std::atomic<int> ready{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i)
      threads.emplace_back([&, i] {
        ++ready;
        while (ready < count) std::this_thread::yield();
        work(i);
      });
    for (std::thread& thread : threads) thread.join();
  }

  sql::test::TestDatabase fixture_{sql::Engine::kPostgres};
  Instance a_{fixture_};
  Instance b_{fixture_};
  Account account_;
};

}  // namespace nb::management::test
