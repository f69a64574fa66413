// An account: its settings and its network.
// Source   contract/network-map.md §1.3.
#pragma once

#include "base/clock.h"
#include "management/domain/address.h"
#include "management/domain/ids.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nb::management {

struct AccountNetwork {
  std::string identifier;  // xid; exported as the network id
  Prefix net;              // IPv4, host bits clear
  Prefix net_v6;           // may be unset
  std::string dns;         // unused
  friend bool operator==(const AccountNetwork&, const AccountNetwork&) = default;
};

struct AccountSettings {
  bool peer_login_expiration_enabled = true;
  std::chrono::nanoseconds peer_login_expiration = std::chrono::hours(24);
  bool peer_inactivity_expiration_enabled = false;
  std::chrono::nanoseconds peer_inactivity_expiration = std::chrono::minutes(10);
  bool regular_users_view_blocked = true;
  bool groups_propagation_enabled = true;
  bool jwt_groups_enabled = false;
  std::string jwt_groups_claim_name;
  std::vector<std::string> jwt_allow_groups;  // names
  bool jwt_allow_groups_unreadable = false;   // damaged in the database: nobody is allowed
  bool routing_peer_dns_resolution_enabled = true;
  std::string dns_domain;  // empty: the server's
  Prefix network_range;
  Prefix network_range_v6;
  bool peer_expose_enabled = false;
  std::vector<GroupId> peer_expose_groups;
  bool extra_peer_approval_enabled = false;
  bool extra_user_approval_required = true;
  std::string extra_integrated_validator;
  std::vector<std::string> extra_integrated_validator_groups;
  bool lazy_connection_enabled = true;
  std::string auto_update_version = "disabled";
  bool auto_update_always = false;
  std::vector<GroupId> ipv6_enabled_groups;
  bool metrics_push_enabled = false;
  bool agent_network_only = false;
  std::string dashboard_features;  // JSON object or empty; passed through
  bool local_mfa_enabled = false;
  friend bool operator==(const AccountSettings&, const AccountSettings&) = default;
};

struct Account {
  AccountId id;
  UserId created_by;
  std::optional<WallTime> created_at;
  std::string domain;
  std::string domain_category;  // "private", "public", "unknown" or empty
  bool is_domain_primary = false;
  AccountNetwork network;
  std::uint64_t serial = 0;
  std::vector<GroupId> dns_disabled_management_groups;
  AccountSettings settings;
  std::string reverse_proxy_free_domain_nonce;

  /// The account's own DNS domain, or the server's.
  [[nodiscard]] const std::string& dns_domain(const std::string& server_default) const {
    return settings.dns_domain.empty() ? server_default : settings.dns_domain;
  }
};

struct AccountSerial {
  AccountId id;
  std::uint64_t serial = 0;
};

}  // namespace nb::management
