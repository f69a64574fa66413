#include "ha/redis/adapters.h"

#include <utility>

namespace nb::ha {
namespace asio = boost::asio;

namespace {

// KEYS lock, fence; ARGV token, ttl ms. As SET NX PX, with a fence that starts from Redis' clock so
// that it also grows over data loss (lease_holder.cc, LeaseTable::take).
const redis::Script& take_script() {
  static const redis::Script script(R"(
local left = redis.call('PTTL', KEYS[1])
if left ~= -2 then return {0, left} end
local time = redis.call('TIME')
local fence = math.max(time[1] * 1000000 + time[2], (tonumber(redis.call('GET', KEYS[2]) or 0) or 0) + 1)
fence = string.format('%.0f', fence)
redis.call('SET', KEYS[2], fence, 'PX', 86400000)
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {1, fence}
)");
  return script;
}

// KEYS lock; ARGV token, ttl ms or '' to release. pcall: an outsider's lock may be of any type.
const redis::Script& owned_script() {
  static const redis::Script script(R"(
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
)");
  return script;
}

}  // namespace

RedisLeaseStore::RedisLeaseStore(redis::Client& client, std::string prefix,
                                 std::string fence_prefix)
    : client_(client), prefix_(std::move(prefix)), fence_prefix_(std::move(fence_prefix)) {}

asio::awaitable<Result<LeaseReply>> RedisLeaseStore::take(std::string resource, std::string token,
                                                          std::chrono::milliseconds ttl) {
  std::vector<std::string> keys{prefix_ + resource, fence_prefix_ + resource};
  std::vector<std::string> args{std::move(token), std::to_string(ttl.count())};
  NB_CO_LET(auto reply, co_await client_.eval(take_script(), std::move(keys), std::move(args)));
  NB_CO_LET(const auto parts, std::move(reply).as_array());
  if (parts.size() != 2) co_return fail(Code::kInternal, "lease: malformed answer");
  NB_CO_LET(const auto granted, parts[0].as_integer());
  NB_CO_LET(const auto number, parts[1].as_integer());
  if (granted == 1) co_return LeaseReply{true, static_cast<std::uint64_t>(number), {}};
  // -1: an outsider's lock without expiry.
  co_return LeaseReply{false, 0, number < 0 ? ttl : std::chrono::milliseconds(number)};
}

asio::awaitable<Result<bool>> RedisLeaseStore::renew(std::string resource, std::string token,
                                                     std::chrono::milliseconds ttl) {
  std::vector<std::string> keys{prefix_ + resource};
  std::vector<std::string> args{std::move(token), std::to_string(ttl.count())};
  NB_CO_LET(auto reply, co_await client_.eval(owned_script(), std::move(keys), std::move(args)));
  NB_CO_LET(const auto done, reply.as_integer());
  co_return done == 1;
}

asio::awaitable<Result<bool>> RedisLeaseStore::release(std::string resource, std::string token) {
  std::vector<std::string> keys{prefix_ + resource};
  std::vector<std::string> args{std::move(token), ""};
  NB_CO_LET(auto reply, co_await client_.eval(owned_script(), std::move(keys), std::move(args)));
  NB_CO_LET(const auto done, reply.as_integer());
  co_return done == 1;
}

}  // namespace nb::ha
