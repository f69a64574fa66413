// MapView: an account prepared for making all of its peers' maps fast.
//
// Purpose      what does not depend on the receiver, worked out once: sides of rules as bitsets,
// and
//              encoded peers, firewall rules and DNS records that maps are put together from.
//              A new view takes over from the one before what did not change, and update() says
//              whose map may differ.
// Not here     the oracle it has to equal (network_map.h); PeerConfig and envelopes
//              (management/grpc).
// Start with   update() below, then map_writer.h.
// Threads      a view is immutable but for caches of its own with their locks; use it from many.
// Limits       memory: about the bytes of one map per rule side and receiver form in use.
// Failure      nothing fails: dangling ids and unknown values are skipped.
// Source       contract/network-map.md §8.3; docs/decisions/0050-map-view.md
#pragma once

#include "base/clock.h"
#include "management/netmap/compiled_rule.h"
#include "management/netmap/map_parts.h"
#include "management/netmap/peer_record.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace nb::netmap {

struct MapViewOptions {
  std::string dns_domain;             // the server's; an account's own wins
  std::string user_id_claim = "sub";  // of SSH tokens
  /// What agents know a user by in SSH authorization (BLAKE2b-128 of the id). Any thread.
  std::function<std::string(const management::UserId&)> user_hash;
  /// The bytes of a key for component maps; empty for what is no key. Any thread.
  std::function<std::string(const management::PeerKey&)> raw_key;
};

class ComponentIndex;
class MapView;
using MapViewPtr = std::shared_ptr<const MapView>;

/// A view and whose map may differ from what the view before said.
struct ViewUpdate {
  MapViewPtr view;
  /// Everyone: `affected` says nothing.
  bool everyone = true;
  /// Peers of the new view by their slot.
  Bits affected;
};

/// Peers are named by slots: small numbers that stay with a peer from view to view.
class MapView {
 public:
  /// The view of `next`. With `before`, a view of the same account, unchanged parts are shared:
  /// cheapest where `next` shares its objects with the snapshot of `before` (applied()), but equal
  /// objects that were read anew are recognised as well. Options are those of `before`.
  static ViewUpdate update(const MapViewPtr& before, management::AccountSnapshotPtr next,
                           const MapViewOptions& options);

  [[nodiscard]] const management::AccountSnapshot& snapshot() const { return *snapshot_; }
  [[nodiscard]] const management::AccountSnapshotPtr& snapshot_ptr() const { return snapshot_; }
  [[nodiscard]] std::uint64_t serial() const { return snapshot_->account.serial; }
  [[nodiscard]] const std::string& dns_domain() const { return dns_domain_; }
  /// kNoPeer when the account has no such peer.
  [[nodiscard]] PeerIndex find(const management::PeerId& id) const;
  /// One more than the largest slot; some may be empty.
  [[nodiscard]] std::size_t slots() const { return peers_->slots; }
  /// Null for an empty slot.
  [[nodiscard]] const PeerRecord* peer(PeerIndex slot) const {
    return slot < peers_->slots ? peers_->record(slot).get() : nullptr;
  }
  [[nodiscard]] std::int64_t forwarder_port() const { return forwarder_port_; }
  /// The plain calculation of the same snapshot; made at first use. For the few peers whose maps
  /// depend on what the fast one leaves out (see irregular()).
  [[nodiscard]] std::shared_ptr<const AccountView> plain() const;
  /// For component maps; made at first use.
  [[nodiscard]] std::shared_ptr<const ComponentIndex> components() const;
  [[nodiscard]] std::string raw_key(const management::PeerKey& key) const {
    return options_.raw_key ? options_.raw_key(key) : std::string{};
  }
  /// The target's map has to come from plain(): a policy names an unapproved peer directly, lists a
  /// group beside an `All` that does not hold its members, or asks posture of a direct source
  /// towards the target's own routes.
  [[nodiscard]] bool irregular(PeerIndex slot) const;

 private:
  friend class MapWriter;
  friend class Standing;
  friend class ViewBuilder;
  friend class ViewDiff;
  MapView() = default;

  management::AccountSnapshotPtr snapshot_;
  MapViewOptions options_;
  std::string dns_domain_;
  std::string globals_;  // what every map depends on, as one text
  std::int64_t forwarder_port_ = 0;
  std::shared_ptr<const PeerPart> peers_;
  std::shared_ptr<const GroupPart> groups_;
  std::shared_ptr<const CheckPart> checks_;
  std::shared_ptr<const RulePart> rules_;
  std::shared_ptr<const RoutePart> routes_;
  std::shared_ptr<const ResourcePart> resources_;
  std::shared_ptr<const NamePart> names_;
  std::shared_ptr<const UserIndex> users_;

  /// Who is expired at a time, until the next deadline.
  struct Expired {
    WallTime from{};
    WallTime until = WallTime::max();
    Bits peers;
  };
  [[nodiscard]] std::shared_ptr<const Expired> expired_at(WallTime now) const;
  [[nodiscard]] std::shared_ptr<const std::string> ssh_auth(
      const std::vector<std::uint32_t>& rules) const;

  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Expired> expired_;
  mutable std::shared_ptr<const AccountView> plain_;
  mutable std::mutex components_mutex_;
  mutable std::shared_ptr<const ComponentIndex> components_;
  mutable std::map<std::vector<std::uint32_t>, std::shared_ptr<const std::string>> ssh_auths_;
};

}  // namespace nb::netmap
