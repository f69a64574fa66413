// Who is who in a component map, as its receiver sees it. Private to component_map.h.
// Source   contract/management-grpc.md §3.6, §7; contract/network-map.md §2.3.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace management {
class NetworkMapComponentsFull;
class PeerCompact;
class PolicyCompact;
class RemotePeerConfig;
class ResourceCompact;
}  // namespace management

namespace nb::client {

/// Positions in the envelope.
using ComponentPeer = std::uint32_t;
using ComponentPeerSet = std::set<ComponentPeer>;

inline constexpr std::size_t kComponentKeyBytes = 32;

/// Peers, groups and posture of one envelope, which outlives it.
class ComponentPeers {
 public:
  ComponentPeers(const ::management::NetworkMapComponentsFull& full, ComponentPeer me);

  [[nodiscard]] const ::management::NetworkMapComponentsFull& full() const { return full_; }
  [[nodiscard]] ComponentPeer me() const { return me_; }
  [[nodiscard]] const ::management::PeerCompact& own() const { return peer(me_); }
  /// The receiver takes part in the overlay's IPv6.
  [[nodiscard]] bool ipv6() const { return ipv6_; }

  [[nodiscard]] bool is_peer(ComponentPeer index) const;
  [[nodiscard]] const ::management::PeerCompact& peer(ComponentPeer index) const;
  [[nodiscard]] bool has_v6(ComponentPeer index) const;
  /// Base64.
  [[nodiscard]] std::string key(ComponentPeer index) const;
  /// Of 4 or 16 bytes; anything else is no address: "".
  [[nodiscard]] static std::string address(const std::string& bytes);
  [[nodiscard]] ::management::RemotePeerConfig remote(ComponentPeer index) const;

  [[nodiscard]] const ComponentPeerSet& group(const std::string& id) const;
  [[nodiscard]] bool is_own_group(const std::string& id) const { return own_groups_.contains(id); }
  /// One side of a rule by its groups: `All` or a sole entry stands for exactly its members.
  [[nodiscard]] ComponentPeerSet source_groups(const ::management::PolicyCompact& rule) const;
  [[nodiscard]] ComponentPeerSet destination_groups(const ::management::PolicyCompact& rule) const;
  [[nodiscard]] std::optional<ComponentPeer> named_peer(
      const ::management::ResourceCompact& resource) const;

  /// No posture check of the rule's is failed by the peer.
  [[nodiscard]] bool passes(const ::management::PolicyCompact& rule, ComponentPeer index) const;
  [[nodiscard]] ComponentPeerSet passing(const ::management::PolicyCompact& rule,
                                         ComponentPeerSet peers) const;

 private:
  template <class List>
  [[nodiscard]] ComponentPeerSet side(const List& ids) const;

  const ::management::NetworkMapComponentsFull& full_;
  const ComponentPeer me_;
  bool ipv6_ = false;
  std::map<std::string, ComponentPeerSet> groups_;
  std::set<std::string> all_groups_;
  std::set<std::string> own_groups_;
  std::map<std::string, ComponentPeerSet> failed_;  // by check
};

}  // namespace nb::client
