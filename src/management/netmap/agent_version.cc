#include "management/netmap/agent_version.h"

#include <charconv>

namespace nb::netmap {

bool is_development(std::string_view version) {
  return version.starts_with("development") || version.starts_with("dev-") ||
         version.starts_with("ci-");
}

std::optional<AgentVersion> AgentVersion::parse(std::string_view text) {
  AgentVersion version;
  if (text.starts_with('v')) text.remove_prefix(1);
  if (const auto plus = text.find('+'); plus != text.npos) text = text.substr(0, plus);
  if (const auto dash = text.find('-'); dash != text.npos) {
    version.prerelease = true;
    text = text.substr(0, dash);
  }
  for (std::size_t part = 0; part < version.numbers.size(); ++part) {
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, version.numbers[part]);
    if (error != std::errc{}) return std::nullopt;
    if (stop == end) return version;  // missing parts are zero
    if (*stop != '.') return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()) + 1);
  }
  // More than three numbers: what follows must be numbers as well.
  if (text.empty() || text.find_first_not_of("0123456789.") != text.npos) return std::nullopt;
  return version;
}

AgentFeatures AgentFeatures::of(std::string_view text) {
  if (is_development(text))
    return {
        .port_ranges = true, .native_ssh = true, .top_level_peers = false, .new_forwarder = true};
  const auto version = AgentVersion::parse(text);
  if (!version)
    return {
        .port_ranges = false, .native_ssh = false, .top_level_peers = true, .new_forwarder = false};
  const auto at_least = [&](std::array<std::uint32_t, 3> wanted) {
    return version->numbers >= wanted;
  };
  return {.port_ranges = at_least({0, 48, 0}),
          .native_ssh = at_least({0, 60, 0}),
          .top_level_peers = version->prerelease || !at_least({0, 29, 3}),
          .new_forwarder = !version->prerelease && at_least({0, 59, 0})};
}

}  // namespace nb::netmap
