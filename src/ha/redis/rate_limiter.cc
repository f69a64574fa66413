#include "ha/redis/rate_limiter.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <utility>
#include <vector>

namespace nb::ha {
namespace asio = boost::asio;
namespace {

// KEYS bucket; ARGV tokens per second, burst. Time is Redis' own, so clocks of instances do not
// matter.
const redis::Script& bucket_script() {
  static const redis::Script script(R"(
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local stored = redis.call('HMGET', KEYS[1], 't', 'at')
local tokens, at = tonumber(stored[1]), tonumber(stored[2])
if not tokens or not at then
  tokens, at = burst, now
end
tokens = math.min(burst, tokens + math.max(0, now - at) * rate)
local taken = 0
if tokens >= 1 then
  tokens = tokens - 1
  taken = 1
end
redis.call('HSET', KEYS[1], 't', string.format('%.6f', tokens), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil((burst - tokens) / rate * 1000) + 1000))
return taken
)");
  return script;
}

}  // namespace

RedisRateLimiter::RedisRateLimiter(asio::any_io_executor home, redis::Client& client,
                                   std::string prefix, const Clock& clock)
    : home_(std::move(home)), client_(client), prefix_(std::move(prefix)), fallback_(clock) {}

asio::awaitable<bool> RedisRateLimiter::take(std::string key, RateLimit limit) {
  auto work = take_at_home(std::move(key), limit);
  co_return co_await asio::co_spawn(home_, std::move(work), asio::use_awaitable);
}

asio::awaitable<bool> RedisRateLimiter::take_at_home(std::string key, RateLimit limit) {
  std::vector<std::string> keys{prefix_ + key};
  std::vector<std::string> args{fmt::format("{:.9f}", limit.per_second),
                                fmt::format("{:.3f}", limit.burst)};
  const auto reply = co_await client_.eval(bucket_script(), std::move(keys), std::move(args));
  if (!reply) co_return fallback_.take_now(std::move(key), limit);
  const auto taken = reply->as_integer();
  co_return !taken || *taken == 1;
}

}  // namespace nb::ha
