#include "base/assert.h"
#include "net/loop_crew.h"

#include <csignal>

namespace nb::net {

struct LoopPool::Impl {
  explicit Impl(std::size_t count) : crew(count) {}
  LoopCrew crew;
};

LoopPool::LoopPool(std::size_t count) : impl_(std::make_unique<Impl>(count)) {
  NB_ASSERT(count > 0);
}

LoopPool::~LoopPool() {
  stop();
}

std::size_t LoopPool::size() const {
  return impl_->crew.size();
}

Loop& LoopPool::at(std::size_t index) const {
  return impl_->crew.at(index);
}

void LoopPool::start() {
  // Signals belong to the main thread; SIGPIPE of a socket closed under OpenSSL to nobody.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP})
    sigdelset(&all, fault);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  impl_->crew.start();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void LoopPool::stop() {
  impl_->crew.stop();
}

}  // namespace nb::net
