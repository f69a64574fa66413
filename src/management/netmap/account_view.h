// What a map's calculation asks of an account again and again, worked out once per snapshot.
// Source   contract/network-map.md §2.1.
#pragma once

#include "management/domain/account_snapshot.h"
#include "management/netmap/agent_version.h"
#include "management/netmap/bits.h"
#include "management/netmap/ports.h"
#include "management/netmap/rule_kinds.h"
#include "management/netmap/user_index.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace nb::netmap {

/// Position in AccountSnapshot::peers.
using PeerIndex = std::uint32_t;
inline constexpr PeerIndex kNoPeer = 0xffffffff;

/// A usable rule.
struct RuleView {
  const management::PolicyRule* rule = nullptr;
  Action action = Action::kAccept;
  Protocol protocol = Protocol::kAll;
  bool ssh = false;  // netbird-ssh
  /// expand_ports() for each combination of PortFeatures.
  std::vector<PortSelection> ports[2][2];

  explicit RuleView(const management::PolicyRule& source);
  [[nodiscard]] const std::vector<PortSelection>& ports_for(PortFeatures features) const {
    return ports[features.ranges ? 1 : 0][features.ssh_companion ? 1 : 0];
  }
};

/// An enabled policy with its usable rules.
struct PolicyView {
  std::shared_ptr<const management::Policy> policy;
  std::vector<RuleView> rules;
};

struct PeerView {
  const management::Peer* peer = nullptr;
  AgentFeatures features;
  bool validated = true;
  bool has_ipv6 = false;       // an address and an agent that carries it
  bool in_ipv6_group = false;  // its AAAA record is published
  bool source_prefixes = false;
};

/// A policy that reaches a resource, with the rules that do so.
struct ResourcePolicy {
  const PolicyView* policy = nullptr;
  std::vector<const RuleView*> rules;
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
  /// kNoPeer when the account has no such peer.
  [[nodiscard]] PeerIndex find(const management::PeerId& id) const;
  /// The account's own by (order, id), then the injected ones.
  [[nodiscard]] const std::vector<PolicyView>& policies() const { return policies_; }
  /// Null for a dangling id.
  [[nodiscard]] const Bits* members(const management::GroupId& group) const;
  [[nodiscard]] bool is_member(const management::GroupId& group, PeerIndex peer) const;
  [[nodiscard]] bool any_member(const std::vector<management::GroupId>& groups,
                                PeerIndex peer) const;
  /// The first of the policy's checks that the peer fails; null when it passes. Checks that do not
  /// exist do not count.
  [[nodiscard]] const management::PostureCheckId* failed_check(const management::Policy& policy,
                                                               PeerIndex peer) const;
  /// Routing peers of a network and the router each of them is by; null when there is none.
  using Routers = std::map<PeerIndex, const management::NetworkRouter*>;
  [[nodiscard]] const Routers* routers(const management::NetworkId& network) const;
  /// Policies by which resource `position` of the snapshot is reached; empty for a disabled one.
  [[nodiscard]] const std::vector<ResourcePolicy>& resource_policies(std::size_t position) const {
    return resource_policies_[position];
  }
  /// It routes a domain that a service of the reverse proxy leads to.
  [[nodiscard]] bool must_resolve_dns(PeerIndex peer) const { return must_resolve_.test(peer); }
  [[nodiscard]] std::int64_t forwarder_port() const { return forwarder_port_; }
  [[nodiscard]] const UserIndex& users() const { return users_; }

 private:
  void index_peers();
  void index_policies();
  void index_networks();
  [[nodiscard]] std::vector<ResourcePolicy> policies_to(
      const management::NetworkResource& to) const;

  management::AccountSnapshotPtr snapshot_;
  std::string dns_domain_;
  std::vector<PeerView> peers_;
  std::map<management::GroupId, Bits> members_;
  std::vector<PolicyView> policies_;
  std::map<management::PostureCheckId, Bits> failing_;  // by check, all peers
  std::map<management::NetworkId, Routers> routers_;
  std::vector<std::vector<ResourcePolicy>> resource_policies_;
  Bits must_resolve_;
  UserIndex users_;
  std::int64_t forwarder_port_ = 0;
};

using AccountViewPtr = std::shared_ptr<const AccountView>;

}  // namespace nb::netmap
