// Carries events from the main database's outbox to the database where activity is kept.
#pragma once

#include "base/log.h"
#include "management/store/store.h"
#include "sql/database.h"

namespace nb::management {

/// Writes leave their events in the outbox in their own transaction, so that none is lost and none
/// is made up; this moves them on, each at least once and stored once (column nb_key).
/// Any number of instances may do it at the same time. The two databases may be one.
class EventLog {
 public:
  EventLog(sql::Database& main, sql::Database& events, Logger log);

  /// Migrates the events' tables; blocking, at start.
  Result<> prepare(Instant deadline);
  /// Moves up to `limit` events. Returns how many; less than `limit`: none are left.
  Task<std::size_t> move(Instant deadline, std::size_t limit);
  /// Moves events as they come, until cancelled; for a TaskGroup. While one of the databases is
  /// away the events wait in the outbox.
  boost::asio::awaitable<void> run(Clock& clock, std::chrono::milliseconds interval);

 private:
  sql::Database& main_;
  sql::Database& events_;
  Logger log_;
};

}  // namespace nb::management
