// Password hashing off the loops: a few threads, a bounded queue.
#pragma once

#include "base/result.h"
#include "base/secret.h"
#include "crypto/password.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <functional>
#include <string>
#include <utility>

namespace nb::management::app {

/// Thread-safe. stop() (or the end) waits for what runs.
class Hasher {
 public:
  explicit Hasher(std::size_t threads = 2, int queue_max = 64)
      : queue_max_(queue_max), pool_(threads) {}
  ~Hasher() { pool_.join(); }
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  boost::asio::awaitable<Result<bool>> verify(std::string stored, Secret password) {
    return run<bool>(
        [stored = std::move(stored), password = std::move(password)]() -> Result<bool> {
          return crypto::verify_password(stored, password);
        });
  }
  boost::asio::awaitable<Result<std::string>> hash(Secret password) {
    return run<std::string>(
        [password = std::move(password)] { return crypto::hash_password(password); });
  }

 private:
  /// Errors   kResourceExhausted: queue full; else those of `work`.
  template <class T>
  boost::asio::awaitable<Result<T>> run(std::function<Result<T>()> work) {
    if (waiting_.fetch_add(1) >= queue_max_) {
      waiting_.fetch_sub(1);
      co_return fail(Code::kResourceExhausted, "too many logins at once");
    }
    Result<T> result =
        co_await boost::asio::co_spawn(pool_, call<T>(std::move(work)), boost::asio::use_awaitable);
    waiting_.fetch_sub(1);
    co_return result;
  }

  template <class T>
  static boost::asio::awaitable<Result<T>> call(std::function<Result<T>()> work) {
    co_return work();
  }
  const int queue_max_;
  std::atomic<int> waiting_ = 0;
  boost::asio::thread_pool pool_;
};

}  // namespace nb::management::app
