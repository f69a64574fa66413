// A machine in an account's network.
// Source   contract/network-map.md §1.6.
#pragma once

#include "base/clock.h"
#include "management/domain/address.h"
#include "management/domain/ids.h"
#include "management/domain/peer_meta.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nb::management {

struct PeerLocation {
  IpAddress connection_ip;
  std::string country_code;
  std::string city_name;
  std::uint64_t geo_name_id = 0;
  friend bool operator==(const PeerLocation&, const PeerLocation&) = default;
};

struct PeerStatus {
  std::optional<WallTime> last_seen;
  /// The epoch of the running session in nanoseconds; 0: none.
  std::int64_t session_started_at = 0;
  bool connected = false;
  bool login_expired = false;
  bool requires_approval = false;
};

struct Peer {
  PeerId id;
  AccountId account_id;
  PeerKey key;
  IpAddress ip;
  IpAddress ipv6;  // may be unset
  PeerMeta meta;
  bool proxy_embedded = false;
  std::string proxy_cluster;
  std::string name;
  std::string dns_label;
  PeerStatus status;
  UserId user_id;  // empty: added with a setup key
  std::string ssh_key;
  bool ssh_enabled = false;
  bool login_expiration_enabled = false;
  bool inactivity_expiration_enabled = false;
  std::optional<WallTime> last_login;
  std::optional<WallTime> created_at;
  bool ephemeral = false;
  PeerLocation location;
  std::vector<std::string> extra_dns_labels;
  bool allow_extra_dns_labels = false;

  /// Added by a user's login; only such peers expire.
  [[nodiscard]] bool added_with_sso() const { return !user_id.empty(); }
  [[nodiscard]] std::string fqdn(const std::string& dns_domain) const {
    return dns_label.empty() ? std::string{} : dns_label + "." + dns_domain;
  }
};

}  // namespace nb::management
