// Whose map may differ between two views of one account.
// Source   contract/network-map.md §3.4, with the holes listed there closed.
#pragma once

#include "management/netmap/map_view.h"

#include <map>
#include <string>
#include <vector>

namespace nb::netmap {

/// Everything a map is made of has an audience: the peers that can see it. Audiences of what
/// changed, in the old view and the new, are the answer; whoever gets the same bytes in the end is
/// found by the digest of the map.
class ViewDiff {
 public:
  ViewDiff(const MapView& before, const MapView& after);
  [[nodiscard]] bool everyone() const { return everyone_; }
  [[nodiscard]] const Bits& affected() const { return affected_; }

 private:
  void compare_peers();
  void compare_rules();
  void compare_rule(const CompiledRule* before, const CompiledRule* after);
  void tell_acl_routers(const CompiledRule& changed);
  void compare_groups();
  /// The sources of rules to legacy routes with access-control groups.
  void compare_acl_sources();
  void compare_routes();
  void compare_resources();
  void compare_names();
  void compare_users();
  void compare_checks();
  void tell_irregular();

  void tell(const Bits& peers) { affected_ |= peers; }
  /// Who got what, by its bytes: peers that are on one side only are told.
  using ByContent = std::map<std::string, Bits>;
  void tell_difference(const ByContent& before, const ByContent& after);

  const MapView& before_;
  const MapView& after_;
  bool everyone_ = false;
  bool something_ = false;  // anything that maps are made of
  Bits affected_;
  Bits looks_;      // peers that others see differently, come and gone ones included
  Bits regrouped_;  // peers whose groups differ
};

}  // namespace nb::netmap
