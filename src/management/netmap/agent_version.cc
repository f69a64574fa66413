#include "management/netmap/agent_version.h"

#include "management/netmap/version.h"

namespace nb::netmap {
namespace {

const Version kPortRanges{{0, 48, 0}, {}};
const Version kNativeSsh{{0, 60, 0}, {}};
const Version kOwnPeerList{{0, 29, 3}, {}};
const SemanticVersion kNewForwarder{{0, 59, 0}, {}};

}  // namespace

bool is_development(std::string_view version) {
  return version.starts_with("development") || version.starts_with("dev-") ||
         version.starts_with("ci-");
}

AgentFeatures AgentFeatures::of(std::string_view text) {
  if (is_development(text))
    return {
        .port_ranges = true, .native_ssh = true, .top_level_peers = false, .new_forwarder = true};
  const auto cut = Version::parse(without_suffix(text));
  const auto whole = Version::parse(text);
  const auto semantic = SemanticVersion::parse(text);
  return {.port_ranges = cut && cut->at_least(kPortRanges),
          .native_ssh = cut && cut->at_least(kNativeSsh),
          .top_level_peers = !whole || !whole->at_least(kOwnPeerList),
          .new_forwarder = semantic && semantic->at_least(kNewForwarder)};
}

}  // namespace nb::netmap
