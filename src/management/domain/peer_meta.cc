#include "management/domain/peer_meta.h"

#include <algorithm>
#include <utility>

namespace nb::management {
namespace {

template <class T>
bool same_multiset(std::vector<T> a, std::vector<T> b) {
  if (a.size() != b.size()) return false;
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

std::vector<std::int32_t> as_set(std::vector<std::int32_t> values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

}  // namespace

bool PeerMeta::has_capability(std::int32_t capability) const {
  return std::find(capabilities.begin(), capabilities.end(), capability) != capabilities.end();
}

bool PeerMeta::supports_ipv6() const {
  return has_capability(kCapabilityIpv6Overlay) && !flags.disable_ipv6;
}

bool PeerMeta::is_empty() const {
  return hostname.empty() && go_os.empty() && kernel.empty() && core.empty() && platform.empty() &&
         os.empty() && os_version.empty() && wt_version.empty() && ui_version.empty() &&
         kernel_version.empty() && network_addresses.empty() && system_serial_number.empty() &&
         system_product_name.empty() && system_manufacturer.empty() && environment_cloud.empty() &&
         environment_platform.empty() && files.empty();
}

PeerMeta merged_meta(const PeerMeta& stored, PeerMeta sent) {
  if (sent.is_empty()) return stored;
  if (sent.ui_version.empty()) sent.ui_version = stored.ui_version;
  sent.core = stored.core;
  return sent;
}

MetaChange compare_meta(const PeerMeta& a, const PeerMeta& b) {
  MetaChange change;
  change.hostname = a.hostname != b.hostname;
  change.version = a.wt_version != b.wt_version;
  change.ipv6_support = a.supports_ipv6() != b.supports_ipv6();
  // Posture checks read the operating system, addresses and files; the map itself the version,
  // flags and capabilities.
  change.map_relevant = change.hostname || change.version || a.go_os != b.go_os || a.os != b.os ||
                        a.os_version != b.os_version || a.kernel_version != b.kernel_version ||
                        a.flags != b.flags || a.sync_message_version != b.sync_message_version ||
                        as_set(a.capabilities) != as_set(b.capabilities) ||
                        !same_multiset(a.network_addresses, b.network_addresses) ||
                        !same_multiset(a.files, b.files);
  change.any = change.map_relevant || a.kernel != b.kernel || a.core != b.core ||
               a.platform != b.platform || a.ui_version != b.ui_version ||
               a.system_serial_number != b.system_serial_number ||
               a.system_product_name != b.system_product_name ||
               a.system_manufacturer != b.system_manufacturer ||
               a.environment_cloud != b.environment_cloud ||
               a.environment_platform != b.environment_platform;
  return change;
}

}  // namespace nb::management
