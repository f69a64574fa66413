#include "base/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace nb {

namespace {
sigset_t handled() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) ::sigaddset(&set, signal);
  return set;
}
}  // namespace

struct Signals::Impl {
  explicit Impl(Handlers h) : handlers(std::move(h)) {}

  void run() {
    const sigset_t set = handled();
    bool stopping = false;
    for (;;) {
      int signal = 0;
      if (::sigwait(&set, &signal) != 0) continue;
      if (signal == SIGUSR2) {
        if (ending.load()) return;
        continue;  // somebody else's: not ours to act on
      }
      if (signal == SIGHUP) {
        if (handlers.on_reload) handlers.on_reload();
        continue;
      }
      if (stopping) ::_exit(128 + signal);
      stopping = true;
      if (handlers.on_stop) handlers.on_stop(signal);
    }
  }

  Handlers handlers;
  std::atomic<bool> ending{false};
  sigset_t before{};
  std::thread thread;
};

Signals::Signals(Handlers handlers) : impl_(std::make_unique<Impl>(std::move(handlers))) {
  const sigset_t set = handled();
  ::pthread_sigmask(SIG_BLOCK, &set, &impl_->before);
  ::signal(SIGPIPE, SIG_IGN);
  // As process 1 we inherit orphans; the kernel reaps them for a parent that ignores SIGCHLD.
  if (::getpid() == 1) ::signal(SIGCHLD, SIG_IGN);
  impl_->thread = std::thread([this] { impl_->run(); });
}

Signals::~Signals() {
  impl_->ending.store(true);
  ::pthread_kill(impl_->thread.native_handle(), SIGUSR2);
  impl_->thread.join();
  ::pthread_sigmask(SIG_SETMASK, &impl_->before, nullptr);
}

}  // namespace nb
