// Time and waiting, as every load needs them.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>
#include <thread>

namespace nb::bench {

inline std::uint64_t now_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(t.tv_nsec);
}

/// Waits until `done` or the limit, looking `every` so often. False: the limit came first.
template <class Done>
bool wait_for(std::chrono::milliseconds limit, std::chrono::milliseconds every, Done done) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(every);
  }
  return true;
}

}  // namespace nb::bench
