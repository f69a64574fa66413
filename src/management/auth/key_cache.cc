#include "management/auth/key_cache.h"

#include "base/text.h"
#include "net/http_client.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace nb::management::auth {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto kFetchTimeout = 5s;

/// max-age of a Cache-Control header.
std::optional<std::chrono::seconds> max_age_of(std::string_view header) {
  for (const std::string_view directive : split(header, ',')) {
    constexpr std::string_view kName = "max-age=";
    if (!equals_ignore_case(directive.substr(0, kName.size()), kName)) continue;
    const std::string_view digits = directive.substr(kName.size());
    std::int64_t seconds = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
    if (error != std::errc{} || end != digits.data() + digits.size() || seconds < 0) return {};
    return std::chrono::seconds(std::min<std::int64_t>(seconds, 365LL * 24 * 3600));
  }
  return {};
}

asio::awaitable<Result<FetchedKeys>> fetch_once(std::shared_ptr<net::HttpClient> client,
                                                std::string url, Instant deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  net::HttpClientRequest request;
  request.url = std::move(url);
  request.headers = {{"accept", "application/json"}};
  request.timeout = std::clamp<std::chrono::milliseconds>(left, 1ms, kFetchTimeout);
  auto answer = co_await client->send(std::move(request));
  if (!answer) co_return std::move(answer).error();
  if (answer->status != 200)
    co_return fail(Code::kUnavailable, "key set answered {}", answer->status);
  auto keys = crypto::JwkSet::parse(answer->body);
  if (!keys) co_return std::move(keys).error();
  co_return FetchedKeys{*std::move(keys), max_age_of(answer->header("cache-control"))};
}

asio::awaitable<Result<FetchedKeys>> ask_provider(IdentityProvider& provider, Instant deadline) {
  auto set = co_await provider.keys(deadline);
  if (!set) co_return std::move(set).error();
  auto keys = crypto::JwkSet::parse(set->jwks);
  if (!keys) co_return std::move(keys).error();
  co_return FetchedKeys{*std::move(keys), set->valid_for};
}

Error out_of_reach() {
  return fail(Code::kUnavailable, "keys of the identity provider are out of reach");
}

}  // namespace

KeyCache::KeyCache(asio::any_io_executor home, const Clock& clock, FetchKeys fetch,
                   KeyCacheOptions options, Logger log)
    : home_(std::move(home)),
      clock_(clock),
      fetch_(std::move(fetch)),
      options_(options),
      log_(std::move(log)),
      fetched_(home_, Instant::max()) {}

bool KeyCache::fresh(const Entry& entry) const {
  return !options_.refresh || clock_.now() + options_.refresh_before < entry.good_until;
}

asio::awaitable<Result<crypto::PublicJwk>> KeyCache::find(Instant deadline, crypto::Jws jws) {
  EntryPtr known = entry();
  if (!known || !fresh(*known)) {
    // Old keys are better than none: a token that they verify does not wait for a slow provider.
    auto work = refreshed(deadline, Why::kExpired);
    known = co_await asio::co_spawn(home_, std::move(work), asio::use_awaitable);
  }
  if (!known) co_return out_of_reach();
  if (const auto* key = known->keys.find(jws)) co_return *key;
  if (options_.refresh) {
    auto work = refreshed(deadline, Why::kUnknownKey);
    known = co_await asio::co_spawn(home_, std::move(work), asio::use_awaitable);
    if (const auto* key = known->keys.find(jws)) co_return *key;
    // Nobody could look whether there is such a key by now.
    if (failing_.load(std::memory_order_relaxed)) co_return out_of_reach();
  }
  co_return fail(Code::kUnauthenticated, "no key of the identity provider fits the token");
}

KeyCache::EntryPtr KeyCache::entry() const {
  const std::lock_guard lock(mutex_);
  return entry_;
}

asio::awaitable<KeyCache::EntryPtr> KeyCache::refreshed(Instant deadline, Why why) {
  // Others wait for this fetch, so it goes on when the one who began it is gone.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  const Instant now = clock_.now();
  if (fetching_) {
    boost::system::error_code woken;  // the fetch has a deadline of its own
    co_await fetched_.async_wait(asio::redirect_error(asio::use_awaitable, woken));
    co_return entry();
  }
  const EntryPtr known = entry();
  const bool due =
      why == Why::kExpired ? (!known || !fresh(*known)) && now >= next_try_ : now >= next_unknown_;
  if (!due) co_return known;
  if (why == Why::kUnknownKey) next_unknown_ = now + options_.unknown_cooldown;
  co_await fetch_now(std::min(deadline, now + kFetchTimeout));
  co_return entry();
}

asio::awaitable<void> KeyCache::fetch_now(Instant deadline) {
  fetching_ = true;
  fetches_.fetch_add(1, std::memory_order_relaxed);
  auto fetched = co_await fetch_(deadline);
  fetching_ = false;
  failing_.store(!fetched.has_value(), std::memory_order_relaxed);
  const Instant now = clock_.now();
  if (fetched) {
    const auto age = std::clamp(fetched->max_age.value_or(options_.validity_min),
                                options_.validity_min, options_.validity_max);
    auto next = std::make_shared<const Entry>(Entry{std::move(fetched->keys), now + age});
    const std::lock_guard lock(mutex_);
    entry_ = std::move(next);
    next_try_ = now;
  } else {
    next_try_ = now + options_.retry_after_failure;
    // Who waits for a new key is not to wait for the pause that forged ones cause.
    next_unknown_ = std::min(next_unknown_, next_try_);
    log_.warn("keys of the identity provider could not be loaded; known keys stay in use",
              {log::f("error", fetched.error().text)});
  }
  fetched_.cancel();
}

FetchKeys fetch_from(IdentityProvider& provider) {
  return [&provider](Instant deadline) { return ask_provider(provider, deadline); };
}

FetchKeys fetch_over_http(std::shared_ptr<net::HttpClient> client, std::string url) {
  return [client = std::move(client), url = std::move(url)](Instant deadline) {
    return fetch_once(client, url, deadline);
  };
}

}  // namespace nb::management::auth
