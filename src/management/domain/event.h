// Activity events: who did what to whom.
// Source   contract/network-map.md §1.14; the numbers are stored and never change.
#pragma once

#include "base/clock.h"
#include "management/domain/ids.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace nb::management {

enum class Activity : std::int32_t {
  kPeerAddedByUser = 0,
  kPeerAddedWithSetupKey = 1,
  kUserJoined = 2,
  kUserInvited = 3,
  kAccountCreated = 4,
  kPeerRemovedByUser = 5,
  kRuleAdded = 6,
  kRuleUpdated = 7,
  kRuleDeleted = 8,
  kPolicyAdded = 9,
  kPolicyUpdated = 10,
  kPolicyDeleted = 11,
  kSetupKeyCreated = 12,
  kSetupKeyUpdated = 13,
  kSetupKeyRevoked = 14,
  kSetupKeyOverused = 15,
  kGroupCreated = 16,
  kGroupUpdated = 17,
  kGroupAddedToPeer = 18,
  kGroupRemovedFromPeer = 19,
  kGroupAddedToUser = 20,
  kGroupRemovedFromUser = 21,
  kUserRoleUpdated = 22,
  kGroupAddedToSetupKey = 23,
  kGroupRemovedFromSetupKey = 24,
  kGroupAddedToDnsDisabled = 25,
  kGroupRemovedFromDnsDisabled = 26,
  kRouteCreated = 27,
  kRouteDeleted = 28,
  kRouteUpdated = 29,
  kPeerSshEnabled = 30,
  kPeerSshDisabled = 31,
  kPeerRenamed = 32,
  kPeerLoginExpirationEnabled = 33,
  kPeerLoginExpirationDisabled = 34,
  kNameServerGroupCreated = 35,
  kNameServerGroupDeleted = 36,
  kNameServerGroupUpdated = 37,
  kAccountLoginExpirationEnabled = 38,
  kAccountLoginExpirationDisabled = 39,
  kAccountLoginExpirationUpdated = 40,
  kTokenCreated = 41,
  kTokenDeleted = 42,
  kServiceUserCreated = 43,
  kServiceUserDeleted = 44,
  kUserBlocked = 45,
  kUserUnblocked = 46,
  kUserDeleted = 47,
  kGroupDeleted = 48,
  kUserLoggedInPeer = 49,
  kPeerLoginExpired = 50,
  kDashboardLogin = 51,
  kIntegrationCreated = 52,
  kIntegrationUpdated = 53,
  kIntegrationDeleted = 54,
  kAccountPeerApprovalEnabled = 55,
  kAccountPeerApprovalDisabled = 56,
  kPeerApproved = 57,
  kPeerApprovalRevoked = 58,
  kOwnerRoleTransferred = 59,
  kPostureCheckCreated = 60,
  kPostureCheckUpdated = 61,
  kPostureCheckDeleted = 62,
  kPeerInactivityExpirationEnabled = 63,
  kPeerInactivityExpirationDisabled = 64,
  kAccountInactivityExpirationEnabled = 65,
  kAccountInactivityExpirationDisabled = 66,
  kAccountInactivityExpirationUpdated = 67,
  kSetupKeyDeleted = 68,
  kAccountGroupPropagationEnabled = 69,
  kAccountGroupPropagationDisabled = 70,
  kAccountRoutingPeerDnsEnabled = 71,
  kAccountRoutingPeerDnsDisabled = 72,
  kNetworkCreated = 73,
  kNetworkUpdated = 74,
  kNetworkDeleted = 75,
  kNetworkResourceCreated = 76,
  kNetworkResourceUpdated = 77,
  kNetworkResourceDeleted = 78,
  kNetworkRouterCreated = 79,
  kNetworkRouterUpdated = 80,
  kNetworkRouterDeleted = 81,
  kResourceAddedToGroup = 82,
  kResourceRemovedFromGroup = 83,
  kAccountDnsDomainUpdated = 84,
  kAccountLazyConnectionEnabled = 85,
  kAccountLazyConnectionDisabled = 86,
  kAccountNetworkRangeUpdated = 87,
  kPeerIpUpdated = 88,
  kUserApproved = 89,
  kUserRejected = 90,
  kUserCreated = 91,
  kAccountAutoUpdateVersionUpdated = 92,
  kIdentityProviderCreated = 93,
  kIdentityProviderUpdated = 94,
  kIdentityProviderDeleted = 95,
  kDnsZoneCreated = 96,
  kDnsZoneUpdated = 97,
  kDnsZoneDeleted = 98,
  kDnsRecordCreated = 99,
  kDnsRecordUpdated = 100,
  kDnsRecordDeleted = 101,
  kPeerJobCreated = 102,
  kUserPasswordChanged = 103,
  kInviteCreated = 104,
  kInviteAccepted = 105,
  kInviteRegenerated = 106,
  kInviteDeleted = 107,
  kServiceCreated = 108,
  kServiceUpdated = 109,
  kServiceDeleted = 110,
  kServiceExposed = 111,
  kServiceUnexposed = 112,
  kServiceExposeExpired = 113,
  kAccountPeerExposeEnabled = 114,
  kAccountPeerExposeDisabled = 115,
  kAccountAutoUpdateAlwaysEnabled = 116,
  kAccountAutoUpdateAlwaysDisabled = 117,
  kDomainAdded = 118,
  kDomainDeleted = 119,
  kDomainValidated = 120,
  kAccountIpv6Enabled = 121,
  kAccountIpv6Disabled = 122,
  kAccountLocalMfaEnabled = 123,
  kAccountLocalMfaDisabled = 124,
  kUserExtendedPeerSession = 125,
  kAccountMetricsPushEnabled = 140,
  kAccountMetricsPushDisabled = 141,
  kAccountDeleted = 99999,
};

/// "group.add" and so on; empty for a number that nobody has given a meaning. Knows also the
/// activities that only upstream writes.
[[nodiscard]] std::string_view activity_code(std::int32_t activity);
/// "Group created" and so on, as the dashboard shows it.
[[nodiscard]] std::string_view activity_text(std::int32_t activity);

/// The initiator of what the server does by itself.
inline constexpr const char* kSystemInitiator = "sys";

using EventValue = std::variant<std::string, std::int64_t, bool, std::vector<std::string>>;
using EventMeta = std::vector<std::pair<std::string, EventValue>>;

struct Event {
  WallTime at{};
  Activity activity{};
  std::string initiator_id;
  std::string target_id;
  AccountId account_id;
  /// Stored as a JSON object, in this order.
  EventMeta meta;
};

}  // namespace nb::management
