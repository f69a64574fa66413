#include "net/asio_descriptor.h"

#include <boost/asio/detail/epoll_reactor.hpp>

#ifndef BOOST_ASIO_HAS_EPOLL
#error "loops need Asio on epoll"
#endif

namespace nb::net {
namespace {

using boost::asio::detail::epoll_reactor;

int member_of(epoll_reactor& reactor);

/// Asio has no way to ask for it. An explicit instantiation may name a private member
/// ([temp.spec.general]), so a version of Boost that renames it does not compile;
/// docs/decisions/0114-loops-and-threads.md.
template <auto Member>
struct Opened {
  friend int member_of(epoll_reactor& reactor) { return reactor.*Member; }
};
template struct Opened<&epoll_reactor::epoll_fd_>;

}  // namespace

int asio_descriptor(boost::asio::io_context& context) {
  auto& reactor = boost::asio::use_service<epoll_reactor>(context);
  reactor.init_task();
  return member_of(reactor);
}

}  // namespace nb::net
