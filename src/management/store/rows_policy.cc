// Groups, policies with their rules, posture checks.
#include "management/store/rows.h"
#include "management/store/rows_text.h"

namespace nb::management::rows {
namespace {

using columns::Damage;
using sql::Param;
using sql::RowReader;

constexpr std::string_view kGroup =
    "id account_id public_id name issued resources integration_ref_id "
    "integration_ref_integration_type ";
constexpr std::string_view kPolicy =
    "id public_id account_id name description enabled source_posture_checks ";
constexpr std::string_view kRule =
    "id policy_id name description enabled action destinations destination_resource "
    "sources source_resource bidirectional protocol ports port_ranges authorized_groups "
    "authorized_user ";
constexpr std::string_view kPostureCheck = "id name description account_id public_id checks ";

std::vector<Param> values(const Group& g) {
  return {Param(g.id.value()),
          Param(g.account_id.value()),
          Param(g.public_id.value()),
          Param(g.name),
          Param(g.issued),
          Param(columns::resources(g.resources)),
          Param(g.integration_ref_id),
          Param(g.integration_ref_type)};
}

std::vector<Param> values(const Policy& o) {
  return {Param(o.id.value()),
          Param(o.public_id.value()),
          Param(o.account_id.value()),
          Param(o.name),
          Param(o.description),
          Param(o.enabled),
          Param(columns::ids(o.source_posture_checks))};
}

std::vector<Param> values(const PolicyRule& r) {
  return {Param(r.id.value()),
          Param(r.policy_id.value()),
          Param(r.name),
          Param(r.description),
          Param(r.enabled),
          Param(r.action),
          Param(columns::ids(r.destinations)),
          Param(columns::resource(r.destination_resource)),
          Param(columns::ids(r.sources)),
          Param(columns::resource(r.source_resource)),
          Param(r.bidirectional),
          Param(r.protocol),
          Param(columns::strings(r.ports)),
          Param(columns::port_ranges(r.port_ranges)),
          Param(columns::authorized_groups(r.authorized_groups)),
          Param(r.authorized_user)};
}

std::vector<Param> values(const PostureCheck& c) {
  return {Param(c.id.value()),        Param(c.name),
          Param(c.description),       Param(c.account_id.value()),
          Param(c.public_id.value()), Param(columns::posture_checks(c.checks))};
}

}  // namespace

const std::string& group_columns() {
  static const std::string kList = select_list("g", {kGroup});
  return kList;
}
const std::string& policy_columns() {
  static const std::string kList = select_list("o", {kPolicy});
  return kList;
}
const std::string& rule_columns() {
  static const std::string kList = select_list("r", {kRule});
  return kList;
}
const std::string& posture_check_columns() {
  static const std::string kList = select_list("c", {kPostureCheck});
  return kList;
}

Group read_group(RowReader& row, Damage& damage) {
  Group g;
  g.id = GroupId(row.string());
  g.account_id = AccountId(row.string());
  g.public_id = PublicId(row.string());
  g.name = row.string();
  g.issued = row.string();
  g.resources = columns::read_resources(row.text(), damage);
  g.integration_ref_id = row.integer();
  g.integration_ref_type = row.string();
  return g;
}

Write insert_group(const Group& group) {
  static const std::string kText = insert_text("groups", {kGroup});
  return {kText, own(values(group))};
}

Write update_group(const Group& group) {
  static const std::string kText = update_text("groups", {kGroup});
  return {kText, own(values(group))};
}

Policy read_policy(RowReader& row, Damage& damage) {
  Policy o;
  o.id = PolicyId(row.string());
  o.public_id = PublicId(row.string());
  o.account_id = AccountId(row.string());
  o.name = row.string();
  o.description = row.string();
  o.enabled = row.boolean();
  o.source_posture_checks = columns::read_ids<PostureCheckId>(row.text(), damage);
  return o;
}

Write insert_policy(const Policy& policy, bool is_default) {
  static const std::string kText = insert_text("policies", {kPolicy, "nb_is_default "});
  Write out{kText, own(values(policy))};
  // Upstream's account set-up never sets the list; its API stores an empty one.
  if (is_default && policy.source_posture_checks.empty()) out.values.back() = Param(nullptr);
  out.values.push_back(is_default ? Param(true) : Param(nullptr));
  return out;
}

Write update_policy(const Policy& policy) {
  static const std::string kText = update_text("policies", {kPolicy});
  return {kText, own(values(policy))};
}

PolicyRule read_rule(RowReader& row, Damage& damage) {
  const columns::DamageSince damaged(damage);
  PolicyRule r;
  r.id = RuleId(row.string());
  r.policy_id = PolicyId(row.string());
  r.name = row.string();
  r.description = row.string();
  r.enabled = row.boolean();
  r.action = row.string();
  const columns::DamageSince destinations(damage);
  r.destinations = columns::read_ids<GroupId>(row.text(), damage);
  r.destination_resource = columns::read_resource(row.text(), damage);
  r.destinations_unreadable = destinations.any();
  const columns::DamageSince sources(damage);
  r.sources = columns::read_ids<GroupId>(row.text(), damage);
  r.source_resource = columns::read_resource(row.text(), damage);
  r.sources_unreadable = sources.any();
  r.bidirectional = row.boolean();
  r.protocol = row.string();
  const columns::DamageSince ports(damage);
  r.ports = columns::read_strings(row.text(), damage);
  r.port_ranges = columns::read_port_ranges(row.text(), damage);
  const bool ports_damaged = ports.any();
  r.authorized_groups = columns::read_authorized_groups(row.text(), damage);
  r.authorized_user = row.string();
  // A rule that drops has to stay, on every port: those that could be read may not be all.
  if (r.action == kActionDrop && ports_damaged) {
    r.ports.clear();
    r.port_ranges.clear();
  }
  if (damaged.any() && r.action != kActionDrop) r.enabled = false;
  return r;
}

Write insert_rule(const PolicyRule& rule) {
  static const std::string kText = insert_text("policy_rules", {kRule});
  return {kText, own(values(rule))};
}

Write update_rule(const PolicyRule& rule) {
  static const std::string kText = update_text("policy_rules", {kRule});
  return {kText, own(values(rule))};
}

PostureCheck read_posture_check(RowReader& row, Damage& damage) {
  PostureCheck c;
  c.id = PostureCheckId(row.string());
  c.name = row.string();
  c.description = row.string();
  c.account_id = AccountId(row.string());
  c.public_id = PublicId(row.string());
  c.checks = columns::read_posture_checks(row.text(), damage);
  return c;
}

Write insert_posture_check(const PostureCheck& check) {
  static const std::string kText = insert_text("posture_checks", {kPostureCheck});
  return {kText, own(values(check))};
}

Write update_posture_check(const PostureCheck& check) {
  static const std::string kText = update_text("posture_checks", {kPostureCheck});
  return {kText, own(values(check))};
}

}  // namespace nb::management::rows
