// Calls something once after a time, unless it is destroyed before.
#pragma once

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <utility>

namespace nb::client {

class Deadline {
 public:
  Deadline(const boost::asio::any_io_executor& home, std::chrono::milliseconds limit,
           std::function<void()> expire)
      : timer_(home, limit) {
    timer_.async_wait([expire = std::move(expire)](const boost::system::error_code& error) {
      if (!error) expire();
    });
  }

 private:
  boost::asio::steady_timer timer_;
};

}  // namespace nb::client
