// Signals of the process: SIGTERM and SIGINT stop it, SIGHUP reloads.
#pragma once

#include <functional>
#include <memory>

namespace nb {

/// Receives signals on a thread of its own, so that handlers may do anything.
/// Build it in main before any other thread: it blocks the signals for threads made later. Works as
/// process 1, where it also lets adopted children be reaped. SIGPIPE is ignored.
class Signals {
 public:
  struct Handlers {
    /// First SIGTERM or SIGINT, once. The second one ends the process at once (status 128 + n).
    std::function<void(int signal)> on_stop;
    std::function<void()> on_reload{};
  };
  explicit Signals(Handlers handlers);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nb
