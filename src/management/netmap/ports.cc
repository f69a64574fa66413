#include "management/netmap/ports.h"

#include <algorithm>

namespace nb::netmap {
namespace {

using management::PolicyRule;
using management::PortRange;

constexpr std::uint16_t kSshPort = 22;
constexpr std::uint16_t kNativeSshPort = 22022;

bool covers(const PortSelection& selection, std::uint16_t port) {
  if (!selection.port.empty()) return selection.port == std::to_string(port);
  return selection.range.end != 0 && selection.range.start <= port && port <= selection.range.end;
}

}  // namespace

bool lists_port(const PolicyRule& rule, std::uint16_t port) {
  return std::ranges::find(rule.ports, std::to_string(port)) != rule.ports.end() ||
         std::ranges::any_of(rule.port_ranges, [&](const PortRange& range) {
           return range.start <= port && port <= range.end;
         });
}

std::vector<PortSelection> expand_ports(const PolicyRule& rule, PortFeatures features) {
  std::vector<PortSelection> out;
  const bool ssh = rule.protocol == management::kProtocolSsh;
  if (rule.ports.empty() && rule.port_ranges.empty()) {
    // Upstream opens every tcp port for netbird-ssh here; contract/network-map.md §1.8 says 22.
    if (!ssh) return {PortSelection{}};
    out.push_back({.port = std::to_string(kSshPort)});
  } else if (!rule.ports.empty()) {
    for (const std::string& port : rule.ports) out.push_back({.port = port});
  } else {
    for (const PortRange& range : rule.port_ranges) {
      if (features.ranges)
        out.push_back({.port = {}, .range = range});
      else if (range.start == range.end)
        out.push_back({.port = std::to_string(range.start)});
    }
  }
  const auto any_covers = [&](std::uint16_t port) {
    return std::ranges::any_of(out, [&](const PortSelection& s) { return covers(s, port); });
  };
  if ((ssh || features.ssh_companion) && any_covers(kSshPort) && !any_covers(kNativeSshPort))
    out.push_back({.port = std::to_string(kNativeSshPort)});
  return out;
}

}  // namespace nb::netmap
