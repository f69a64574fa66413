#include "base/look_up.h"

#include <boost/asio/thread_pool.hpp>

namespace nb {

boost::asio::any_io_executor look_up_executor() {
  // Never destroyed: a look-up that hangs would hold up the end of the process.
  static auto* const pool = new boost::asio::thread_pool(1);
  return pool->get_executor();
}

}  // namespace nb
