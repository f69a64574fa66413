// DNS: contract/network-map.md §1.12, rest-api.md §7.12.
#pragma once

#include "management/domain/dns_draft.h"
#include "management/store/edits/edit.h"

#include <string>
#include <vector>

namespace nb::management {

/// Creates (empty id) or replaces.
/// Errors   name_server_group_of()'s; kInvalidArgument: name taken, unknown group; kNotFound.
struct SaveNameServerGroup {
  using Answer = NameServerGroup;
  NameServerGroupId id{};
  NameServerGroupDraft draft{};
};

struct DeleteNameServerGroup {
  using Answer = Nothing;
  NameServerGroupId id{};
};

/// The groups whose peers do not get DNS from us. The answer is the stored list.
/// Errors   kInvalidArgument "group id g not found".
struct SaveDnsSettings {
  using Answer = std::vector<GroupId>;
  std::vector<GroupId> disabled_management_groups{};
};

/// Creates (empty id) or replaces; the domain never changes.
/// Errors   zone_of()'s; kInvalidArgument: peer domain, unknown group, changed domain;
///          kAlreadyExists: domain; kNotFound.
struct SaveZone {
  using Answer = DnsZone;
  ZoneId id{};
  ZoneDraft draft{};
};

/// With its records.
struct DeleteZone {
  using Answer = Nothing;
  ZoneId id{};
};

/// Errors   record_of()'s and check_record_fits()'s; kNotFound: zone, record.
struct SaveRecord {
  using Answer = DnsZoneRecord;
  ZoneId zone{};
  RecordId id{};
  RecordDraft draft{};
};

struct DeleteRecord {
  using Answer = Nothing;
  ZoneId zone{};
  RecordId id{};
};

}  // namespace nb::management
