// Actions and protocols of policy rules as values; texts that we do not know match nothing.
#pragma once

#include "management/domain/policy.h"

#include <cstdint>
#include <optional>

namespace nb::netmap {

enum class Action : std::uint8_t { kAccept, kDrop };
enum class Protocol : std::uint8_t { kAll, kTcp, kUdp, kIcmp };
enum class Direction : std::uint8_t { kIn, kOut };

[[nodiscard]] inline std::optional<Action> action_of(const management::PolicyRule& rule) {
  if (rule.action == management::kActionAccept) return Action::kAccept;
  if (rule.action == management::kActionDrop) return Action::kDrop;
  return std::nullopt;
}

/// netbird-ssh is tcp on the wire.
[[nodiscard]] inline std::optional<Protocol> protocol_of(const management::PolicyRule& rule) {
  if (rule.protocol == management::kProtocolAll) return Protocol::kAll;
  if (rule.protocol == management::kProtocolTcp || rule.protocol == management::kProtocolSsh)
    return Protocol::kTcp;
  if (rule.protocol == management::kProtocolUdp) return Protocol::kUdp;
  if (rule.protocol == management::kProtocolIcmp) return Protocol::kIcmp;
  return std::nullopt;
}

/// Enabled, and of a kind that we know.
[[nodiscard]] inline bool usable(const management::PolicyRule& rule) {
  return rule.enabled && action_of(rule) && protocol_of(rule);
}

/// The peer that stands alone on a side; nothing when the side is by groups.
[[nodiscard]] inline bool names_peer(const management::Resource& resource) {
  return resource.type == "peer" && resource.is_set();
}

}  // namespace nb::netmap
