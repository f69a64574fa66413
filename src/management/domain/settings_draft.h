// What a caller asks of an account's settings, and the settings that follow from it.
// Source   contract/network-map.md §1.3, rest-api.md §7.2.
#pragma once

#include "base/result.h"
#include "management/domain/account.h"
#include "management/domain/event.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::management {

struct OnboardingFlags {
  bool flow_pending = false;
  bool signup_form_pending = false;
  friend bool operator==(const OnboardingFlags&, const OnboardingFlags&) = default;
};

struct SettingsDraft {
  /// All settings but those below; what a request leaves out is false or empty here.
  AccountSettings values{};
  /// Absent or empty text: the range stays.
  std::optional<std::string> network_range{};
  std::optional<std::string> network_range_v6{};
  /// Absent: stays. Terraform leaves these out.
  std::optional<std::vector<GroupId>> ipv6_enabled_groups{};
  std::optional<bool> auto_update_always{};
  std::optional<bool> metrics_push_enabled{};
  std::optional<bool> local_mfa_enabled{};
  std::optional<std::string> dashboard_features{};  // a JSON object
  /// False: the extra_* settings of `values` were not given and stay.
  bool has_extra = false;
  /// What the request says in dashboard_features.agent_network.
  bool dashboard_agent_network = false;
  std::optional<OnboardingFlags> onboarding{};
};

/// The settings to store over those of `account`, which has `peers` peers. A range that is given is
/// in network_range; whether it differs from the allocated one is new_range()'s business.
/// Errors   kInvalidArgument with the texts of rest-api.md §7.2.
[[nodiscard]] Result<AccountSettings> settings_of(const SettingsDraft& draft,
                                                  const Account& account, std::size_t peers);

/// IPv4 and IPv6 range of the account as allocated.
[[nodiscard]] const Prefix& effective_range(const Account& account);
[[nodiscard]] const Prefix& effective_range_v6(const Account& account);

/// What the differences between two settings are called in the activity log.
struct SettingsEvent {
  Activity activity{};
  EventMeta meta;
};
[[nodiscard]] std::vector<SettingsEvent> settings_events(const Account& before,
                                                         const AccountSettings& after);

/// A difference that can be seen in some peer's map or configuration.
[[nodiscard]] bool concerns_peers(const AccountSettings& before, const AccountSettings& after);

}  // namespace nb::management
