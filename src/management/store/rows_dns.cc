// Nameserver groups, zones with their records; services and domains of the reverse proxy.
#include "management/store/rows.h"
#include "management/store/rows_text.h"

namespace nb::management::rows {
namespace {

using columns::Damage;
using sql::Param;
using sql::RowReader;

constexpr std::string_view kNameServerGroup =
    "id account_id public_id name description name_servers groups primary domains enabled "
    "search_domains_enabled ";
constexpr std::string_view kZone =
    "id account_id name domain enabled enable_search_domain distribution_groups ";
constexpr std::string_view kRecord = "id account_id zone_id name type content ttl ";
// Of the reverse proxy's rows only what network maps need.
constexpr std::string_view kService =
    "id account_id name domain proxy_cluster enabled terminated mode private access_groups ";
constexpr std::string_view kTarget =
    "service_id id path port protocol target_id target_type enabled ";
constexpr std::string_view kProxyDomain = "id account_id domain target_cluster validated ";

std::vector<Param> values(const NameServerGroup& s) {
  return {Param(s.id.value()),
          Param(s.account_id.value()),
          Param(s.public_id.value()),
          Param(s.name),
          Param(s.description),
          Param(columns::name_servers(s.name_servers)),
          Param(columns::ids(s.groups)),
          Param(s.primary),
          Param(columns::strings(s.domains)),
          Param(s.enabled),
          Param(s.search_domains_enabled)};
}

std::vector<Param> values(const DnsZone& z) {
  return {Param(z.id.value()),
          Param(z.account_id.value()),
          Param(z.name),
          Param(z.domain),
          Param(z.enabled),
          Param(z.enable_search_domain),
          Param(columns::ids(z.distribution_groups))};
}

std::vector<Param> values(const DnsZoneRecord& d) {
  return {Param(d.id.value()),
          Param(d.account_id.value()),
          Param(d.zone_id.value()),
          Param(d.name),
          Param(d.type),
          Param(d.content),
          Param(d.ttl)};
}

}  // namespace

const std::string& name_server_group_columns() {
  static const std::string kList = select_list("s", {kNameServerGroup});
  return kList;
}
const std::string& zone_columns() {
  static const std::string kList = select_list("z", {kZone});
  return kList;
}
const std::string& record_columns() {
  static const std::string kList = select_list("d", {kRecord});
  return kList;
}
const std::string& service_columns() {
  static const std::string kList = select_list("v", {kService});
  return kList;
}
const std::string& target_columns() {
  static const std::string kList = select_list("x", {kTarget});
  return kList;
}
const std::string& proxy_domain_columns() {
  static const std::string kList = select_list("y", {kProxyDomain});
  return kList;
}

NameServerGroup read_name_server_group(RowReader& row, Damage& damage) {
  const columns::DamageSince damaged(damage);
  NameServerGroup s;
  s.id = NameServerGroupId(row.string());
  s.account_id = AccountId(row.string());
  s.public_id = PublicId(row.string());
  s.name = row.string();
  s.description = row.string();
  s.name_servers = columns::read_name_servers(row.text(), damage);
  s.groups = columns::read_ids<GroupId>(row.text(), damage);
  s.primary = row.boolean();
  s.domains = columns::read_strings(row.text(), damage);
  s.enabled = row.boolean();
  s.search_domains_enabled = row.boolean();
  if (damaged.any()) s.enabled = false;
  return s;
}

Write insert_name_server_group(const NameServerGroup& group) {
  static const std::string kText = insert_text("name_server_groups", {kNameServerGroup});
  return {kText, own(values(group))};
}

Write update_name_server_group(const NameServerGroup& group) {
  static const std::string kText = update_text("name_server_groups", {kNameServerGroup});
  return {kText, own(values(group))};
}

DnsZone read_zone(RowReader& row, Damage& damage) {
  const columns::DamageSince damaged(damage);
  DnsZone z;
  z.id = ZoneId(row.string());
  z.account_id = AccountId(row.string());
  z.name = row.string();
  z.domain = row.string();
  z.enabled = row.boolean();
  z.enable_search_domain = row.boolean();
  z.distribution_groups = columns::read_ids<GroupId>(row.text(), damage);
  if (damaged.any()) z.enabled = false;
  return z;
}

Write insert_zone(const DnsZone& zone) {
  static const std::string kText = insert_text("zones", {kZone});
  return {kText, own(values(zone))};
}

Write update_zone(const DnsZone& zone) {
  static const std::string kText = update_text("zones", {kZone});
  return {kText, own(values(zone))};
}

DnsZoneRecord read_record(RowReader& row, Damage& /*damage*/) {
  DnsZoneRecord d;
  d.id = RecordId(row.string());
  d.account_id = AccountId(row.string());
  d.zone_id = ZoneId(row.string());
  d.name = row.string();
  d.type = row.string();
  d.content = row.string();
  d.ttl = row.integer();
  return d;
}

Write insert_record(const DnsZoneRecord& record) {
  static const std::string kText = insert_text("records", {kRecord});
  return {kText, own(values(record))};
}

Write update_record(const DnsZoneRecord& record) {
  static const std::string kText = update_text("records", {kRecord});
  return {kText, own(values(record))};
}

ProxyService read_service(RowReader& row, Damage& damage) {
  const columns::DamageSince damaged(damage);
  ProxyService v;
  v.id = ServiceId(row.string());
  v.account_id = AccountId(row.string());
  v.name = row.string();
  v.domain = row.string();
  v.proxy_cluster = row.string();
  v.enabled = row.boolean();
  v.terminated = row.boolean();
  v.mode = row.string();
  v.is_private = row.boolean();
  v.access_groups = columns::read_ids<GroupId>(row.text(), damage);
  if (damaged.any()) v.enabled = false;
  return v;
}

std::pair<ServiceId, ServiceTarget> read_target(RowReader& row, Damage& /*damage*/) {
  ServiceId service(row.string());
  ServiceTarget x;
  x.id = row.integer();
  x.path = row.string();
  x.port = row.integer();
  x.protocol = row.string();
  x.target_id = row.string();
  x.target_type = row.string();
  x.enabled = row.boolean();
  return {std::move(service), std::move(x)};
}

ProxyDomain read_proxy_domain(RowReader& row, Damage& /*damage*/) {
  ProxyDomain y;
  y.id = ProxyDomainId(row.string());
  y.account_id = AccountId(row.string());
  y.domain = row.string();
  y.target_cluster = row.string();
  y.validated = row.boolean();
  return y;
}

}  // namespace nb::management::rows
