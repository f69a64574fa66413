// Who may reach whom.
// Source   contract/network-map.md §1.8.
#pragma once

#include "management/domain/group.h"
#include "management/domain/ids.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management {

inline constexpr std::string_view kActionAccept = "accept";
inline constexpr std::string_view kActionDrop = "drop";
inline constexpr std::string_view kProtocolAll = "all";
inline constexpr std::string_view kProtocolTcp = "tcp";
inline constexpr std::string_view kProtocolUdp = "udp";
inline constexpr std::string_view kProtocolIcmp = "icmp";
inline constexpr std::string_view kProtocolSsh = "netbird-ssh";

struct PortRange {
  std::uint16_t start = 0;
  std::uint16_t end = 0;
  friend bool operator==(const PortRange&, const PortRange&) = default;
};

/// Action and protocol stay text: a database may hold values that we do not know, which then match
/// nothing instead of becoming something else.
struct PolicyRule {
  RuleId id;
  PolicyId policy_id;
  std::string name;
  std::string description;
  bool enabled = false;
  std::string action;
  std::vector<GroupId> destinations;
  Resource destination_resource;
  std::vector<GroupId> sources;
  Resource source_resource;
  bool bidirectional = false;
  std::string protocol;
  std::vector<std::string> ports;
  std::vector<PortRange> port_ranges;
  std::map<GroupId, std::vector<std::string>> authorized_groups;
  std::string authorized_user;
  // Stored, but not as any server writes it: what was read of the side may not be all.
  bool sources_unreadable = false;
  bool destinations_unreadable = false;
};

struct Policy {
  PolicyId id;
  PublicId public_id;
  AccountId account_id;
  std::string name;
  std::string description;
  bool enabled = false;
  std::vector<PostureCheckId> source_posture_checks;
  std::vector<PolicyRule> rules;  // as they were inserted
  std::int64_t order = 0;         // of insertion
};

}  // namespace nb::management
