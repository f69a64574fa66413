// Whether objects that were read anew say the same to a map.
#pragma once

#include "management/domain/account_snapshot.h"

#include <algorithm>
#include <cstddef>

namespace nb::netmap {

/// Every object is the very same.
template <class Table>
[[nodiscard]] bool same_table(const Table& left, const Table& right) {
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i)
    if (left.ptr(i) != right.ptr(i)) return false;
  return true;
}

[[nodiscard]] inline bool same_rule(const management::PolicyRule& left,
                                    const management::PolicyRule& right) {
  return left.id == right.id && left.policy_id == right.policy_id &&
         left.enabled == right.enabled && left.action == right.action &&
         left.destinations == right.destinations &&
         left.destination_resource == right.destination_resource && left.sources == right.sources &&
         left.source_resource == right.source_resource &&
         left.bidirectional == right.bidirectional && left.protocol == right.protocol &&
         left.ports == right.ports && left.port_ranges == right.port_ranges &&
         left.authorized_groups == right.authorized_groups &&
         left.authorized_user == right.authorized_user;
}

[[nodiscard]] inline bool same_policy(const management::Policy& left,
                                      const management::Policy& right) {
  return &left == &right ||
         (left.id == right.id && left.enabled == right.enabled && left.order == right.order &&
          left.source_posture_checks == right.source_posture_checks &&
          std::ranges::equal(left.rules, right.rules, same_rule));
}

[[nodiscard]] inline bool same_route(const management::Route& left,
                                     const management::Route& right) {
  return &left == &right ||
         (left.id == right.id && left.network == right.network && left.domains == right.domains &&
          left.keep_route == right.keep_route && left.net_id == right.net_id &&
          left.peer == right.peer && left.peer_groups == right.peer_groups &&
          left.network_type == right.network_type && left.masquerade == right.masquerade &&
          left.metric == right.metric && left.enabled == right.enabled &&
          left.groups == right.groups &&
          left.access_control_groups == right.access_control_groups &&
          left.skip_auto_apply == right.skip_auto_apply);
}

[[nodiscard]] inline bool same_resource(const management::NetworkResource& left,
                                        const management::NetworkResource& right) {
  return &left == &right ||
         (left.id == right.id && left.network_id == right.network_id && left.name == right.name &&
          left.type == right.type && left.domain == right.domain && left.prefix == right.prefix &&
          left.enabled == right.enabled);
}

/// What a resource's route takes from its router.
[[nodiscard]] inline bool same_router(const management::NetworkRouter& left,
                                      const management::NetworkRouter& right) {
  return left.masquerade == right.masquerade && left.metric == right.metric;
}

}  // namespace nb::netmap
