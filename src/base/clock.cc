#include "base/clock.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nb {
namespace asio = boost::asio;

WallTime SystemClock::wall() const {
  return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

Instant SystemClock::now() const {
  return std::chrono::steady_clock::now();
}

asio::awaitable<void> SystemClock::sleep_for(std::chrono::nanoseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  timer.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(time));
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
}

}  // namespace nb
