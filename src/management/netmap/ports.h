// Which ports of a policy rule are told to an agent, and in which form.
// Source   contract/network-map.md §2.5.
#pragma once

#include "management/domain/policy.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nb::netmap {

/// One firewall rule's port selection: a single port as text, a range, or neither.
struct PortSelection {
  std::string port;
  management::PortRange range{};  // {0,0}: no range
  friend bool operator==(const PortSelection&, const PortSelection&) = default;
};

struct PortFeatures {
  bool ranges = false;
  bool ssh_companion = false;  // 22 brings 22022 along
};

/// Never empty for a rule without ports; may be empty for an old agent and wide ranges.
[[nodiscard]] std::vector<PortSelection> expand_ports(const management::PolicyRule& rule,
                                                      PortFeatures features);

/// Whether ports or ranges of the rule contain `port`; a rule without ports contains none.
[[nodiscard]] bool lists_port(const management::PolicyRule& rule, std::uint16_t port);

}  // namespace nb::netmap
