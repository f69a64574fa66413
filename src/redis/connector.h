// From options to a greeted connection: Sentinel look-up, dial, AUTH, SELECT. Internal.
#pragma once

#include "redis/command.h"
#include "redis/options.h"
#include "redis/reply.h"
#include "redis/stream.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace nb::redis {

struct Session {
  std::shared_ptr<Stream> stream;
  std::shared_ptr<ReplyReader> reader;
  std::string endpoint;
};

/// Lives on home; must outlive its coroutines.
class Connector {
 public:
  Connector(boost::asio::any_io_executor home, std::shared_ptr<const Options> options);

  /// To the server, or to the master the Sentinels name.
  /// Errors   kUnavailable; kPermissionDenied: user or password; kFailedPrecondition: files.
  boost::asio::awaitable<Result<Session>> connect();
  /// To the first Sentinel that answers, subscribed to +switch-master.
  boost::asio::awaitable<Result<Session>> watch_sentinel();
  /// Ends what is under way, with kUnavailable.
  void cancel();

 private:
  using Check = std::function<Result<>(const std::vector<Reply>&)>;
  boost::asio::awaitable<Result<Session>> open(Address address, std::chrono::milliseconds limit,
                                               Batch greeting, Check check);
  boost::asio::awaitable<Result<Address>> ask_sentinels();
  boost::asio::awaitable<Result<Session>> open_sentinel(Batch question, Check check);
  Result<Secret> password() const;

  boost::asio::any_io_executor home_;
  std::shared_ptr<const Options> options_;
  std::vector<Address> sentinels_;  // the one that answered last stands first
  std::shared_ptr<DialControl> control_;
};

/// Reads until `count` replies are there.
boost::asio::awaitable<Result<std::vector<Reply>>> read_replies(Session session, std::size_t count);

}  // namespace nb::redis
