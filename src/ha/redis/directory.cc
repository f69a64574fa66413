#include "ha/directory_table.h"
#include "ha/redis/adapters.h"

#include <array>
#include <string_view>
#include <utility>

namespace nb::ha {
namespace asio = boost::asio;

namespace {

constexpr std::size_t kChunk = 1000;

// The rules of directory_table.cc in Lua; a property test compares the two.
// KEYS registry, epoch; ARGV peer, ttl ms, instance, …
// A key that an outsider made something else of goes: it is ours, and our peers are the truth.
constexpr std::string_view kPrelude = R"(
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', key) end
end
local peer, ttl, instance = ARGV[1], ARGV[2], ARGV[3]
local field = redis.call('HGET', KEYS[1], peer)
local epoch = redis.call('HGET', KEYS[2], peer)
local seq_end = 9007199254740992
-- instance and seq of a token, nil when it is none
local function parse(text)
  if not text then return nil end
  local owner, boot, digits = string.match(text, '^([!-~]+)/([!-.0-~]+)/(%d+)$')
  if not owner or #owner > 128 or #boot > 128 or #digits > 16 then return nil end
  if #digits > 1 and string.sub(digits, 1, 1) == '0' then return nil end
  local seq = tonumber(digits)
  if seq >= seq_end then return nil end
  return owner, seq
end
local function set(token)
  redis.call('HSET', KEYS[1], peer, instance)
  redis.call('HSET', KEYS[2], peer, token)
end
local function expire()
  redis.call('PEXPIRE', KEYS[1], ttl)
  redis.call('PEXPIRE', KEYS[2], ttl)
end
)";

redis::Script with_prelude(std::string_view body) {
  return redis::Script(std::string(kPrelude).append(body));
}

// ARGV[4] boot, ARGV[5] proposed seq. Returns seq, and the fields before.
const redis::Script& claim_script() {
  static const redis::Script script = with_prelude(R"(
local seq = tonumber(ARGV[5])
local _, before = parse(epoch)
if before and before + 1 < seq_end and before + 1 > seq then seq = before + 1 end
local text = string.format('%.0f', seq)
set(instance .. '/' .. ARGV[4] .. '/' .. text)
expire()
return {text, field, epoch}
)");
  return script;
}

// ARGV[4] boot, ARGV[5] seq. Returns 0 kept, 1 restored, 2 lost, and the fields before.
const redis::Script& reassert_script() {
  static const redis::Script script = with_prelude(R"(
local token = instance .. '/' .. ARGV[4] .. '/' .. ARGV[5]
if epoch == token then
  local kept = field == instance
  if not kept then set(token) end
  expire()
  return {kept and 0 or 1, false, false}
end
local owner, seq = parse(epoch)
if seq and seq >= tonumber(ARGV[5]) then return {2, field, epoch} end
if field and field ~= instance and owner ~= field then return {2, field, epoch} end
set(token)
expire()
return {1, false, false}
)");
  return script;
}

// ARGV[4] token or '', ARGV[5] '1' for release: without any token stored, the field decides.
const redis::Script& remove_script() {
  static const redis::Script script = with_prelude(R"(
local token = ARGV[4]
if ARGV[5] == '1' and not epoch then token = '' end
if token ~= '' then
  if epoch ~= token then return 0 end
  redis.call('HDEL', KEYS[2], peer)
else
  if field ~= instance then return 0 end
  local owner = parse(epoch)
  if owner == instance then return 0 end
  if epoch and not owner then redis.call('HDEL', KEYS[2], peer) end
end
if field == instance then redis.call('HDEL', KEYS[1], peer) end
return 1
)");
  return script;
}

// What an outsider made something else of holds no entries; the next script deletes it.
bool wrong_type(const redis::Reply& reply) {
  return reply.error_word() == "WRONGTYPE";
}

}  // namespace

RedisDirectory::RedisDirectory(redis::Client& client, DirectoryConfig config)
    : client_(client),
      registry_(config.registry_key),
      epoch_(config.registry_key + ":epoch"),
      ttl_(std::to_string(config.peer_ttl.count() * 10)) {}

asio::awaitable<Result<Claimed>> RedisDirectory::claim(PeerKey peer, Claim claim) {
  std::vector<std::string> keys{registry_, epoch_};
  std::vector<std::string> args{peer.value(), ttl_, claim.instance.value(),
                                claim.incarnation.value(), std::to_string(claim.seq)};
  NB_CO_LET(auto reply, co_await client_.eval(claim_script(), std::move(keys), std::move(args)));
  NB_CO_LET(auto parts, std::move(reply).as_texts());
  if (parts.size() != 3 || !parts[0]) co_return fail(Code::kInternal, "claim: malformed answer");
  Claimed claimed;
  claimed.claim = std::move(claim);
  claimed.claim.seq = std::stoull(*parts[0]);
  if (parts[1]) claimed.previous = make_holder(*parts[1], parts[2] ? &*parts[2] : nullptr);
  co_return claimed;
}

asio::awaitable<Result<std::size_t>> RedisDirectory::remove(std::vector<Removal> removals) {
  std::size_t removed = 0;
  for (std::size_t from = 0; from < removals.size(); from += kChunk) {
    const std::size_t to = std::min(removals.size(), from + kChunk);
    redis::Batch batch;
    for (std::size_t i = from; i < to; ++i) {
      const Removal& r = removals[i];
      batch.eval(remove_script(), {registry_, epoch_},
                 {r.peer.value(), ttl_, r.instance.value(), r.token, r.release ? "1" : "0"});
    }
    NB_CO_LET(const auto replies, co_await client_.run(std::move(batch)));
    for (const auto& reply : replies) {
      NB_CO_LET(const auto one, reply.as_integer());
      removed += static_cast<std::size_t>(one);
    }
  }
  co_return removed;
}

asio::awaitable<Result<bool>> RedisDirectory::release(PeerKey peer, Claim claim) {
  std::vector<Removal> one;
  one.push_back({std::move(peer), claim.instance, token(claim), true});
  NB_CO_LET(const auto count, co_await remove(std::move(one)));
  co_return count == 1;
}

asio::awaitable<Result<std::size_t>> RedisDirectory::release_all(std::vector<PeerClaim> claims) {
  std::vector<Removal> all;
  for (auto& [peer, claim] : claims) {
    all.push_back({std::move(peer), claim.instance, token(claim), true});
  }
  return remove(std::move(all));
}

asio::awaitable<Result<bool>> RedisDirectory::forget(PeerKey peer, Holder seen) {
  std::vector<Removal> one;
  one.push_back({std::move(peer), seen.instance, seen.claim ? token(*seen.claim) : "", false});
  NB_CO_LET(const auto count, co_await remove(std::move(one)));
  co_return count == 1;
}

asio::awaitable<Result<std::size_t>> RedisDirectory::forget_all(std::vector<PeerHolder> seen) {
  std::vector<Removal> all;
  for (auto& [peer, holder] : seen) {
    all.push_back(
        {std::move(peer), holder.instance, holder.claim ? token(*holder.claim) : "", false});
  }
  return remove(std::move(all));
}

asio::awaitable<Result<std::optional<Holder>>> RedisDirectory::find(PeerKey peer) {
  redis::Batch batch;
  batch.add("HGET", registry_, peer.value()).add("HGET", epoch_, peer.value());
  NB_CO_LET(auto replies, co_await client_.run(std::move(batch)));
  if (wrong_type(replies[0])) co_return std::optional<Holder>{};
  NB_CO_LET(const auto field, std::move(replies[0]).as_optional());
  std::optional<std::string> epoch;
  if (!wrong_type(replies[1])) {
    NB_CO_LET(epoch, std::move(replies[1]).as_optional());
  }
  if (!field) co_return std::optional<Holder>{};
  co_return std::optional<Holder>(make_holder(*field, epoch ? &*epoch : nullptr));
}

asio::awaitable<Result<std::vector<Reasserted>>> RedisDirectory::reassert(
    std::vector<PeerClaim> claims) {
  std::vector<Reasserted> all;
  all.reserve(claims.size());
  for (std::size_t from = 0; from < claims.size(); from += kChunk) {
    const std::size_t to = std::min(claims.size(), from + kChunk);
    redis::Batch batch;
    for (std::size_t i = from; i < to; ++i) {
      const auto& [peer, claim] = claims[i];
      batch.eval(reassert_script(), {registry_, epoch_},
                 {peer.value(), ttl_, claim.instance.value(), claim.incarnation.value(),
                  std::to_string(claim.seq)});
    }
    NB_CO_LET(auto replies, co_await client_.run(std::move(batch)));
    for (std::size_t i = from; i < to; ++i) {
      NB_CO_LET(auto parts, std::move(replies[i - from]).as_array());
      if (parts.size() != 3) co_return fail(Code::kInternal, "reassert: malformed answer");
      NB_CO_LET(const auto state, parts[0].as_integer());
      NB_CO_LET(const auto field, std::move(parts[1]).as_optional());
      NB_CO_LET(const auto epoch, std::move(parts[2]).as_optional());
      Reasserted one{state == 0 ? Kept::kKept : state == 1 ? Kept::kRestored : Kept::kLost, {}};
      if (one.kept == Kept::kLost) {
        const auto stored = epoch ? parse_token(*epoch) : std::nullopt;
        if (stored && stored->seq >= claims[i].claim.seq) {
          one.holder = Holder{stored->instance, stored};
        } else if (field) {
          one.holder = Holder{InstanceId{*field}, std::nullopt};
        }
      }
      all.push_back(std::move(one));
    }
  }
  co_return all;
}

asio::awaitable<Result<DirectoryPage>> RedisDirectory::scan(std::string cursor, std::size_t limit) {
  const std::string from = cursor.empty() ? "0" : cursor;
  redis::Batch ask;  // not command(): an error reply has to be seen as one
  ask.add("HSCAN", registry_, from, "COUNT", limit);
  NB_CO_LET(auto replies, co_await client_.run(std::move(ask)));
  if (wrong_type(replies[0])) co_return DirectoryPage{};
  NB_CO_LET(auto parts, std::move(replies[0]).as_array());
  if (parts.size() != 2) co_return fail(Code::kInternal, "HSCAN: malformed answer");
  DirectoryPage page;
  NB_CO_LET(page.next, std::move(parts[0]).as_text());
  if (page.next == "0") page.next.clear();
  NB_CO_LET(auto pairs, std::move(parts[1]).as_texts());
  if (pairs.empty()) co_return page;
  std::vector<std::string> words{"HMGET", epoch_};
  for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) words.push_back(pairs[i].value_or(""));
  redis::Batch ask_epochs;
  ask_epochs.add_args(words);
  NB_CO_LET(auto epoch_replies, co_await client_.run(std::move(ask_epochs)));
  std::vector<std::optional<std::string>> epochs(pairs.size() / 2);
  if (!wrong_type(epoch_replies[0])) {
    NB_CO_LET(epochs, std::move(epoch_replies[0]).as_texts());
  }
  for (std::size_t i = 0; i + 1 < pairs.size() && i / 2 < epochs.size(); i += 2) {
    const auto& epoch = epochs[i / 2];
    page.entries.push_back({PeerKey{pairs[i].value_or("")},
                            make_holder(pairs[i + 1].value_or(""), epoch ? &*epoch : nullptr)});
  }
  co_return page;
}

asio::awaitable<Result<std::size_t>> RedisDirectory::count() {
  redis::Batch ask;
  ask.add("HLEN", registry_);
  NB_CO_LET(const auto replies, co_await client_.run(std::move(ask)));
  if (wrong_type(replies[0])) co_return std::size_t{0};
  NB_CO_LET(const auto count, replies[0].as_integer());
  co_return static_cast<std::size_t>(count);
}

}  // namespace nb::ha
