// What a browser client may reach for a while: rules of one word each.
// Source   contract/network-map.md §4.5, rest-api.md §7.6.
#pragma once

#include "base/result.h"
#include "management/domain/policy_draft.h"

#include <string>
#include <string_view>

namespace nb::management {

/// The only rule of the policy that "all", "icmp", "tcp/80", "udp/1-100" or "netbird-ssh/22" asks
/// for, from `peer` to `target`; `user` is who may log in over SSH.
/// Errors   kInvalidArgument: not such a word.
[[nodiscard]] Result<PolicyRuleDraft> temporary_rule(std::string_view word, const PeerId& peer,
                                                     const PeerId& target, const UserId& user);

}  // namespace nb::management
