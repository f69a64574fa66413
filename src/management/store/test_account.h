// A fresh account on a store of its own, on each engine.
#pragma once

#include "management/store/test_store.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>

namespace nb::management::test {

class FreshAccountTest : public testing::TestWithParam<sql::Engine> {
 protected:
  void SetUp() override {
    const auto report = instance_.prepare();
    ASSERT_TRUE(report) << report.error().text;
    EXPECT_TRUE(report->empty()) << report->front();
    auto made = get(store().ensure_account(soon(), fresh_account()));
    ASSERT_TRUE(made) << made.error().text;
    EXPECT_TRUE(made->second);
    account_ = std::move(made->first);
  }
  Store& store() { return *instance_.store; }
  SetupKey make_key(SetupKeyRequest request = {}) {
    auto key = get(store().create_setup_key(
        soon(), fresh_setup_key(account_.id, std::move(request)), account_.created_by));
    EXPECT_TRUE(key) << key.error().text;
    return *std::move(key);
  }
  Registered add_peer(const SetupKey& key, const std::string& name = "box") {
    auto done = get(store().register_peer(soon(), registration(key, name)));
    EXPECT_TRUE(done) << done.error().text;
    return *std::move(done);
  }
  std::uint64_t serial() { return get(store().account(soon(), account_.id))->serial; }

  sql::test::TestDatabase fixture_{GetParam()};
  Instance instance_{fixture_};
  Account account_;
};

}  // namespace nb::management::test
