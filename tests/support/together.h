// Threads that start together.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

namespace nb::test {

/// Runs each on a thread of its own; none begins before all are there.
inline void together(const std::vector<std::function<void()>>& works) {
  std::atomic<std::size_t> ready{0};
  std::vector<std::thread> threads;
  threads.reserve(works.size());
  for (const auto& work : works)
    threads.emplace_back([&] {
      ++ready;
      while (ready < works.size()) std::this_thread::yield();
      work();
    });
  for (std::thread& thread : threads) thread.join();
}

/// The same of `work(0)` to `work(count - 1)`.
inline void together(int count, const std::function<void(int)>& work) {
  std::vector<std::function<void()>> works;
  for (int i = 0; i < count; ++i) works.emplace_back([&work, i] { work(i); });
  together(works);
}

}  // namespace nb::test
