// One account snapshot with everything that does not depend on the receiving peer worked out.
#pragma once

#include "management/domain/account_snapshot.h"
#include "management/netmap/agent_version.h"
#include "management/netmap/ports.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace nb::netmap {

/// Position in AccountSnapshot::peers.
using PeerIndex = std::uint32_t;
inline constexpr PeerIndex kNoPeer = 0xffffffff;

enum class Action : std::uint8_t { kAccept, kDrop };
enum class Protocol : std::uint8_t { kAll, kTcp, kUdp, kIcmp };

/// An enabled rule of an enabled policy with its sides resolved to peers.
struct ResolvedRule {
  const management::PolicyRule* rule = nullptr;
  Action action = Action::kAccept;
  Protocol protocol = Protocol::kAll;  // netbird-ssh is tcp on the wire
  bool ssh = false;                    // netbird-ssh
  std::vector<PeerIndex> sources;      // ascending
  std::vector<PeerIndex> destinations;
  /// expand_ports() for each combination of PortFeatures.
  std::vector<PortSelection> ports[2][2];

  [[nodiscard]] const std::vector<PortSelection>& ports_for(PortFeatures features) const {
    return ports[features.ranges ? 1 : 0][features.ssh_companion ? 1 : 0];
  }
};

struct PeerView {
  const management::Peer* peer = nullptr;
  AgentFeatures features;
  bool validated = true;
  bool has_ipv6 = false;       // an address and an agent that carries it
  bool in_ipv6_group = false;  // its AAAA record is published
  bool dns_disabled = false;
  bool source_prefixes = false;
  std::vector<std::uint32_t> as_source;  // positions in AccountView::rules
  std::vector<std::uint32_t> as_destination;
};

/// Immutable, shared by all maps of one snapshot.
class AccountView {
 public:
  /// `dns_domain`: the server's own, used where the account has none.
  AccountView(management::AccountSnapshotPtr snapshot, std::string dns_domain);

  [[nodiscard]] const management::AccountSnapshot& snapshot() const { return *snapshot_; }
  [[nodiscard]] const management::AccountSnapshotPtr& snapshot_ptr() const { return snapshot_; }
  [[nodiscard]] std::uint64_t serial() const { return snapshot_->account.serial; }
  [[nodiscard]] const std::string& dns_domain() const { return dns_domain_; }
  [[nodiscard]] const std::vector<PeerView>& peers() const { return peers_; }
  [[nodiscard]] const std::vector<ResolvedRule>& rules() const { return rules_; }
  /// kNoPeer when the account has no such peer.
  [[nodiscard]] PeerIndex find(const management::PeerId& id) const;
  /// Two rules share an id: equal tuples of theirs collapse (contract/network-map.md §2.4).
  [[nodiscard]] bool rule_ids_repeat() const { return rule_ids_repeat_; }
  [[nodiscard]] std::int64_t forwarder_port() const { return forwarder_port_; }
  /// Users that may log in to machines: not blocked, no service users; ascending.
  [[nodiscard]] const std::vector<management::UserId>& allowed_users() const {
    return allowed_users_;
  }
  /// The allowed users of a group by their auto groups; `All` has all of them.
  [[nodiscard]] const std::vector<management::UserId>& group_users(
      const management::GroupId& group) const;

 private:
  void index_peers();
  void index_users();
  void resolve_rules();
  [[nodiscard]] std::vector<PeerIndex> side(const std::vector<management::GroupId>& groups,
                                            const management::Resource& resource) const;

  management::AccountSnapshotPtr snapshot_;
  std::string dns_domain_;
  std::vector<PeerView> peers_;
  std::map<management::GroupId, std::vector<PeerIndex>> members_;  // validated ones
  std::vector<ResolvedRule> rules_;
  std::vector<management::UserId> allowed_users_;
  std::map<management::GroupId, std::vector<management::UserId>> group_users_;
  std::int64_t forwarder_port_ = 0;
  bool rule_ids_repeat_ = false;
};

using AccountViewPtr = std::shared_ptr<const AccountView>;

}  // namespace nb::netmap
