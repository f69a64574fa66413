#include "net/asio_descriptor.h"

#include <boost/asio/detail/epoll_reactor.hpp>
#include <boost/asio/detail/scheduler.hpp>

#ifndef BOOST_ASIO_HAS_EPOLL
#error "loops need Asio on epoll"
#endif

namespace nb::net {
namespace {

using boost::asio::detail::conditionally_enabled_mutex;
using boost::asio::detail::epoll_reactor;
using boost::asio::detail::op_queue;
using boost::asio::detail::op_queue_access;
using boost::asio::detail::scheduler;
using Operation = boost::asio::detail::scheduler_operation;

/// Asio has no way to ask for these. An explicit instantiation may name a private member
/// ([temp.spec.general]), so a version of Boost that renames one does not compile;
/// docs/decisions/0114-loops-and-threads.md.
int descriptor_of(epoll_reactor& reactor);
template <auto Member>
struct OpenedDescriptor {
  friend int descriptor_of(epoll_reactor& reactor) { return reactor.*Member; }
};
template struct OpenedDescriptor<&epoll_reactor::epoll_fd_>;

conditionally_enabled_mutex& mutex_of(scheduler& of);
template <auto Member>
struct OpenedMutex {
  friend conditionally_enabled_mutex& mutex_of(scheduler& of) { return of.*Member; }
};
template struct OpenedMutex<&scheduler::mutex_>;

op_queue<Operation>& queue_of(scheduler& of);
template <auto Member>
struct OpenedQueue {
  friend op_queue<Operation>& queue_of(scheduler& of) { return of.*Member; }
};
template struct OpenedQueue<&scheduler::op_queue_>;

/// Stands in the queue for the reactor: what is done when nothing else is.
Operation* reactor_in(scheduler& of);
template <auto Member>
struct OpenedTask {
  friend Operation* reactor_in(scheduler& of) { return &(of.*Member); }
};
template struct OpenedTask<&scheduler::task_operation_>;

}  // namespace

int asio_descriptor(boost::asio::io_context& context) {
  auto& reactor = boost::asio::use_service<epoll_reactor>(context);
  reactor.init_task();
  return descriptor_of(reactor);
}

bool asio_has_queued(boost::asio::io_context& context) {
  auto& handlers = boost::asio::use_service<scheduler>(context);
  const conditionally_enabled_mutex::scoped_lock lock(mutex_of(handlers));
  Operation* const first = queue_of(handlers).front();
  return first != nullptr &&
         (first != reactor_in(handlers) || op_queue_access::next(first) != nullptr);
}

}  // namespace nb::net
