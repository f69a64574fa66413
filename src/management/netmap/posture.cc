#include "management/netmap/posture.h"

#include "management/netmap/version.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace nb::netmap {
namespace {

using management::CheckedProcess;
using management::GeoLocationCheck;
using management::NetworkRangeCheck;
using management::OsVersionCheck;
using management::Peer;
using management::Prefix;

bool at_least(std::string_view version, std::string_view minimum) {
  const auto have = Version::parse(version);
  const auto wanted = Version::parse(minimum);
  return have && wanted && have->at_least(*wanted);
}

bool os_passes(const OsVersionCheck& check, const Peer& peer) {
  const auto& meta = peer.meta;
  const auto judge = [](const std::optional<std::string>& minimum, std::string_view version) {
    return minimum && at_least(version, *minimum);  // no entry: this system is not allowed
  };
  if (meta.go_os == "android") return judge(check.android, meta.os_version);
  if (meta.go_os == "darwin") return judge(check.darwin, meta.os_version);
  if (meta.go_os == "ios") return judge(check.ios, meta.os_version);
  if (meta.go_os == "linux") return judge(check.linux_kernel, without_suffix(meta.kernel_version));
  if (meta.go_os == "windows") return judge(check.windows_kernel, meta.kernel_version);
  return true;
}

/// A hit decides by the action; without one it is the other way round. Unknown actions deny.
bool verdict(std::string_view action, bool hit) {
  if (action == management::kCheckAllow) return hit;
  if (action == management::kCheckDeny) return !hit;
  return false;
}

bool location_passes(const GeoLocationCheck& check, const Peer& peer) {
  const auto& at = peer.location;
  if (at.country_code.empty() && at.city_name.empty()) return false;
  const bool hit = std::ranges::any_of(check.locations, [&](const auto& location) {
    return location.country_code == at.country_code &&
           (location.city_name.empty() || location.city_name == at.city_name);
  });
  return verdict(check.action, hit);
}

/// The whole of `inner` lies in `outer`.
bool contains(const Prefix& outer, const Prefix& inner) {
  return outer.address.bits() == inner.address.bits() && outer.length <= inner.length &&
         outer.masked().contains(inner.masked().address);
}

bool range_passes(const NetworkRangeCheck& check, const Peer& peer) {
  std::vector<Prefix> prefixes;
  for (const auto& address : peer.meta.network_addresses) prefixes.push_back(address.net_ip);
  if (peer.location.connection_ip.is_set()) {
    const auto address = peer.location.connection_ip.unmapped();
    prefixes.push_back({address, address.bits()});
  }
  if (prefixes.empty()) return false;
  const bool hit = std::ranges::any_of(prefixes, [&](const Prefix& prefix) {
    return std::ranges::any_of(check.ranges,
                               [&](const Prefix& range) { return contains(range, prefix); });
  });
  return verdict(check.action, hit);
}

bool processes_pass(const std::vector<CheckedProcess>& processes, const Peer& peer) {
  std::string CheckedProcess::*path = nullptr;
  if (peer.meta.go_os == "linux") path = &CheckedProcess::linux_path;
  if (peer.meta.go_os == "darwin") path = &CheckedProcess::mac_path;
  if (peer.meta.go_os == "windows") path = &CheckedProcess::windows_path;
  if (path == nullptr) return false;
  return std::ranges::all_of(processes, [&](const CheckedProcess& process) {
    return !(process.*path).empty() &&
           std::ranges::any_of(peer.meta.files, [&](const management::MetaFile& file) {
             return file.process_is_running && file.path == process.*path;
           });
  });
}

}  // namespace

bool passes(const management::PostureChecks& checks, const Peer& peer) {
  if (checks.unreadable) return false;
  if (checks.nb_version_min &&
      !at_least(without_suffix(peer.meta.wt_version), without_suffix(*checks.nb_version_min)))
    return false;
  if (checks.os_version && !os_passes(*checks.os_version, peer)) return false;
  if (checks.geo_location && !location_passes(*checks.geo_location, peer)) return false;
  if (checks.network_range && !range_passes(*checks.network_range, peer)) return false;
  return !checks.processes || processes_pass(*checks.processes, peer);
}

std::vector<std::string> checked_files(const management::PostureChecks& checks) {
  std::vector<std::string> files;
  if (!checks.processes) return files;
  for (const CheckedProcess& process : *checks.processes)
    for (const auto* path : {&process.linux_path, &process.mac_path, &process.windows_path})
      if (!path->empty()) files.push_back(*path);
  return files;
}

}  // namespace nb::netmap
