// A database that has no time for anybody, for tests.
#pragma once

#include "sql/test_database.h"
#include "support/process.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace nb::sql::test {

/// Of a database with one worker and a queue for one: holds the worker and fills the queue, for
/// work of one kind, as long as it lives.
class FullQueue {
 public:
  FullQueue(Database& database, RunOptions kind) : database_(database), kind_(kind) {
    std::promise<void> taken;
    holder_ = std::thread([this, &taken] {
      const auto done = database_.run_blocking<void>(soon(), kind_, [&](Session&) -> Result<> {
        taken.set_value();
        release_.get_future().wait();
        return {};
      });
      EXPECT_TRUE(done);
    });
    taken.get_future().wait();
    waiter_ = std::thread([this] {
      while (refuses(soon())) continue;  // the look below was there first
    });
    EXPECT_TRUE(
        nb::test::eventually([this] { return refuses(soon(std::chrono::milliseconds(1))); }));
  }
  ~FullQueue() {
    release_.set_value();
    holder_.join();
    waiter_.join();
  }
  FullQueue(const FullQueue&) = delete;
  FullQueue& operator=(const FullQueue&) = delete;

  /// What a database has to be opened with.
  static DatabaseOptions options() { return {.workers = 1, .queue_max = 1}; }

 private:
  bool refuses(Instant deadline) {
    const auto done =
        database_.run_blocking<void>(deadline, kind_, [](Session&) -> Result<> { return {}; });
    return !done && done.error().code == Code::kResourceExhausted;
  }

  Database& database_;
  const RunOptions kind_;
  std::promise<void> release_;
  std::thread holder_;
  std::thread waiter_;
};

}  // namespace nb::sql::test
