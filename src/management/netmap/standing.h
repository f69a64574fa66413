// How one peer of a MapView stands to the others by policies alone: what every form of its map
// needs, before anything is selected for it.
// Source   contract/network-map.md §2.4–§2.7.
#pragma once

#include "management/netmap/map_view.h"
#include "management/netmap/network_map.h"

#include <optional>
#include <string>
#include <vector>

namespace nb::netmap {

class Standing {
 public:
  /// `target`: a slot with a peer that is not irregular(). The view has to outlive it.
  Standing(const MapView& view, PeerIndex target, WallTime now);

  [[nodiscard]] bool validated() const { return me_->validated; }
  [[nodiscard]] bool ssh_enabled() const { return ssh_enabled_; }
  [[nodiscard]] bool force_dns_resolution() const;
  /// When its map changes by time alone.
  [[nodiscard]] std::optional<WallTime> changes_at() const { return changes_at_; }
  /// Elements 6 of SyncResponse.
  void write_checks(std::string& out) const;

 private:
  friend class MapWriter;
  void apply_policies();
  void apply_ssh(const CompiledRule& rule, std::uint32_t position);
  void split_connected(WallTime now);

  /// A rule with the target on one of its sides.
  struct Applied {
    const CompiledRule* rule;
    bool source;
    bool destination;
  };

  const MapView* view_;
  PeerIndex target_;
  const PeerRecord* me_;
  std::vector<Applied> applied_;
  std::vector<std::uint32_t> ssh_rules_;  // positions that decide who may log in
  bool ssh_enabled_ = false;
  Bits connected_;
  Bits active_;
  Bits offline_;
  std::optional<WallTime> changes_at_;
};

}  // namespace nb::netmap
