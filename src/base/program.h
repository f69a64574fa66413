// Program: starts the parts of a server in order and stops them in reverse, each with a deadline.
#pragma once

#include "base/health.h"
#include "base/log.h"
#include "base/result.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace nb {

struct ProgramLimits {
  std::chrono::milliseconds drain_delay{5'000};  ///< between "not ready" and the first stop
  std::chrono::milliseconds stop_total{20'000};  ///< for all stops; then the process exits anyway
};

/// Lives in main and is built there before any thread: it takes over the signals (signals.h).
/// Parts are stopped in the reverse order of their start; a start that fails stops what ran before.
class Program {
 public:
  Program(Health& health, Logger log, ProgramLimits limits);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  struct Part {
    std::string name;
    std::function<Result<>()> start{};
    /// Blocks until stopped. Past the deadline it is left behind and the exit status is 1.
    std::function<void()> stop{};
    std::chrono::milliseconds stop_limit{10'000};
    /// What request_drain() ends: the part sheds its users, the process stays. Blocks, at most
    /// stop_limit; `stop` is still called at the end.
    std::function<void()> drain{};
  };
  void add(Part part);
  /// On SIGHUP, on the signals' thread.
  void on_reload(std::function<void()> reload);

  /// Starts all, waits for SIGTERM or SIGINT (or request_stop), then: health.start_draining(), the
  /// drain delay, stops. Returns the exit status. A second signal ends the process at once.
  int run();
  /// The same as a signal; from any thread.
  void request_stop();
  /// As a signal, but the process stays for its operator to end it: health.start_draining(), the
  /// drain delay, the parts' drain in reverse order. SIGTERM then stops without a delay. From any
  /// thread.
  void request_drain();
  /// The parts' drain is over.
  [[nodiscard]] bool drained() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nb
