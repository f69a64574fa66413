// What one peer may know of its account, before anything is calculated from it.
// Source   contract/network-map.md §2.3.
#pragma once

#include "management/netmap/account_view.h"

#include <map>
#include <set>
#include <vector>

namespace nb::netmap {

/// The calculation sees groups only through `candidates`, knows only `groups`, and judges posture
/// only by `failed`. That is visible in the map: an unapproved peer that one policy names directly
/// appears in the groups of the others too, and a check that nobody had reason to evaluate for a
/// peer does not stop it.
struct Selection {
  Selection(const AccountView& account, PeerIndex target);

  const AccountView& view;
  PeerIndex target;
  Bits candidates;
  Bits in_zone;  // candidates that have records in the peer zone: not those by resources alone
  std::set<management::GroupId> groups;
  std::vector<const PolicyView*> policies;
  std::vector<const management::Route*> routes;
  /// Resources that the target routes or may reach: positions in the snapshot.
  std::vector<std::size_t> resources;
  std::map<management::PostureCheckId, Bits> failed;

  /// Members of a known group among the candidates.
  [[nodiscard]] Bits members(const management::GroupId& group) const;
  /// Of a list: `All` or a sole entry stands for exactly its members.
  [[nodiscard]] Bits members(const std::vector<management::GroupId>& groups) const;
  /// One side of a rule: the peer that stands there alone, if it is a candidate, or members of
  /// groups.
  [[nodiscard]] Bits side(const management::Resource& resource,
                          const std::vector<management::GroupId>& groups) const;
  /// Takes out who failed one of the policy's checks.
  [[nodiscard]] Bits without_failed(Bits peers, const management::Policy& policy) const;

 private:
  void select_routes();
  void select_policies();
  void select_rule(const PolicyView& policy, const RuleView& rule, bool& relevant);
  void select_resources();
  bool select_resource_policy(const ResourcePolicy& policy, bool& as_router);
  void know(const std::vector<management::GroupId>& list);
  void add_validated(const Bits& peers);
  /// Group members that are validated and pass; notes who fails.
  Bits passing(const std::vector<management::GroupId>& groups, const management::Policy* checks);
  bool passes(const management::Policy& policy, PeerIndex peer);

  std::set<management::GroupId> route_acl_groups_;
};

}  // namespace nb::netmap
