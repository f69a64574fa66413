// Map threads of simulated management instances: work starts later, and pieces of different streams
// overtake each other.
#pragma once

#include "base/task_group.h"
#include "ha/sim/world.h"
#include "management/app/sync_hub.h"

#include <functional>
#include <utility>

namespace nb::sim {

class SimMapWorkers final : public management::app::MapWorkers {
 public:
  explicit SimMapWorkers(NodeEnv& env) : env_(env), tasks_(env.home) {}
  void post(std::function<void()> work) override { tasks_.spawn(later(std::move(work))); }
  boost::asio::awaitable<void> stop() { return tasks_.stop(); }

 private:
  boost::asio::awaitable<void> later(std::function<void()> work) {
    co_await env_.clock.sleep_for(std::chrono::microseconds(50 + env_.random() % 30'000));
    work();
  }
  NodeEnv& env_;
  TaskGroup tasks_;
};

}  // namespace nb::sim
