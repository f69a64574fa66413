// The board in Redis: the keys of RedisMemberStore, and nb:<service>:drain:<id> (an incarnation).
#pragma once

#include "ha/instance_board.h"
#include "redis/client.h"

#include <string>

namespace nb::ha {

class RedisInstanceBoard final : public InstanceBoard {
 public:
  RedisInstanceBoard(redis::Client& client, std::string_view service);
  boost::asio::awaitable<Result<std::vector<BoardEntry>>> list() override;
  boost::asio::awaitable<Result<>> order_drain(InstanceId id, Incarnation incarnation) override;
  boost::asio::awaitable<Result<bool>> drain_ordered(InstanceId id,
                                                     Incarnation incarnation) override;

 private:
  redis::Client& client_;
  const std::string prefix_;
};

}  // namespace nb::ha
