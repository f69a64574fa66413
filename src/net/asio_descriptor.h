// Where Asio waits: lets a loop of ours wait for Asio's sockets and timers along with its own.
#pragma once

#include <boost/asio/io_context.hpp>

namespace nb::net {

/// The epoll set of `context`: readable while one of its sockets or timers is ready. It stays the
/// context's. Handlers that are merely queued do not make it readable.
int asio_descriptor(boost::asio::io_context& context);

}  // namespace nb::net
