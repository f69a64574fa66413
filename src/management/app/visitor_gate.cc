#include "management/app/visitor_gate.h"

#include "crypto/hash.h"

#include <fmt/format.h>

#include <utility>

namespace nb::management::app {
namespace {

constexpr std::string_view name_of(VisitorSecret kind) {
  switch (kind) {
    case VisitorSecret::kPin:
      return "pin";
    case VisitorSecret::kPassword:
      return "password";
    case VisitorSecret::kHeader:
      return "header";
  }
  return "";
}

std::string fresh_key(crypto::RandomSource& random) {
  const auto bytes = random.bytes<32>();
  return {bytes.begin(), bytes.end()};
}

/// Long enough that no number of tries finds it.
bool may_be_known(const VisitorAttempt& attempt) {
  return attempt.kind == VisitorSecret::kHeader &&
         attempt.secret.reveal().size() >= VisitorGate::kKnownBytesMin;
}

}  // namespace

VisitorGate::VisitorGate(ha::RateLimiter& limiter, Hasher& hasher, crypto::RandomSource& random)
    : limiter_(limiter), hasher_(hasher), key_(fresh_key(random)) {}

std::string VisitorGate::mark(const VisitorAttempt& attempt, std::string_view hash) const {
  // The hash is in it, so a secret that was changed is unknown again.
  const std::string text =
      fmt::format("{}:{}{}:{}{}", attempt.service.value().size(), attempt.service.value(),
                  hash.size(), hash, attempt.secret.reveal());
  const auto sum = crypto::hmac_sha256(key_, text);
  return {sum.begin(), sum.end()};
}

bool VisitorGate::is_known(const VisitorAttempt& attempt) {
  if (!may_be_known(attempt)) return false;
  for (const std::string& hash : attempt.hashes) {
    const std::string wanted = mark(attempt, hash);
    const std::lock_guard lock(mutex_);
    if (known_.find(wanted) != nullptr) return true;
  }
  return false;
}

boost::asio::awaitable<bool> VisitorGate::may_try(std::string what, std::string proxy) {
  std::string own = what + ":" + proxy;
  if (!co_await limiter_.take(std::move(own), kOfAProxy)) co_return false;
  co_return co_await limiter_.take(std::move(what), kOfAll);
}

boost::asio::awaitable<Result<bool>> VisitorGate::open(VisitorAttempt attempt) {
  if (attempt.hashes.empty()) co_return false;
  if (is_known(attempt)) co_return true;
  std::string what =
      fmt::format("proxy-auth:{}:{}", attempt.service.value(), name_of(attempt.kind));
  std::string proxy = attempt.proxy;
  if (!co_await may_try(std::move(what), std::move(proxy)))
    co_return fail(Code::kResourceExhausted, "too many attempts, please try again later");
  for (const std::string& hash : attempt.hashes) {
    Secret secret = attempt.secret;
    NB_CO_LET(const bool good, co_await hasher_.verify(hash, std::move(secret)));
    if (!good) continue;
    if (may_be_known(attempt)) {
      std::string seen = mark(attempt, hash);
      const std::lock_guard lock(mutex_);
      known_.put(std::move(seen), 0);
    }
    co_return true;
  }
  co_return false;
}

}  // namespace nb::management::app
