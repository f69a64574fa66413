#include "management/store/edits/dns.h"

#include "base/text.h"
#include "management/store/edits/perform.h"
#include "management/store/idna.h"

#include <algorithm>

namespace nb::management::work {
namespace {

Result<> check_group_name_free(AccountEdit& edit, const NameServerGroup& group) {
  NB_LET(const std::vector<NameServerGroup> all, edit.get_all<NameServerGroup>());
  const bool taken = std::any_of(all.begin(), all.end(), [&](const NameServerGroup& other) {
    return other.name == group.name && other.id != group.id;
  });
  if (taken)
    return fail(Code::kInvalidArgument, "nameserver group with name {} already exist", group.name);
  return {};
}

Result<> check_domain_free(AccountEdit& edit, const DnsZone& zone) {
  // The server's own as well: it is the peers' as soon as the account gives up its own.
  NB_LET(const std::string peers, edit.dns_domain());
  if (equals_ignore_case(zone.domain, peers) ||
      equals_ignore_case(zone.domain, edit.context().options.dns_domain))
    return fail(Code::kInvalidArgument, "zone domain {} conflicts with peer DNS domain",
                zone.domain);
  NB_LET(const std::vector<DnsZone> all, edit.get_all<DnsZone>());
  for (const DnsZone& other : all)
    if (other.id != zone.id && equals_ignore_case(other.domain, zone.domain))
      return fail(Code::kAlreadyExists, "zone with domain {} already exists", zone.domain);
  return {};
}

EventMeta zone_meta(const DnsZone& zone) {
  return {{"name", zone.name}, {"domain", zone.domain}};
}

EventMeta record_meta(const DnsZoneRecord& record, const DnsZone& zone) {
  return {{"name", record.name}, {"type", record.type},        {"content", record.content},
          {"ttl", record.ttl},   {"zone_id", zone.id.value()}, {"zone_name", zone.name}};
}

const DnsZoneRecord* find_record(const DnsZone& zone, const RecordId& id) {
  const auto it = std::find_if(zone.records.begin(), zone.records.end(),
                               [&](const DnsZoneRecord& r) { return r.id == id; });
  return it == zone.records.end() ? nullptr : &*it;
}

}  // namespace

Result<NameServerGroup> perform(AccountEdit& edit, const SaveNameServerGroup& command) {
  NB_LET(NameServerGroup group, name_server_group_of(command.draft, idna_to_ascii));
  group.id = command.id;
  NB_LET(const std::optional<NameServerGroup> stored, edit.identify(group));
  NB_TRY(check_group_name_free(edit, group));
  NB_TRY(edit.require_groups(group.groups));
  if (edit.is_stored(stored, group)) return group;
  NB_TRY(edit.put(group, !stored));
  edit.event(stored ? Activity::kNameServerGroupUpdated : Activity::kNameServerGroupCreated,
             group.id.value(), {{"name", group.name}});
  return group;
}

Result<Nothing> perform(AccountEdit& edit, const DeleteNameServerGroup& command) {
  NB_LET(const NameServerGroup group, edit.get<NameServerGroup>(command.id));
  NB_TRY(edit.erase<NameServerGroup>(group.id));
  edit.event(Activity::kNameServerGroupDeleted, group.id.value(), {{"name", group.name}});
  return Nothing{};
}

Result<std::vector<GroupId>> perform(AccountEdit& edit, const SaveDnsSettings& command) {
  const std::vector<GroupId> after = without_repetitions(command.disabled_management_groups);
  NB_LET(const HeldGroups held, edit.require_groups(after));
  NB_LET(const Account* account, edit.account());
  const auto& before = account->dns_disabled_management_groups;
  if (before == after && !edit.is_damaged(account->id)) return after;
  NB_TRY(edit.session().exec(
      "UPDATE accounts SET dns_settings_disabled_management_groups = $2 WHERE id = $1",
      {account->id.value(), columns::ids(after)}));
  edit.changes().touched_account();
  const auto moves = difference(before, after);
  const auto report = [&](Activity activity, const std::vector<GroupId>& ids) -> Result<> {
    NB_LET(const std::vector<Group> groups, edit.get_some<Group>(ids));
    for (const Group& group : groups)
      edit.event(activity, account->id.value(),
                 {{"group", group.name}, {"group_id", group.id.value()}});
    return {};
  };
  NB_TRY(report(Activity::kGroupAddedToDnsDisabled, moves.added));
  NB_TRY(report(Activity::kGroupRemovedFromDnsDisabled, moves.removed));
  return after;
}

Result<DnsZone> perform(AccountEdit& edit, const SaveZone& command) {
  NB_LET(DnsZone zone, zone_of(command.draft));
  zone.id = command.id;
  NB_LET(std::optional<DnsZone> stored, edit.identify(zone));
  if (stored && stored->domain != zone.domain)
    return fail(Code::kInvalidArgument, "zone domain cannot be updated");
  if (!stored) NB_TRY(check_domain_free(edit, zone));
  NB_TRY(edit.require_groups(zone.distribution_groups));
  const bool same = edit.is_stored(stored, zone);
  if (stored) zone.records = std::move(stored->records);
  if (same) return zone;
  NB_TRY(edit.put(zone, !stored));
  edit.event(stored ? Activity::kDnsZoneUpdated : Activity::kDnsZoneCreated, zone.id.value(),
             zone_meta(zone));
  return zone;
}

Result<Nothing> perform(AccountEdit& edit, const DeleteZone& command) {
  NB_LET(const DnsZone zone, edit.get<DnsZone>(command.id));
  NB_TRY(edit.session().exec("DELETE FROM records WHERE zone_id = $1", {zone.id.value()}));
  NB_TRY(edit.erase<DnsZone>(zone.id));
  for (const DnsZoneRecord& record : zone.records)
    edit.event(Activity::kDnsRecordDeleted, record.id.value(), record_meta(record, zone));
  edit.event(Activity::kDnsZoneDeleted, zone.id.value(), zone_meta(zone));
  return Nothing{};
}

Result<DnsZoneRecord> perform(AccountEdit& edit, const SaveRecord& command) {
  NB_LET(DnsZoneRecord record, record_of(command.draft));
  NB_LET(const DnsZone zone, edit.get<DnsZone>(command.zone));
  const bool fresh = command.id.empty();
  const DnsZoneRecord* stored = fresh ? nullptr : find_record(zone, command.id);
  if (!fresh && stored == nullptr)
    return fail(Code::kNotFound, "dns record: {} not found", command.id.value());
  record.id = fresh ? RecordId(edit.new_id()) : command.id;
  record.account_id = edit.account_id();
  record.zone_id = zone.id;
  NB_TRY(check_record_fits(zone, record));
  const rows::Write write = fresh ? rows::insert_record(record) : rows::update_record(record);
  if (stored != nullptr && AccountEdit::same_values(rows::update_record(*stored), write))
    return record;
  NB_TRY(edit.session().query(write.statement, write.values));
  edit.changes().touched(zone.id);
  edit.event(fresh ? Activity::kDnsRecordCreated : Activity::kDnsRecordUpdated, record.id.value(),
             record_meta(record, zone));
  return record;
}

Result<Nothing> perform(AccountEdit& edit, const DeleteRecord& command) {
  NB_LET(const DnsZone zone, edit.get<DnsZone>(command.zone));
  const DnsZoneRecord* record = find_record(zone, command.id);
  if (record == nullptr)
    return fail(Code::kNotFound, "dns record: {} not found", command.id.value());
  NB_TRY(edit.session().exec("DELETE FROM records WHERE zone_id = $1 AND id = $2",
                             {zone.id.value(), record->id.value()}));
  edit.changes().touched(zone.id);
  edit.event(Activity::kDnsRecordDeleted, record->id.value(), record_meta(*record, zone));
  return Nothing{};
}

}  // namespace nb::management::work
