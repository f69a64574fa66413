// Where Asio waits and what it has queued: lets a loop of ours wait for Asio's sockets and timers
// along with its own, and ask Asio to run only when there is something to run.
#pragma once

#include <boost/asio/io_context.hpp>

namespace nb::net {

/// The epoll set of `context`: readable while one of its sockets or timers is ready. It stays the
/// context's. Handlers that are merely queued do not make it readable.
int asio_descriptor(boost::asio::io_context& context);

/// Whether handlers are queued. Asking costs a lock that nobody else wants; poll() of a context
/// without any costs a system call.
bool asio_has_queued(boost::asio::io_context& context);

}  // namespace nb::net
