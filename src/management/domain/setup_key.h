// A secret with which machines join an account.
// Source   contract/network-map.md §1.5.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "management/domain/ids.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management {

inline constexpr std::string_view kSetupKeyReusable = "reusable";
inline constexpr std::string_view kSetupKeyOneOff = "one-off";

struct SetupKey {
  SetupKeyId id;
  AccountId account_id;
  SetupKeyHash key;
  std::string key_secret;  // first five characters and "****"
  std::string name;
  std::string type;
  std::optional<WallTime> created_at;
  std::optional<WallTime> expires_at;  // empty: never
  std::optional<WallTime> updated_at;
  bool revoked = false;
  std::int64_t used_times = 0;
  std::optional<WallTime> last_used;
  std::vector<GroupId> auto_groups;
  std::int64_t usage_limit = 0;  // 0: unlimited
  bool ephemeral = false;
  bool allow_extra_dns_labels = false;

  [[nodiscard]] bool expired_at(WallTime now) const;
  [[nodiscard]] bool overused() const;
  [[nodiscard]] bool usable_at(WallTime now) const;
};

/// What a caller chooses of a new key; the rest follows from it.
struct SetupKeyRequest {
  std::string name{};
  std::string type = std::string(kSetupKeyReusable);
  std::int64_t expires_in_seconds = 0;  // 0: never
  std::int64_t usage_limit = 0;
  std::vector<GroupId> auto_groups{};
  bool ephemeral = false;
  bool allow_extra_dns_labels = false;
};

/// Checks the request and fills a key without id, account and hash (the caller's business).
/// Errors   kInvalidArgument with the offending field.
[[nodiscard]] Result<SetupKey> new_setup_key(const SetupKeyRequest& request, WallTime now);

}  // namespace nb::management
