// netbird-mgmt's work that nobody asks for: activity events go to their database, the change log
// forgets.
#pragma once

#include "base/log.h"
#include "base/task_group.h"
#include "cmd/mgmt_config.h"
#include "cmd/mgmt_core.h"
#include "management/store/event_log.h"
#include "sql/database.h"

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

namespace nb::cmd {

/// Where events go: the configured database; the main one where several instances share it and a
/// local file would split the events among them.
[[nodiscard]] Result<sql::Dsn> events_dsn(const MgmtConfig& config);

class MgmtUpkeep {
 public:
  /// Opens the events' database. One that is away does not keep the server from starting: events
  /// wait in the main database meanwhile.
  static Result<std::unique_ptr<MgmtUpkeep>> make(const MgmtConfig& config, MgmtCore& core,
                                                  Logger log);

  /// The events' database; may be the main one.
  sql::Database& events() { return *events_; }
  /// Spawns the tasks, which end with the group. `my_turn`: whether it is on this instance to prune
  /// what all share; asked where the group lives.
  void start(TaskGroup& tasks, std::function<bool()> my_turn);

 private:
  MgmtUpkeep(MgmtCore& core, Logger log) : core_(core), log_(std::move(log)) {}
  boost::asio::awaitable<void> move_events();
  boost::asio::awaitable<void> prune(std::function<bool()> my_turn);
  void prepare(const std::stop_token& stop);

  MgmtCore& core_;
  const Logger log_;
  std::unique_ptr<sql::Database> own_;  // unless the main database is used
  sql::Database* events_ = nullptr;
  std::unique_ptr<management::EventLog> event_log_;
  std::atomic<bool> prepared_{false};
  std::jthread preparing_;
};

}  // namespace nb::cmd
