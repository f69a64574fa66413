// What a peer's agent can do, from the version it reports.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nb::netmap {

/// The numbers of "0.60.1", "v0.60", "0.60.0-rc1+meta"; nothing when the text is no version.
struct AgentVersion {
  std::array<std::uint32_t, 3> numbers{};
  bool prerelease = false;

  static std::optional<AgentVersion> parse(std::string_view text);
};

/// "development" and everything that starts with "dev-" or "ci-": supports whatever there is.
[[nodiscard]] bool is_development(std::string_view version);

/// Everything the map depends on, worked out once per peer and not once per rule
/// (contract/network-map.md §2.5, §2.9, §2.12; anchors.md on what that costs otherwise).
struct AgentFeatures {
  bool port_ranges = false;      // >= 0.48.0; text after the first '-' does not count
  bool native_ssh = false;       // >= 0.60.0; likewise
  bool top_level_peers = false;  // < 0.29.3, unreadable, or a pre-release of anything
  bool new_forwarder = false;    // >= 0.59.0; a pre-release counts as old

  static AgentFeatures of(std::string_view version);
};

}  // namespace nb::netmap
