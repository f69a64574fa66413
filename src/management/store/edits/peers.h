// Peers as their owners see them: contract/network-map.md §1.6, rest-api.md §7.6.
#pragma once

#include "management/domain/peer.h"
#include "management/store/edits/edit.h"

#include <optional>
#include <string>
#include <vector>

namespace nb::management {

/// All of it or nothing. Absent: stays as it is.
/// Errors   kNotFound "peer not found: <id>"; kInvalidArgument: name, addresses;
///          kFailedPrecondition: expiry of a peer that no user added, IPv6 where there is none.
struct UpdatePeer {
  using Answer = Peer;
  PeerId id{};
  std::string name{};
  bool ssh_enabled = false;
  bool login_expiration_enabled = false;
  std::optional<bool> inactivity_expiration_enabled{};
  /// False: approves a peer that waits for it. True where it did not: takes the approval back.
  std::optional<bool> approval_required{};
  std::optional<std::string> ip{};
  std::optional<std::string> ipv6{};
};

/// With its memberships, the policies that name it, and legacy routes through it.
/// Errors   kNotFound "peer not found: <id>"; kFailedPrecondition: routes a network, target of a
///          service.
struct DeletePeer {
  using Answer = Nothing;
  PeerId id{};
};

/// A browser's peer that may reach `target` while it lasts: peer and policies in one.
/// Errors   kInvalidArgument: rule, key, name; kNotFound: target; register_peer()'s.
struct CreateTemporaryPeer {
  using Answer = Peer;
  PeerId target{};
  std::string name{};
  PeerKey key{};
  std::vector<std::string> rules{};
};

}  // namespace nb::management
