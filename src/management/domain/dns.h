// Name servers and zones that are distributed to peers.
// Source   contract/network-map.md §1.12.
#pragma once

#include "management/domain/address.h"
#include "management/domain/ids.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management {

inline constexpr std::int64_t kNameServerUdp = 1;

struct NameServer {
  IpAddress ip;
  std::int64_t type = kNameServerUdp;
  std::int64_t port = 53;
  friend bool operator==(const NameServer&, const NameServer&) = default;
};

struct NameServerGroup {
  NameServerGroupId id;
  AccountId account_id;
  PublicId public_id;
  std::string name;
  std::string description;
  std::vector<NameServer> name_servers;
  std::vector<GroupId> groups;
  bool primary = false;
  std::vector<std::string> domains;
  bool enabled = false;
  bool search_domains_enabled = false;
};

struct DnsZoneRecord {
  RecordId id;
  AccountId account_id;
  ZoneId zone_id;
  std::string name;
  std::string type;  // "A", "AAAA" or "CNAME"
  std::string content;
  std::int64_t ttl = 0;  // seconds
};

/// A zone with its records.
struct DnsZone {
  ZoneId id;
  AccountId account_id;
  std::string name;
  std::string domain;
  bool enabled = false;
  bool enable_search_domain = false;
  std::vector<GroupId> distribution_groups;
  std::vector<DnsZoneRecord> records;  // by id
};

}  // namespace nb::management
