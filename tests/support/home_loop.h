// A thread with an io_context, for testing objects that live on one executor.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <functional>
#include <future>
#include <stdexcept>
#include <thread>
#include <utility>

namespace nb::test {

class HomeLoop {
 public:
  HomeLoop() : work_(boost::asio::make_work_guard(io_)), thread_([this] { io_.run(); }) {}
  ~HomeLoop() { stop(); }
  HomeLoop(const HomeLoop&) = delete;
  HomeLoop& operator=(const HomeLoop&) = delete;

  [[nodiscard]] boost::asio::any_io_executor executor() { return io_.get_executor(); }

  /// Runs `work` on the loop's thread and returns what it returns.
  template <class Work>
  auto run(Work work) {
    using T = std::invoke_result_t<Work>;
    std::packaged_task<T()> task(std::move(work));
    auto done = task.get_future();
    boost::asio::post(io_, [&task] { task(); });
    return done.get();
  }

  /// Awaits what `make` returns, made and run on the loop's thread. Throws after `limit`.
  template <class Make>
  auto await(Make make, std::chrono::milliseconds limit = std::chrono::seconds(30)) {
    auto done = start(std::move(make));
    if (done.wait_for(limit) != std::future_status::ready) {
      throw std::runtime_error("still waiting after the limit");
    }
    return done.get();
  }

  /// As await(), without waiting.
  template <class Make>
  auto start(Make make) {
    using Awaitable = std::invoke_result_t<Make>;
    return boost::asio::co_spawn(io_, invoke<Awaitable>(std::move(make)), boost::asio::use_future);
  }

  /// Joins the thread; what is still queued is dropped.
  void stop() {
    work_.reset();
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  template <class Awaitable, class Make>
  static Awaitable invoke(Make make) {
    co_return co_await make();
  }

  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
};

}  // namespace nb::test
