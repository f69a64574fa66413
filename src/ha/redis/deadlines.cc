#include "ha/deadline_table.h"
#include "ha/redis/adapters.h"

#include <charconv>
#include <utility>

namespace nb::ha {
namespace asio = boost::asio;

namespace {

constexpr std::size_t kChunk = 1000;

// KEYS zset; ARGV limit, lease ms. Returns the end of the lease, then the ids.
const redis::Script& claim_script() {
  static const redis::Script script(R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
local lease_until = string.format('%.0f', now + ARGV[2])
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], lease_until, id) end
table.insert(ids, 1, lease_until)
return ids
)");
  return script;
}

// KEYS zset; ARGV id, end of lease, 1 to give back.
const redis::Script& settle_script() {
  static const redis::Script script(R"(
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
if ARGV[3] ~= '1' then return redis.call('ZREM', KEYS[1], ARGV[1]) end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
return 1
)");
  return script;
}

asio::awaitable<Result<bool>> settle(redis::Client& client, std::string key, DueItem item,
                                     bool give_back) {
  std::vector<std::string> keys{std::move(key)};
  std::vector<std::string> args{std::move(item.id), std::to_string(item.lease_until),
                                give_back ? "1" : "0"};
  NB_CO_LET(const auto reply,
            co_await client.eval(settle_script(), std::move(keys), std::move(args)));
  NB_CO_LET(const auto done, reply.as_integer());
  co_return done == 1;
}

/// Runs one command per chunk of arguments and adds up what each returns.
asio::awaitable<Result<std::size_t>> sum(redis::Client& client, std::vector<std::string> head,
                                         std::vector<std::string> tail) {
  std::size_t total = 0;
  for (std::size_t from = 0; from < tail.size(); from += 2 * kChunk) {
    std::vector<std::string> words = head;
    const std::size_t to = std::min(tail.size(), from + 2 * kChunk);
    for (std::size_t i = from; i < to; ++i) words.push_back(std::move(tail[i]));
    NB_CO_LET(const auto reply, co_await client.command_args(words));
    NB_CO_LET(const auto count, reply.as_integer());
    total += static_cast<std::size_t>(count);
  }
  co_return total;
}

}  // namespace

RedisDeadlines::RedisDeadlines(redis::Client& client, std::string key)
    : client_(client), key_(std::move(key)) {}

asio::awaitable<Result<std::size_t>> RedisDeadlines::add(std::vector<Deadline> items,
                                                         AddMode mode) {
  NB_CO_TRY(check(items));
  std::vector<std::string> head{"ZADD", key_};
  if (mode == AddMode::kIfAbsent) head.emplace_back("NX");
  std::vector<std::string> tail;
  for (auto& item : items) {
    tail.push_back(std::to_string(item.due));
    tail.push_back(std::move(item.id));
  }
  co_return co_await sum(client_, std::move(head), std::move(tail));
}

asio::awaitable<Result<std::size_t>> RedisDeadlines::remove(std::vector<std::string> ids) {
  std::vector<std::string> head{"ZREM", key_};
  co_return co_await sum(client_, std::move(head), std::move(ids));
}

asio::awaitable<Result<std::vector<DueItem>>> RedisDeadlines::claim_due(
    std::size_t limit, std::chrono::milliseconds lease) {
  NB_CO_TRY(check_claim(limit, lease));
  std::vector<std::string> keys{key_};
  std::vector<std::string> args{std::to_string(limit), std::to_string(lease.count())};
  NB_CO_LET(auto reply, co_await client_.eval(claim_script(), std::move(keys), std::move(args)));
  NB_CO_LET(auto parts, std::move(reply).as_array());
  if (parts.empty()) co_return fail(Code::kInternal, "deadlines: malformed answer");
  NB_CO_LET(const DueMs lease_until, parts[0].as_integer());
  std::vector<DueItem> items;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    NB_CO_LET(auto id, std::move(parts[i]).as_text());
    items.push_back({std::move(id), lease_until});
  }
  co_return items;
}

asio::awaitable<Result<bool>> RedisDeadlines::ack(DueItem item) {
  return settle(client_, key_, std::move(item), false);
}

asio::awaitable<Result<bool>> RedisDeadlines::give_back(DueItem item) {
  return settle(client_, key_, std::move(item), true);
}

asio::awaitable<Result<std::optional<DueMs>>> RedisDeadlines::next() {
  NB_CO_LET(auto reply, co_await client_.command("ZRANGE", key_, "0", "0", "WITHSCORES"));
  NB_CO_LET(const auto texts, std::move(reply).as_texts());
  if (texts.size() != 2 || !texts[1]) co_return std::optional<DueMs>{};
  // A score is text of a double; outsiders may have written fractions.
  double score = 0;
  const std::string& text = *texts[1];
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), score);
  if (error != std::errc{} || !(score > -9e15 && score < 9e15)) co_return std::optional<DueMs>{0};
  co_return std::optional<DueMs>{static_cast<DueMs>(score)};
}

asio::awaitable<Result<std::size_t>> RedisDeadlines::count() {
  NB_CO_LET(const auto reply, co_await client_.command("ZCARD", key_));
  NB_CO_LET(const auto count, reply.as_integer());
  co_return static_cast<std::size_t>(count);
}

}  // namespace nb::ha
