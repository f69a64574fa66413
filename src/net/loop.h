// One thread at a time, one io_context, its own connections: the home of everything that happens on
// it.
#pragma once

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace nb::net {

class Loop {
 public:
  virtual ~Loop() = default;
  [[nodiscard]] virtual std::size_t index() const = 0;
  [[nodiscard]] virtual boost::asio::any_io_executor executor() const = 0;
  /// Queues work from any thread; many posts between two turns of the loop cost one wake-up.
  virtual void post(std::function<void()> work) = 0;
  /// Runs `work` once at the end of the current turn, before the sockets touched in it are written.
  /// Only on the loop itself.
  virtual void at_turn_end(std::function<void()> work) = 0;
  [[nodiscard]] virtual bool running_here() const = 0;
};

/// `count` loops and as many threads, one more for each guest, of which as many serve the loops as
/// the load needs. Built before everything that lives on them and destroyed after it.
class LoopPool {
 public:
  /// `guests`: how many loops of other pools will be served as well.
  explicit LoopPool(std::size_t count, std::size_t guests = 0);
  /// One loop, which threads of `host` serve from start() on: messages between it and the host's
  /// need no wake-up as long as one thread suffices for all. Stop the host first.
  explicit LoopPool(LoopPool& host);
  ~LoopPool();
  LoopPool(const LoopPool&) = delete;
  LoopPool& operator=(const LoopPool&) = delete;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] Loop& at(std::size_t index) const;
  /// Lets the loops run until stop() is called.
  void start();
  /// Ends and joins the threads.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nb::net
