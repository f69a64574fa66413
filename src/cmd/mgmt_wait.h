// Waiting for a coroutine where there is no loop yet.
#pragma once

#include "cmd/mgmt_core.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <utility>

namespace nb::cmd {

template <class T>
Result<T> MgmtCore::wait(management::Task<T> work) {
  boost::asio::io_context context(1);
  auto done = boost::asio::co_spawn(context, std::move(work), boost::asio::use_future);
  context.run();
  return done.get();
}

}  // namespace nb::cmd
