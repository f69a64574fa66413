// Two instances over one PostgreSQL.
#pragma once

#include "management/store/store_work.h"
#include "management/store/test_store.h"
#include "support/process.h"
#include "support/together.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <initializer_list>
#include <memory>
#include <thread>

namespace nb::management::test {

using nb::test::together;

/// Of works that are done, or refused as expected.
struct Tally {
  std::atomic<int> done{0};
  std::atomic<int> refused{0};
  template <class T>
  void count(const Result<T>& result, std::initializer_list<Error> refusals) {
    if (result)
      ++done;
    else if (std::ranges::find(refusals, result.error()) != refusals.end())
      ++refused;
    else
      ADD_FAILURE() << result.error().text;
  }
};

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

  /// Runs `late` while a transaction of the other instance, which did `change`, is open; it commits
  /// when somebody waits for what it holds.
  void run_during(const std::function<Result<>(sql::Session&, const work::Context&)>& change,
                  const std::function<void()>& late) {
    std::promise<void> changed;
    std::promise<void> commit;
    std::thread other([&] {
      const auto context = std::make_shared<work::Context>(b_.parts, SqlStoreOptions{});
      const auto done =
          b_.database->run_blocking<void>(soon(), {}, [&](sql::Session& session) -> Result<> {
            const Result<> written = change(session, *context);
            changed.set_value();
            commit.get_future().wait();
            return written;
          });
      EXPECT_TRUE(done) << done.error().text;
    });
    changed.get_future().wait();
    std::thread waiting(late);
    EXPECT_TRUE(nb::test::eventually(
        [&] {
          return a_.value(
                     "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = "
                     "current_database() AND wait_event_type = 'Lock'") != "0";
        },
        nb::test::patient(std::chrono::seconds(20))));
    commit.set_value();
    other.join();
    waiting.join();
  }

  sql::test::TestDatabase fixture_{sql::Engine::kPostgres};
  Instance a_{fixture_};
  Instance b_{fixture_};
  Account account_;
};

}  // namespace nb::management::test
