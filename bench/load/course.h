// The course of a load over several threads, whatever it sends: everybody connects, memory is read,
// traffic runs and a window of it is measured, the rest arrives, memory is read again.
#pragma once

#include "load/histogram.h"
#include "load/process_stat.h"

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

namespace nb::bench {

struct CoursePlan {
  std::vector<pid_t> pids;  // servers whose cost is counted
  std::uint32_t peers = 0;
  std::uint32_t threads = 1;                // of the generator
  std::chrono::milliseconds settle{2'000};  // before memory is read
  std::chrono::milliseconds warm_up{1'000};
  std::chrono::milliseconds duration{5'000};  // 0: no traffic
  std::chrono::milliseconds drain_max{15'000};
};

struct LoadResult {
  double seconds = 0;  // of the measured window
  std::uint64_t window_delivered = 0;
  // Of the window, for each message or packet delivered in it:
  double cpu_us = 0;  // of the servers
  double own_cpu_us = 0;
  double switches = 0;
  double cores = 0;        // that the servers used in it
  std::uint64_t sent = 0;  // whole phase
  std::uint64_t delivered = 0;
  std::uint64_t connections_lost = 0;
  Histogram latency;
  ProcessStat baseline;
  std::int64_t rss_idle = 0;
  std::int64_t rss_after = 0;
  std::int64_t rss_peak = 0;  // largest seen while traffic ran
  std::uint32_t peers = 0;

  [[nodiscard]] double rate() const;
  [[nodiscard]] double idle_kib_per_peer() const;
  [[nodiscard]] double after_kib_per_peer() const;
};

class Course {
 public:
  enum class Phase : std::uint8_t { kConnect, kIdle, kTraffic, kStop };

  /// The load; asked from the course's thread while the workers run.
  class Load {
   public:
    [[nodiscard]] virtual std::uint32_t connected() const = 0;
    [[nodiscard]] virtual bool failed() const = 0;
    [[nodiscard]] virtual std::uint64_t sent() const = 0;
    [[nodiscard]] virtual std::uint64_t delivered() const = 0;
    /// Grows with every answer and arrival.
    [[nodiscard]] virtual std::uint64_t moved() const = 0;
    /// Nothing is on its way any more.
    [[nodiscard]] virtual bool all_there() const = 0;
    /// Its messages' latency counts from now on, or no longer.
    virtual void window(bool /*open*/) {}
    virtual void traffic(bool /*begins*/) {}

   protected:
    ~Load() = default;
  };

  Course(const CoursePlan& plan, Load& load) : plan_(plan), load_(load) {}
  [[nodiscard]] Phase phase() const { return phase_; }

  /// Runs `work(i)` on thread i, which looks at phase() and returns at kStop. False: not everybody
  /// was connected, and nothing was measured.
  bool run(const std::function<void(std::uint32_t)>& work, LoadResult& out);

 private:
  bool wait_until_connected();
  void measure(LoadResult& out);
  void traffic(LoadResult& out);
  void drain();

  const CoursePlan& plan_;
  Load& load_;
  std::atomic<Phase> phase_{Phase::kConnect};
};

}  // namespace nb::bench
