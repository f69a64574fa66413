#include "ha/lease_holder.h"

#include <algorithm>
#include <cctype>

namespace nb::ha {
using namespace std::chrono_literals;
using std::chrono::milliseconds;

LeaseTable::Entry* LeaseTable::live(const std::string& key, Instant now) {
  const auto it = locks.find(key);
  if (it == locks.end()) return nullptr;
  if (it->second.expires > now) return &it->second;
  locks.erase(it);
  return nullptr;
}

LeaseReply LeaseTable::take(const std::string& key, const std::string& token, milliseconds ttl,
                            Instant now, WallTime wall) {
  if (const Entry* entry = live(key, now)) {
    const bool endless = entry->expires == Instant::max();
    const auto left = endless ? ttl : std::chrono::ceil<milliseconds>(entry->expires - now);
    return {false, 0, left};
  }
  const auto us = std::chrono::floor<std::chrono::microseconds>(wall).time_since_epoch().count();
  auto& fence = fences[key];
  fence = std::max(fence + 1, static_cast<std::uint64_t>(us));
  locks[key] = {token, now + ttl};
  return {true, fence, {}};
}

bool LeaseTable::renew(const std::string& key, const std::string& token, milliseconds ttl,
                       Instant now) {
  Entry* entry = live(key, now);
  if (!entry || entry->token != token) return false;
  entry->expires = now + ttl;
  return true;
}

bool LeaseTable::release(const std::string& key, const std::string& token, Instant now) {
  const Entry* entry = live(key, now);
  if (!entry || entry->token != token) return false;
  locks.erase(key);
  return true;
}

LeaseHolder::LeaseHolder(milliseconds ttl, Instant asked) : ttl_(ttl) {
  renewed(asked);
}

void LeaseHolder::renewed(Instant asked) {
  // 2 % for clocks that run at different speeds and 2 ms for their granularity; the store counts
  // from its receipt, which is later than `asked`.
  until_ = asked + ttl_ - ttl_ / 50 - 2ms;
  renew_at_ = asked + ttl_ / 3;
}

void LeaseHolder::unanswered(Instant now) {
  renew_at_ = std::min(now + std::max(ttl_ / 10, milliseconds(20)), until_);
}

milliseconds lease_backoff(int attempt, milliseconds remaining, std::uint64_t random) {
  const milliseconds span = std::min(10ms * (1 << std::clamp(attempt, 0, 6)), 500ms);
  const auto jitter =
      milliseconds(static_cast<std::int64_t>(random % static_cast<std::uint64_t>(span.count())));
  return std::min(span / 2 + jitter, std::max(remaining, 1ms) + jitter);
}

Result<> check(const Resource& resource, const AcquireOptions& options) {
  const auto allowed = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == ':' || c == '_' || c == '.' ||
           c == '-';
  };
  const std::string& name = resource.value();
  if (name.empty() || name.size() > 128 || !std::all_of(name.begin(), name.end(), allowed)) {
    return fail(Code::kInvalidArgument, "lease '{}': must be [a-zA-Z0-9:_.-]{{1,128}}", name);
  }
  if (options.ttl < 100ms || options.ttl > 10min) {
    return fail(Code::kInvalidArgument, "lease TTL {} ms: outside 100 ms..10 min",
                options.ttl.count());
  }
  if (options.wait < 0ms || options.wait > 1h) {
    return fail(Code::kInvalidArgument, "lease wait {} ms: outside 0..1 h", options.wait.count());
  }
  return {};
}

}  // namespace nb::ha
