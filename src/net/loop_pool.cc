#include "base/assert.h"
#include "net/loop_crew.h"

#include <csignal>

namespace nb::net {

struct LoopPool::Impl {
  Impl(std::size_t count, std::size_t guests) : crew(count, {}, guests) {}
  LoopCrew crew;
  LoopCrew* host = nullptr;  // of a guest
};

LoopPool::LoopPool(std::size_t count, std::size_t guests)
    : impl_(std::make_unique<Impl>(count, guests)) {
  NB_ASSERT(count > 0);
}

LoopPool::LoopPool(LoopPool& host) : impl_(std::make_unique<Impl>(1, 0)) {
  impl_->host = &host.impl_->crew;
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
  if (impl_->host != nullptr) return impl_->host->attach(impl_->crew.at(0));
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
  if (impl_->host != nullptr)
    impl_->host->detach(impl_->crew.at(0));
  else
    impl_->crew.stop();
}

}  // namespace nb::net
