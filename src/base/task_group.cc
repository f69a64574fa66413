#include "base/task_group.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <list>
#include <utility>

namespace nb {
namespace asio = boost::asio;

namespace {
/// Cancellation reaches a coroutine as operation_aborted from its next await: an end, no failure.
bool failed(const std::exception_ptr& error) {
  if (!error) return false;
  try {
    std::rethrow_exception(error);
  } catch (const boost::system::system_error& e) {
    return e.code() != asio::error::operation_aborted;
  } catch (...) {
    return true;
  }
}
}  // namespace

struct TaskGroup::State {
  explicit State(asio::any_io_executor executor)
      : home(std::move(executor)), emptied(home, asio::steady_timer::time_point::max()) {}
  asio::any_io_executor home;
  std::list<asio::cancellation_signal> running;
  asio::steady_timer emptied;  // cancelled when the last task ends
  bool stopping = false;
};

TaskGroup::TaskGroup(asio::any_io_executor home)
    : state_(std::make_shared<State>(std::move(home))) {}

TaskGroup::~TaskGroup() = default;

void TaskGroup::spawn(asio::awaitable<void> task) {
  if (state_->stopping) return;
  const auto signal = state_->running.emplace(state_->running.end());
  asio::co_spawn(state_->home, std::move(task),
                 asio::bind_cancellation_slot(
                     signal->slot(), [state = state_, signal](const std::exception_ptr& error) {
                       if (failed(error)) std::terminate();
                       state->running.erase(signal);
                       if (state->running.empty()) state->emptied.cancel();
                     }));
}

asio::awaitable<void> TaskGroup::stop() {
  const auto state = state_;
  state->stopping = true;
  // A task may end, and leave the list, inside emit(): step before touching it.
  for (auto it = state->running.begin(); it != state->running.end();) {
    auto& signal = *it++;
    signal.emit(asio::cancellation_type::terminal);
  }
  while (!state->running.empty()) {
    co_await state->emptied.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

std::size_t TaskGroup::size() const {
  return state_->running.size();
}

const asio::any_io_executor& TaskGroup::executor() const {
  return state_->home;
}

}  // namespace nb
