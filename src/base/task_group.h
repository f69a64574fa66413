// Owns background coroutines: nothing is detached.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <memory>

namespace nb {

/// Coroutines that live until they end by themselves or stop() cancels and awaits them.
/// Threads  everything on `home`; the group must be stopped before it is destroyed.
/// Failure  an exception that leaves a task is a bug and ends the process.
class TaskGroup {
 public:
  explicit TaskGroup(boost::asio::any_io_executor home);
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  /// Starts `task` on home. After stop() began, the task is dropped unstarted.
  void spawn(boost::asio::awaitable<void> task);
  /// Cancels every task (asio terminal cancellation) and returns when the last has ended.
  boost::asio::awaitable<void> stop();
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] const boost::asio::any_io_executor& executor() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace nb
