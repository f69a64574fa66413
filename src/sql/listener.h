// LISTEN on a PostgreSQL connection of its own.
#pragma once

#include "base/log.h"
#include "sql/dsn.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace nb::sql {

struct ListenerOptions {
  std::vector<std::string> channels;  // [a-z0-9_]{1,63} each
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds reconnect_delay_min{100};
  std::chrono::milliseconds reconnect_delay_max{2'000};
  /// A silent connection is asked for a sign of life this often.
  std::chrono::milliseconds probe_interval{10'000};
};

/// Notifications as they come, in commit order, at most once.
/// Threads  everything on the executor that run() is spawned on, which is blocked while libpq looks
///          up the host's name: one that nobody else needs.
/// Failure  a lost connection is made again with jittered back-off; what was sent in between is
///          lost, which on_gap tells.
class Listener {
 public:
  struct Handlers {
    std::function<void(std::string_view channel, std::string_view payload)> on_notify;
    /// After every connect, the first included: read from the tables what may have been missed.
    std::function<void()> on_gap;
  };
  Listener(Dsn dsn, ListenerOptions options, Handlers handlers, Logger log);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// Until cancelled; for a TaskGroup.
  boost::asio::awaitable<void> run();
  [[nodiscard]] bool connected() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nb::sql
