// Two instances over one PostgreSQL.
#pragma once

#include "management/store/test_store.h"
#include "support/together.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <initializer_list>

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

  sql::test::TestDatabase fixture_{sql::Engine::kPostgres};
  Instance a_{fixture_};
  Instance b_{fixture_};
  Account account_;
};

}  // namespace nb::management::test
