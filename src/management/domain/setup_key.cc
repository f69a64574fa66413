#include "management/domain/setup_key.h"

namespace nb::management {
namespace {
// 100 years: far above any use, far below what a 64-bit nanosecond clock can hold.
constexpr std::int64_t kExpirySecondsMax = 100LL * 365 * 86'400;
constexpr std::size_t kNameBytesMax = 255;
}  // namespace

bool SetupKey::expired_at(WallTime now) const {
  return expires_at && *expires_at <= now;
}
bool SetupKey::overused() const {
  return usage_limit > 0 && used_times >= usage_limit;
}
bool SetupKey::usable_at(WallTime now) const {
  return !revoked && !expired_at(now) && !overused();
}

Result<SetupKey> new_setup_key(const SetupKeyRequest& request, WallTime now) {
  if (request.name.empty())
    return fail(Code::kInvalidArgument, "setup key name shouldn't be empty");
  if (request.name.size() > kNameBytesMax)
    return fail(Code::kInvalidArgument, "setup key name: over {} bytes", kNameBytesMax);
  const bool one_off = request.type == kSetupKeyOneOff;
  if (!one_off && request.type != kSetupKeyReusable)
    return fail(Code::kInvalidArgument, "unknown setup key type {}", request.type);
  if (request.usage_limit < 0 || (one_off && request.usage_limit > 1))
    return fail(Code::kInvalidArgument, "setup key usage limit {}: not possible for type {}",
                request.usage_limit, request.type);
  if (request.expires_in_seconds < 0)
    return fail(Code::kInvalidArgument, "expiresIn can not be in the past");
  if (request.expires_in_seconds > kExpirySecondsMax)
    return fail(Code::kInvalidArgument, "setup key expiry {} s: outside 0..{}",
                request.expires_in_seconds, kExpirySecondsMax);
  SetupKey key;
  key.name = request.name;
  key.type = request.type;
  key.created_at = now;
  key.updated_at = now;
  if (request.expires_in_seconds > 0)
    key.expires_at = now + std::chrono::seconds(request.expires_in_seconds);
  key.auto_groups = request.auto_groups;
  key.usage_limit = one_off ? 1 : request.usage_limit;
  key.ephemeral = request.ephemeral;
  key.allow_extra_dns_labels = request.allow_extra_dns_labels;
  return key;
}

}  // namespace nb::management
