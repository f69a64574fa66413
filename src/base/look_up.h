// Where host names are looked up.
#pragma once

#include <boost/asio/any_io_executor.hpp>

namespace nb {

/// For Asio's resolvers, whose threads report to the executor of the resolver: a loop of ours would
/// not hear of that. Handlers run on their own executors as usual.
boost::asio::any_io_executor look_up_executor();

}  // namespace nb
