#include "management/grpc/address_limiter.h"

#include "management/domain/address.h"

#include <algorithm>
#include <chrono>
#include <functional>

namespace nb::management::grpc {
namespace {

/// A flood of new addresses must not search thousands of buckets with each call.
constexpr auto kSweepPause = std::chrono::seconds(1);

/// What shares one bucket.
std::string source_of(std::string_view address) {
  const auto parsed = IpAddress::parse(std::string(address));
  if (!parsed) return std::string(address.substr(0, 64));
  const IpAddress plain = parsed->unmapped();
  const auto bytes = plain.bytes();
  // An IPv4 address whole, of an IPv6 address the part that a network is given.
  return {reinterpret_cast<const char*>(bytes.data()), plain.is_v4() ? std::size_t{4} : 8};
}

}  // namespace

double AddressLimiter::filled(const Bucket& bucket, Instant now) const {
  const double seconds = std::chrono::duration<double>(now - bucket.at).count();
  return std::min(capacity(), bucket.tokens + std::max(seconds, 0.0) * limits_.calls_per_second);
}

bool AddressLimiter::make_room(Shard& shard, Instant now) const {
  if (shard.buckets.size() < limits_.addresses_max / kShards) return true;
  if (now < shard.sweep_at) return false;
  shard.sweep_at = now + kSweepPause;
  std::erase_if(shard.buckets,
                [&](const auto& entry) { return filled(entry.second, now) >= capacity(); });
  return shard.buckets.size() < limits_.addresses_max / kShards;
}

bool AddressLimiter::allow(std::string_view address, CallPrice price, Instant now) {
  if (!on()) return true;
  std::string source = source_of(address);
  Shard& shard = shards_[std::hash<std::string>{}(source) % kShards];
  const std::lock_guard lock(shard.mutex);
  auto found = shard.buckets.find(source);
  if (found == shard.buckets.end()) {
    if (!make_room(shard, now)) return true;
    found = shard.buckets.emplace(std::move(source), Bucket{capacity(), now}).first;
  }
  Bucket& bucket = found->second;
  bucket.tokens = filled(bucket, now);
  bucket.at = now;
  if (bucket.tokens + price.overdraft * capacity() < price.tokens) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  bucket.tokens -= price.tokens;
  return true;
}

std::size_t AddressLimiter::addresses() const {
  std::size_t sum = 0;
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    sum += shard.buckets.size();
  }
  return sum;
}

}  // namespace nb::management::grpc
