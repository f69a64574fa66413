#include "ha/redis/adapters.h"

#include <fmt/format.h>

#include <utility>

namespace nb::ha {
namespace asio = boost::asio;

namespace {

// The rules of login_rules.cc in Lua; a property test compares the two. Hashes are 64 bits wide
// and stay text: a Lua number would lose bits.
// KEYS hash; ARGV peer, hash hex, now ms or '', 1 to add, reconnects max, window, ban, level max,
// calm, meta changes max, meta window.
const redis::Script& filter_script() {
  static const redis::Script script(R"(
local peer, hash, add = ARGV[1], ARGV[2], ARGV[4] == '1'
local now = tonumber(ARGV[3])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local reconnects_max, window, ban, level_max = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local calm, changes_max, meta_window = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])

local function parse(text)
  if not text then return nil end
  local h, last, until_, level, start, changes, list =
    string.match(text, '^1|(%x+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|([%d,]*)$')
  if not h then return nil end
  local s = {hash = h, last = tonumber(last), until_ = tonumber(until_), level = tonumber(level),
             start = tonumber(start), changes = tonumber(changes), attempts = {}}
  for at in string.gmatch(list, '%d+') do s.attempts[#s.attempts + 1] = tonumber(at) end
  return s
end
local function text(number) return string.format('%.0f', number) end
local function encode(s)
  local list = {}
  for i, at in ipairs(s.attempts) do list[i] = text(at) end
  return table.concat({'1', s.hash, text(s.last), text(s.until_), text(s.level), text(s.start),
                       text(s.changes), table.concat(list, ',')}, '|')
end

local s = parse(redis.call('HGET', KEYS[1], peer))
if s then
  if now < s.until_ then return {1, s.until_ - now} end
  if hash ~= s.hash and now < s.start + meta_window and s.changes >= changes_max then
    return {2, s.start + meta_window - now}
  end
end
if not add then return {0, 0} end

if not s then
  s = {hash = hash, last = now, until_ = 0, level = 0, start = now, changes = 1, attempts = {now}}
else
  if now - math.max(s.last, s.until_) > calm then s.level = 0 end
  s.last = now
  if hash ~= s.hash then
    if now < s.start + meta_window then
      s.changes = s.changes + 1
    else
      s.start = now
      s.changes = 1
    end
    s.hash = hash
    s.attempts = {}
  end
  local kept = {}
  for _, at in ipairs(s.attempts) do
    if at > now - window then kept[#kept + 1] = at end
  end
  kept[#kept + 1] = now
  s.attempts = kept
  if #kept > reconnects_max then
    s.level = math.min(s.level + 1, level_max)
    s.until_ = now + ban * 2 ^ (s.level - 1)
    s.attempts = {}
  end
end
redis.call('HSET', KEYS[1], peer, encode(s))
redis.call('PEXPIRE', KEYS[1], text(2 * (ban * 2 ^ (level_max - 1) + calm)))
local idle = math.max(calm, window, meta_window)
for _, other in ipairs(redis.call('HRANDFIELD', KEYS[1], 2)) do
  local o = parse(redis.call('HGET', KEYS[1], other))
  if not o or now - math.max(o.last, o.until_) > idle then redis.call('HDEL', KEYS[1], other) end
end
return {0, 0}
)");
  return script;
}

}  // namespace

RedisLoginFilter::RedisLoginFilter(redis::Client& client, std::string key, LoginFilterConfig config,
                                   std::function<void(const Error&)> on_error)
    : client_(client), key_(std::move(key)), config_(config), on_error_(std::move(on_error)) {}

asio::awaitable<LoginVerdict> RedisLoginFilter::run(LoginAttempt attempt, bool add) {
  std::vector<std::string> keys{key_};
  std::vector<std::string> args{attempt.peer, fmt::format("{:x}", attempt.meta_hash),
                                now_ ? std::to_string(now_()) : "", add ? "1" : "0"};
  for (const std::int64_t number :
       {std::int64_t{config_.reconnects_max}, config_.window.count(), config_.ban.count(),
        std::int64_t{config_.ban_level_max}, config_.calm.count(),
        std::int64_t{config_.meta_changes_max}, config_.meta_window.count()}) {
    args.push_back(std::to_string(number));
  }
  const auto reply = co_await client_.eval(filter_script(), std::move(keys), std::move(args));
  // contract/management-grpc.md §8.3, §11 row 9: never deny peers because Redis is away.
  const auto let_through = [this](const Error& why) {
    if (on_error_) on_error_(why);
    return LoginVerdict{};
  };
  if (!reply) co_return let_through(reply.error());
  if (reply->items.size() != 2) {
    co_return let_through(fail(Code::kInternal, "login filter: malformed answer"));
  }
  const auto kind = reply->items[0].as_integer();
  const auto retry = reply->items[1].as_integer();
  if (!kind || !retry) co_return let_through(fail(Code::kInternal, "login filter: not numbers"));
  using Kind = LoginVerdict::Kind;
  co_return LoginVerdict{*kind == 0   ? Kind::kAllowed
                         : *kind == 1 ? Kind::kBanned
                                      : Kind::kMetaFlap,
                         std::chrono::milliseconds(*retry)};
}

asio::awaitable<LoginVerdict> RedisLoginFilter::check(LoginAttempt attempt) {
  return run(std::move(attempt), false);
}

asio::awaitable<LoginVerdict> RedisLoginFilter::check_and_add(LoginAttempt attempt) {
  return run(std::move(attempt), true);
}

}  // namespace nb::ha
