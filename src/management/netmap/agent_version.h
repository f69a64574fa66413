// What a peer's agent can do, from the version it reports.
#pragma once

#include <string_view>

namespace nb::netmap {

/// Everything that starts with "development", "dev-" or "ci-": supports whatever there is.
[[nodiscard]] bool is_development(std::string_view version);

/// Everything the map depends on, worked out once per peer and not once per rule
/// (contract/network-map.md §2.5, §2.9, §2.12; anchors.md on what that costs otherwise).
struct AgentFeatures {
  bool port_ranges = false;      // >= 0.48.0; text after the first '-' does not count
  bool native_ssh = false;       // >= 0.60.0; likewise
  bool top_level_peers = false;  // < 0.29.3, unreadable, or a pre-release of anything
  bool new_forwarder = false;    // >= 0.59.0; its own pre-releases count as old

  static AgentFeatures of(std::string_view version);
};

}  // namespace nb::netmap
