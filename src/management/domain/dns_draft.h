// What a caller asks of name-server groups, zones and records.
// Source   contract/network-map.md §1.12, rest-api.md §7.12.
#pragma once

#include "base/result.h"
#include "management/domain/allocation.h"
#include "management/domain/dns.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nb::management {

struct NameServerDraft {
  std::string ip{};    // brackets around IPv6 are accepted
  std::string type{};  // "udp"
  std::int64_t port = 53;
};

struct NameServerGroupDraft {
  std::string name{};
  std::string description{};
  std::vector<NameServerDraft> name_servers{};
  std::vector<GroupId> groups{};
  bool primary = false;
  std::vector<std::string> domains{};
  bool enabled = false;
  bool search_domains_enabled = false;
};

struct ZoneDraft {
  std::string name{};
  std::string domain{};
  bool enabled = true;
  bool enable_search_domain = false;
  std::vector<GroupId> distribution_groups{};
};

struct RecordDraft {
  std::string name{};
  std::string type{};
  std::string content{};
  std::int64_t ttl = 0;
};

// All without ids. Errors: kInvalidArgument with the texts of rest-api.md §7.12.
[[nodiscard]] Result<NameServerGroup> name_server_group_of(const NameServerGroupDraft& draft,
                                                           const ToAsciiFn& to_ascii);
[[nodiscard]] Result<DnsZone> zone_of(const ZoneDraft& draft);
[[nodiscard]] Result<DnsZoneRecord> record_of(const RecordDraft& draft);

/// The record may stand in the zone beside the records that are there (itself, by id, left out).
/// Errors   kInvalidArgument: outside the zone, CNAME beside others; kAlreadyExists: identical.
[[nodiscard]] Result<> check_record_fits(const DnsZone& zone, const DnsZoneRecord& record);

}  // namespace nb::management
