#include "ha/redis/instance_board.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace nb::ha {

namespace asio = boost::asio;

namespace {

/// An order outlives every pause of the instance that it is for.
constexpr std::int64_t kOrderMs = 24 * 3'600'000;

/// A key of another type is an outsider's; it reads as absent.
std::optional<std::string> text_of(redis::Reply& reply) {
  auto text = std::move(reply).as_optional();
  return text ? *std::move(text) : std::nullopt;
}

}  // namespace

RedisInstanceBoard::RedisInstanceBoard(redis::Client& client, std::string_view service)
    : client_(client), prefix_(fmt::format("nb:{}:", service)) {}

asio::awaitable<Result<std::vector<BoardEntry>>> RedisInstanceBoard::list() {
  const std::string listed = prefix_ + "instances";
  const std::string info = listed + ":info";
  NB_CO_LET(const auto kind, co_await client_.command("TYPE", listed));
  NB_CO_LET(const auto kind_name, kind.as_text());
  std::vector<std::string> ids;
  if (kind_name == "zset") {
    NB_CO_LET(auto answer, co_await client_.command("ZREVRANGE", listed, 0, 999));
    NB_CO_LET(auto texts, std::move(answer).as_texts());
    for (auto& text : texts)
      if (text && !text->empty() && text->size() <= 128) ids.push_back(*std::move(text));
  }
  std::sort(ids.begin(), ids.end());
  std::vector<BoardEntry> out;
  if (ids.empty()) co_return out;
  redis::Batch batch;
  for (const std::string& id : ids) {
    const std::string alive = prefix_ + "alive:" + id;
    batch.add("GET", alive).add("PTTL", alive).add("HGET", info, id);
    batch.add("GET", prefix_ + "drain:" + id);
  }
  NB_CO_LET(auto replies, co_await client_.run(std::move(batch)));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    BoardEntry entry;
    entry.id = InstanceId(ids[i]);
    const auto nonce = text_of(replies[4 * i]);
    const auto left = replies[4 * i + 1].as_integer();
    if (const auto facts = text_of(replies[4 * i + 2])) entry.facts = parse_facts(*facts);
    const auto ordered = text_of(replies[4 * i + 3]);
    // Without expiry no instance wrote it.
    if (nonce && left && *left > 0) {
      entry.alive = true;
      entry.left = std::chrono::milliseconds(*left);
      entry.incarnation = Incarnation(*nonce);
      entry.drain_ordered = ordered == nonce;
    }
    out.push_back(std::move(entry));
  }
  co_return out;
}

asio::awaitable<Result<>> RedisInstanceBoard::order_drain(InstanceId id, Incarnation incarnation) {
  const std::string key = prefix_ + "drain:" + id.value();
  NB_CO_TRY(co_await client_.command("SET", key, incarnation.value(), "PX", kOrderMs));
  co_return Result<>{};
}

asio::awaitable<Result<bool>> RedisInstanceBoard::drain_ordered(InstanceId id,
                                                                Incarnation incarnation) {
  const std::string key = prefix_ + "drain:" + id.value();
  NB_CO_LET(auto reply, co_await client_.command("GET", key));
  NB_CO_LET(const auto wanted, std::move(reply).as_optional());
  co_return wanted == incarnation.value();
}

}  // namespace nb::ha
