#include "ha/redis/adapters.h"

#include <set>
#include <string_view>
#include <utility>

namespace nb::ha {
namespace asio = boost::asio;

namespace {

// KEYS alive, instances, info; ARGV id, nonce, ttl ms, metadata, 1 to only watch.
// A key that an outsider made something else of goes; each beat writes it again.
const redis::Script& beat_script() {
  static const redis::Script script(R"(
for i, wanted in ipairs({'string', 'zset', 'hash'}) do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= wanted and kind ~= 'none' then redis.call('DEL', KEYS[i]) end
end
local previous = redis.call('GET', KEYS[1])
if ARGV[5] ~= '1' then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
  redis.call('HSET', KEYS[3], ARGV[1], ARGV[4])
  local old = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - 3600000, 'LIMIT', 0, 100)
  for _, id in ipairs(old) do
    redis.call('ZREM', KEYS[2], id)
    redis.call('HDEL', KEYS[3], id)
  end
end
return {previous, redis.call('ZREVRANGE', KEYS[2], 0, 999)}
)");
  return script;
}

// KEYS alive, instances, info; ARGV id, nonce.
const redis::Script& leave_script() {
  static const redis::Script script(R"(
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
return 1
)");
  return script;
}

}  // namespace

RedisMemberStore::RedisMemberStore(redis::Client& client, std::string service)
    : client_(client),
      alive_("nb:" + service + ":alive:"),
      instances_("nb:" + service + ":instances"),
      info_(instances_ + ":info") {}

asio::awaitable<Result<BeatReply>> RedisMemberStore::beat(BeatRequest request) {
  std::vector<std::string> keys{alive_ + request.self.value(), instances_, info_};
  std::vector<std::string> args{request.self.value(), request.incarnation.value(),
                                std::to_string(request.ttl.count()), request.metadata,
                                request.watch ? "1" : "0"};
  NB_CO_LET(auto first, co_await client_.eval(beat_script(), std::move(keys), std::move(args)));
  NB_CO_LET(auto parts, std::move(first).as_array());
  if (parts.size() != 2) co_return fail(Code::kInternal, "heartbeat: {} parts", parts.size());
  BeatReply reply;
  NB_CO_LET(reply.previous, std::move(parts[0]).as_optional());
  NB_CO_LET(auto listed_texts, std::move(parts[1]).as_texts());

  std::set<std::string> listed;
  for (auto& id : listed_texts) {
    if (id && !id->empty() && id->size() <= 128) listed.insert(*std::move(id));
  }
  std::set<std::string> ids = listed;
  for (const auto& known : request.known) ids.insert(known.value());
  redis::Batch batch;
  for (const auto& id : ids) {
    batch.add("GET", alive_ + id).add("PTTL", alive_ + id).add("HGET", info_, id);
  }
  if (ids.empty()) co_return reply;
  NB_CO_LET(auto answers, co_await client_.run(std::move(batch)));
  std::size_t at = 0;
  for (const auto& id : ids) {
    SeenMember seen{InstanceId{id}, listed.contains(id), {}, {}, {}};
    // A key of another type is an outsider's; it reads as absent.
    if (auto nonce = std::move(answers[at]).as_optional()) seen.nonce = *std::move(nonce);
    if (const auto left = answers[at + 1].as_integer()) {
      seen.remaining = std::chrono::milliseconds(*left);
      // Gone between the two commands, or without expiry, which no instance writes.
      if (*left < 0) seen.nonce.reset();
    }
    if (auto info = std::move(answers[at + 2]).as_optional()) {
      if (*info) seen.metadata = **std::move(info);
    }
    at += 3;
    reply.members.push_back(std::move(seen));
  }
  co_return reply;
}

asio::awaitable<Result<>> RedisMemberStore::leave(InstanceId self, Incarnation incarnation) {
  std::vector<std::string> keys{alive_ + self.value(), instances_, info_};
  std::vector<std::string> args{self.value(), incarnation.value()};
  NB_CO_TRY(co_await client_.eval(leave_script(), std::move(keys), std::move(args)));
  co_return Result<>{};
}

}  // namespace nb::ha
