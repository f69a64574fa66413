// Threads for network maps, apart from everything that must answer at once.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace nb::management::app {

/// Where maps are made. post() may be called from any thread.
class MapWorkers {
 public:
  virtual ~MapWorkers() = default;
  virtual void post(std::function<void()> work) = 0;
};

/// Runs pieces of work of some milliseconds each. Its threads have a lower priority than those that
/// serve connections, so a storm of maps delays no cheap call (design.md §5).
/// Limits   the queue is bounded by its users: FanOutOptions::builds_max plus one load per account.
class MapPool final : public MapWorkers {
 public:
  explicit MapPool(std::size_t threads);
  ~MapPool() override;
  MapPool(const MapPool&) = delete;
  MapPool& operator=(const MapPool&) = delete;

  /// After stop() work is dropped.
  void post(std::function<void()> work) override;
  /// Drops what waits and joins.
  void stop();
  [[nodiscard]] std::size_t waiting() const;

 private:
  void run();

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace nb::management::app
