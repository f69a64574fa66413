#include "client/component_peers.h"

#include "base/ip.h"
#include "crypto/encoding.h"
#include "proto/management.pb.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace nb::client {
namespace {

namespace pb = ::management;

constexpr std::string_view kPeerType = "peer";

}  // namespace

ComponentPeers::ComponentPeers(const pb::NetworkMapComponentsFull& full, ComponentPeer me)
    : full_(full), me_(me) {
  ipv6_ = own().supports_ipv6() && own().ipv6().size() == 16;
  for (const auto& group : full.groups()) {
    auto& members = groups_[group.id()];
    for (const ComponentPeer index : group.peer_indexes())
      if (is_peer(index)) members.insert(index);
    if (group.is_all()) all_groups_.insert(group.id());
    if (members.contains(me_)) own_groups_.insert(group.id());
  }
  for (const auto& [check, failing] : full.posture_failed_peers())
    failed_[check] = {failing.peer_indexes().begin(), failing.peer_indexes().end()};
}

bool ComponentPeers::is_peer(ComponentPeer index) const {
  return index < static_cast<ComponentPeer>(full_.peers_size()) &&
         peer(index).wg_pub_key().size() == kComponentKeyBytes;
}

const pb::PeerCompact& ComponentPeers::peer(ComponentPeer index) const {
  return full_.peers(static_cast<int>(index));
}

std::string ComponentPeers::address(const std::string& bytes) {
  std::array<std::uint8_t, 16> all{};
  if (bytes.size() != 4 && bytes.size() != all.size()) return {};
  std::ranges::copy(bytes, all.begin());
  if (bytes.size() == all.size()) return IpAddress::v6(all).text();
  std::uint32_t value = 0;
  for (std::size_t at = 0; at < 4; ++at) value = value << 8 | all[at];
  return IpAddress::v4(value).text();
}

bool ComponentPeers::has_v6(ComponentPeer index) const {
  return peer(index).ipv6().size() == 16;
}

std::string ComponentPeers::key(ComponentPeer index) const {
  return crypto::to_base64(peer(index).wg_pub_key());
}

const ComponentPeerSet& ComponentPeers::group(const std::string& id) const {
  static const ComponentPeerSet none;
  const auto found = groups_.find(id);
  return found == groups_.end() ? none : found->second;
}

template <class List>
ComponentPeerSet ComponentPeers::side(const List& ids) const {
  ComponentPeerSet out;
  for (const std::string& id : ids) {
    if (!groups_.contains(id)) continue;
    if (ids.size() == 1 || all_groups_.contains(id)) return group(id);
    out.insert(group(id).begin(), group(id).end());
  }
  return out;
}

ComponentPeerSet ComponentPeers::source_groups(const pb::PolicyCompact& rule) const {
  return side(rule.source_group_ids());
}

ComponentPeerSet ComponentPeers::destination_groups(const pb::PolicyCompact& rule) const {
  return side(rule.destination_group_ids());
}

std::optional<ComponentPeer> ComponentPeers::named_peer(const pb::ResourceCompact& resource) const {
  if (resource.type() != kPeerType || !resource.peer_index_set() || !is_peer(resource.peer_index()))
    return std::nullopt;
  return resource.peer_index();
}

bool ComponentPeers::passes(const pb::PolicyCompact& rule, ComponentPeer index) const {
  return std::ranges::none_of(rule.source_posture_check_ids(), [&](const std::string& check) {
    const auto found = failed_.find(check);
    return found != failed_.end() && found->second.contains(index);
  });
}

ComponentPeerSet ComponentPeers::passing(const pb::PolicyCompact& rule,
                                         ComponentPeerSet peers) const {
  std::erase_if(peers, [&](ComponentPeer index) { return !passes(rule, index); });
  return peers;
}

pb::RemotePeerConfig ComponentPeers::remote(ComponentPeer index) const {
  const pb::PeerCompact& from = peer(index);
  pb::RemotePeerConfig out;
  out.set_wgpubkey(key(index));
  out.add_allowedips(address(from.ip()) + "/32");
  if (ipv6_ && has_v6(index)) out.add_allowedips(address(from.ipv6()) + "/128");
  out.mutable_sshconfig()->set_sshpubkey(from.ssh_pub_key());
  if (!full_.dns_domain().empty()) out.set_fqdn(from.dns_label() + '.' + full_.dns_domain());
  out.set_agentversion(from.agent_version());
  return out;
}

}  // namespace nb::client
