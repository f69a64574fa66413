// What an agent says about its machine, and which differences count.
// Source   contract/network-map.md §1.6, management-grpc.md §5.2.4.
#pragma once

#include "management/domain/address.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nb::management {

struct NetworkAddress {
  /// A prefix as the agent sent it ("192.168.1.5/24"); unparsable ones are dropped before.
  Prefix net_ip;
  std::string mac;
  friend bool operator==(const NetworkAddress&, const NetworkAddress&) = default;
  friend auto operator<=>(const NetworkAddress&, const NetworkAddress&) = default;
};

struct MetaFile {
  std::string path;
  bool exists = false;
  bool process_is_running = false;
  friend bool operator==(const MetaFile&, const MetaFile&) = default;
  friend auto operator<=>(const MetaFile&, const MetaFile&) = default;
};

struct MetaFlags {
  bool rosenpass_enabled = false;
  bool rosenpass_permissive = false;
  bool server_ssh_allowed = false;
  bool disable_client_routes = false;
  bool disable_server_routes = false;
  bool disable_dns = false;
  bool disable_firewall = false;
  bool block_lan_access = false;
  bool block_inbound = false;
  bool disable_ipv6 = false;
  bool lazy_connection_enabled = false;
  friend bool operator==(const MetaFlags&, const MetaFlags&) = default;
};

/// Values of PeerMeta::capabilities.
inline constexpr std::int32_t kCapabilitySourcePrefixes = 1;
inline constexpr std::int32_t kCapabilityIpv6Overlay = 2;
inline constexpr std::int32_t kCapabilityComponentMap = 3;

struct PeerMeta {
  std::string hostname;
  std::string go_os;
  std::string kernel;
  std::string core;  // never written by us; kept as found
  std::string platform;
  std::string os;
  std::string os_version;
  std::string wt_version;
  std::string ui_version;
  std::string kernel_version;
  std::vector<NetworkAddress> network_addresses;
  std::string system_serial_number;
  std::string system_product_name;
  std::string system_manufacturer;
  std::string environment_cloud;
  std::string environment_platform;
  MetaFlags flags;
  std::vector<MetaFile> files;
  std::vector<std::int32_t> capabilities;
  std::int64_t sync_message_version = 0;

  [[nodiscard]] bool has_capability(std::int32_t capability) const;
  /// The agent can carry IPv6 in the overlay and was not told not to.
  [[nodiscard]] bool supports_ipv6() const;
  /// Every string, address and file is empty: such a meta is ignored.
  [[nodiscard]] bool is_empty() const;
};

/// What a meta update would change.
struct MetaChange {
  bool any = false;
  /// Something that a network map, posture check or peer configuration may depend on.
  bool map_relevant = false;
  bool ipv6_support = false;
  bool version = false;
  bool hostname = false;
};

/// The meta to store when `sent` arrives over `stored`: an empty sent meta changes nothing, an
/// empty UI version keeps the stored one, `core` is never overwritten.
[[nodiscard]] PeerMeta merged_meta(const PeerMeta& stored, PeerMeta sent);

/// Addresses and files compare as multisets, capabilities as sets.
[[nodiscard]] MetaChange compare_meta(const PeerMeta& stored, const PeerMeta& updated);

}  // namespace nb::management
