// Redis with binary-safe arguments, for tests that play an outsider.
#pragma once

#include <hiredis/hiredis.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace nb::test {

class RawRedis {
 public:
  explicit RawRedis(std::uint16_t port) : context_(redisConnect("127.0.0.1", port), &redisFree) {}
  /// Receivers of the message; -1 on errors.
  long long publish(const std::string& channel, const std::string& payload) {
    const std::unique_ptr<redisReply, void (*)(void*)> reply(
        static_cast<redisReply*>(redisCommand(context_.get(), "PUBLISH %b %b", channel.data(),
                                              channel.size(), payload.data(), payload.size())),
        &freeReplyObject);
    return reply && reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;
  }

 private:
  std::unique_ptr<redisContext, void (*)(redisContext*)> context_;
};

}  // namespace nb::test
