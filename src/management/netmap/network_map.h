// netmap: what one peer may know and do, computed from a snapshot of its account.
//
// Purpose      AccountView (once per snapshot), then calculate() per peer: the plain, readable
//              calculation that stays the oracle of any faster one.
// Not here     wire encoding (management/grpc), loading and fan-out (management/app).
// Start with   calculate() below, account_view.h for what is shared, ports.h and agent_version.h.
// Threads      pure; an AccountView is immutable and may be used from many threads.
// Limits       none of its own: proportional to the peers and rules in the target's view.
// Failure      nothing fails: dangling ids and unknown values are skipped.
// Source       contract/network-map.md §2; policies, SSH, DNS peer zone. Routes, resources, posture
//              checks, nameservers and custom zones are not part of AccountSnapshot yet.
#pragma once

#include "base/clock.h"
#include "management/domain/address.h"
#include "management/netmap/account_view.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace nb::netmap {

enum class Direction : std::uint8_t { kIn, kOut };

/// One rule of the target's firewall towards or from one address.
struct FirewallRule {
  const management::PolicyRule* rule = nullptr;
  management::IpAddress remote;
  Direction direction = Direction::kIn;
  Action action = Action::kAccept;
  Protocol protocol = Protocol::kAll;
  const PortSelection* ports = nullptr;  // of the view
};

struct DnsRecord {
  std::string name;  // without trailing dot
  management::IpAddress address;
};

struct SshAuth {
  std::vector<management::UserId> users;
  /// Local user of the machine, or "*" for any, to positions in `users`.
  std::map<std::string, std::vector<std::uint32_t>> machine_users;
};

/// References into the AccountView it was made from.
struct NetworkMap {
  std::uint64_t serial = 0;
  PeerIndex target = kNoPeer;
  bool validated = false;                // otherwise nothing below is filled
  std::vector<PeerIndex> remote_peers;   // ascending
  std::vector<PeerIndex> offline_peers;  // login expired
  std::vector<FirewallRule> firewall_rules;
  bool ssh_enabled = false;  // by a policy, or the peer's own setting
  SshAuth ssh_auth;
  bool dns_enabled = false;
  std::vector<DnsRecord> peer_zone;
  /// When an active remote peer's login ends, and so this map changes by time alone.
  std::optional<WallTime> changes_at;
};

/// The map of `target`, a position in view.peers().
[[nodiscard]] NetworkMap calculate(const AccountView& view, PeerIndex target, WallTime now);

}  // namespace nb::netmap
