// The identity provider's public keys, kept as long as they are good.
// Source   contract/auth-idp.md §2.3.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "crypto/jose.h"
#include "management/app/identity_provider.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

namespace nb::net {
class HttpClient;
}

namespace nb::management::auth {

struct FetchedKeys {
  crypto::JwkSet keys;
  std::optional<std::chrono::seconds> max_age;
};
/// Asks the provider, over HTTP or in the same process.
using FetchKeys = std::function<boost::asio::awaitable<Result<FetchedKeys>>(Instant deadline)>;

struct KeyCacheOptions {
  std::chrono::seconds validity_min{std::chrono::minutes(5)};
  std::chrono::seconds validity_max{std::chrono::hours(24)};
  std::chrono::seconds refresh_before{5};
  /// Unknown key ids, which anybody can send, cause at most one refresh per this time.
  std::chrono::seconds unknown_cooldown{30};
  std::chrono::seconds retry_after_failure{5};
  /// Off: keys are loaded once; only a failed first load is repeated.
  bool refresh = true;
};

/// One refresh runs at a time and everybody waits for that one; what is valid is read without a
/// lock. When a refresh fails the old keys stay.
/// Threads  find() on any executor; the rest on `home`.
class KeyCache {
 public:
  KeyCache(boost::asio::any_io_executor home, const Clock& clock, FetchKeys fetch,
           KeyCacheOptions options, Logger log);

  /// The key that `jws` names.
  /// Errors   kUnauthenticated: no such key; kUnavailable: none could ever be loaded, or the
  ///          provider, when asked for this one, did not answer.
  boost::asio::awaitable<Result<crypto::PublicJwk>> find(Instant deadline, crypto::Jws jws);
  /// Number of fetches so far, failed ones included.
  [[nodiscard]] std::uint64_t fetches() const { return fetches_.load(std::memory_order_relaxed); }

 private:
  struct Entry {
    crypto::JwkSet keys;
    Instant good_until{};
  };
  using EntryPtr = std::shared_ptr<const Entry>;
  enum class Why { kExpired, kUnknownKey };

  [[nodiscard]] EntryPtr entry() const;
  [[nodiscard]] bool fresh(const Entry& entry) const;
  boost::asio::awaitable<EntryPtr> refreshed(Instant deadline, Why why);
  boost::asio::awaitable<void> fetch_now(Instant deadline);

  const boost::asio::any_io_executor home_;
  const Clock& clock_;
  const FetchKeys fetch_;
  const KeyCacheOptions options_;
  const Logger log_;
  mutable std::mutex mutex_;
  EntryPtr entry_;
  std::atomic<std::uint64_t> fetches_{0};
  std::atomic<bool> failing_{false};  // the last fetch did
  // On home.
  bool fetching_ = false;
  Instant next_try_{};
  Instant next_unknown_{};
  boost::asio::steady_timer fetched_;
};

/// Straight from the embedded provider.
[[nodiscard]] FetchKeys fetch_from(IdentityProvider& provider);
/// Over HTTP: 200 only, 256 KiB, 5 s.
[[nodiscard]] FetchKeys fetch_over_http(std::shared_ptr<net::HttpClient> client, std::string url);

}  // namespace nb::management::auth
