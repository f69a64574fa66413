#include "management/store/rows.h"

#include "management/store/rows_text.h"

namespace nb::management::rows {
namespace {

using columns::Damage;
using sql::Param;
using sql::RowReader;

// Names in the order of the readers and writers below.
constexpr std::string_view kAccountHead = "id created_by created_at ";
constexpr std::string_view kAccountDomain = "domain domain_category is_domain_primary_account ";
constexpr std::string_view kAccountNetwork =
    "network_identifier network_net network_net_v6 network_dns ";
constexpr std::string_view kAccountSerial = "network_serial ";
constexpr std::string_view kAccountDns = "dns_settings_disabled_management_groups ";
constexpr std::string_view kAccountSettings =
    "settings_peer_login_expiration_enabled "
    "settings_peer_login_expiration settings_peer_inactivity_expiration_enabled "
    "settings_peer_inactivity_expiration settings_regular_users_view_blocked "
    "settings_groups_propagation_enabled settings_jwt_groups_enabled "
    "settings_jwt_groups_claim_name settings_jwt_allow_groups "
    "settings_routing_peer_dns_resolution_enabled settings_dns_domain "
    "settings_network_range settings_network_range_v6 settings_peer_expose_enabled "
    "settings_peer_expose_groups settings_extra_peer_approval_enabled "
    "settings_extra_user_approval_required settings_extra_integrated_validator "
    "settings_extra_integrated_validator_groups settings_lazy_connection_enabled "
    "settings_auto_update_version settings_auto_update_always "
    "settings_ipv6_enabled_groups settings_metrics_push_enabled "
    "settings_agent_network_only settings_dashboard_features settings_local_mfa_enabled "
    "reverse_proxy_free_domain_nonce ";
constexpr std::string_view kUser =
    "id account_id role is_service_user non_deletable service_user_name auto_groups "
    "blocked pending_approval last_login created_at issued integration_ref_id "
    "integration_ref_integration_type name email ";
constexpr std::string_view kSetupKey =
    "id account_id key key_secret name type created_at expires_at updated_at revoked "
    "used_times last_used auto_groups usage_limit ephemeral allow_extra_dns_labels ";

std::chrono::nanoseconds read_duration(RowReader& row) {
  return std::chrono::nanoseconds(row.integer());
}

Prefix read_range(RowReader& row, int bits, Damage& damage) {
  const Prefix range = columns::read_prefix(row.text(), damage);
  if (!range.is_set() || range.address.bits() == bits) return range;
  ++damage.fields;
  return {};
}

AccountSettings read_settings(RowReader& row, Damage& damage) {
  AccountSettings s;
  s.peer_login_expiration_enabled = row.boolean();
  s.peer_login_expiration = read_duration(row);
  s.peer_inactivity_expiration_enabled = row.boolean();
  s.peer_inactivity_expiration = read_duration(row);
  s.regular_users_view_blocked = row.boolean();
  s.groups_propagation_enabled = row.boolean();
  s.jwt_groups_enabled = row.boolean();
  s.jwt_groups_claim_name = row.string();
  const columns::DamageSince damaged(damage);
  s.jwt_allow_groups = columns::read_strings(row.text(), damage);
  s.jwt_allow_groups_unreadable = damaged.any();
  s.routing_peer_dns_resolution_enabled = row.boolean();
  s.dns_domain = row.string();
  s.network_range = read_range(row, 32, damage);
  s.network_range_v6 = read_range(row, 128, damage);
  s.peer_expose_enabled = row.boolean();
  s.peer_expose_groups = columns::read_ids<GroupId>(row.text(), damage);
  s.extra_peer_approval_enabled = row.boolean();
  s.extra_user_approval_required = row.boolean();
  s.extra_integrated_validator = row.string();
  s.extra_integrated_validator_groups = columns::read_strings(row.text(), damage);
  s.lazy_connection_enabled = row.boolean();
  s.auto_update_version = row.string();
  s.auto_update_always = row.boolean();
  s.ipv6_enabled_groups = columns::read_ids<GroupId>(row.text(), damage);
  s.metrics_push_enabled = row.boolean();
  s.agent_network_only = row.boolean();
  s.dashboard_features = row.string();
  s.local_mfa_enabled = row.boolean();
  return s;
}

void add_settings(std::vector<Param>& out, const AccountSettings& s) {
  out.emplace_back(s.peer_login_expiration_enabled);
  out.emplace_back(static_cast<std::int64_t>(s.peer_login_expiration.count()));
  out.emplace_back(s.peer_inactivity_expiration_enabled);
  out.emplace_back(static_cast<std::int64_t>(s.peer_inactivity_expiration.count()));
  out.emplace_back(s.regular_users_view_blocked);
  out.emplace_back(s.groups_propagation_enabled);
  out.emplace_back(s.jwt_groups_enabled);
  out.emplace_back(std::string(s.jwt_groups_claim_name));
  out.emplace_back(columns::strings(s.jwt_allow_groups));
  out.emplace_back(s.routing_peer_dns_resolution_enabled);
  out.emplace_back(std::string(s.dns_domain));
  out.emplace_back(columns::prefix(s.network_range));
  out.emplace_back(columns::prefix(s.network_range_v6));
  out.emplace_back(s.peer_expose_enabled);
  out.emplace_back(columns::ids(s.peer_expose_groups));
  out.emplace_back(s.extra_peer_approval_enabled);
  out.emplace_back(s.extra_user_approval_required);
  out.emplace_back(std::string(s.extra_integrated_validator));
  out.emplace_back(columns::strings(s.extra_integrated_validator_groups));
  out.emplace_back(s.lazy_connection_enabled);
  out.emplace_back(std::string(s.auto_update_version));
  out.emplace_back(s.auto_update_always);
  out.emplace_back(columns::ids(s.ipv6_enabled_groups));
  out.emplace_back(s.metrics_push_enabled);
  out.emplace_back(s.agent_network_only);
  out.push_back(s.dashboard_features.empty() ? Param(nullptr)
                                             : Param(std::string(s.dashboard_features)));
  out.emplace_back(s.local_mfa_enabled);
}

}  // namespace

const std::string& account_columns() {
  static const std::string kList =
      select_list("a", {kAccountHead, kAccountDomain, kAccountNetwork, kAccountSerial, kAccountDns,
                        kAccountSettings});
  return kList;
}
const std::string& user_columns() {
  static const std::string kList = select_list("u", {kUser});
  return kList;
}
const std::string& setup_key_columns() {
  static const std::string kList = select_list("k", {kSetupKey});
  return kList;
}

Account read_account(RowReader& row, Damage& damage) {
  Account a;
  a.id = AccountId(row.string());
  a.created_by = UserId(row.string());
  a.created_at = row.time();
  a.domain = row.string();
  a.domain_category = row.string();
  a.is_domain_primary = row.boolean();
  a.network.identifier = row.string();
  a.network.net = columns::read_network_v4(row.text(), damage);
  a.network.net_v6 = columns::read_network_v6(row.text(), damage);
  a.network.dns = row.string();
  a.serial = static_cast<std::uint64_t>(row.integer());
  a.dns_disabled_management_groups = columns::read_ids<GroupId>(row.text(), damage);
  a.settings = read_settings(row, damage);
  a.reverse_proxy_free_domain_nonce = row.string();
  return a;
}

namespace {

void add_domain(std::vector<Param>& out, const Account& a) {
  out.emplace_back(a.domain);
  out.emplace_back(a.domain_category);
  out.emplace_back(a.is_domain_primary);
}

void add_network(std::vector<Param>& out, const AccountNetwork& network) {
  out.emplace_back(network.identifier);
  out.emplace_back(columns::network(network.net));
  out.emplace_back(columns::network(network.net_v6));
  out.emplace_back(network.dns);
}

void add_account_settings(std::vector<Param>& out, const Account& a) {
  add_settings(out, a.settings);
  out.emplace_back(a.reverse_proxy_free_domain_nonce);
}

}  // namespace

Write insert_account(const Account& a) {
  static const std::string kText =
      insert_text("accounts", {kAccountHead, kAccountDomain, kAccountNetwork, kAccountSerial,
                               kAccountDns, kAccountSettings});
  Write out{kText, {Param(a.id.value()), Param(a.created_by.value()), Param(a.created_at)}};
  add_domain(out.values, a);
  add_network(out.values, a.network);
  out.values.emplace_back(a.serial);
  out.values.emplace_back(columns::ids(a.dns_disabled_management_groups));
  add_account_settings(out.values, a);
  out.values = own(std::move(out.values));
  return out;
}

Write update_account(const Account& a) {
  static const std::string kText = update_text("accounts", {"id ", kAccountSettings});
  Write out{kText, {Param(a.id.value())}};
  add_account_settings(out.values, a);
  out.values = own(std::move(out.values));
  return out;
}

User read_user(RowReader& row, const FieldCodec& codec, Damage& damage) {
  User u;
  u.id = UserId(row.string());
  u.account_id = AccountId(row.string());
  u.role = row.string();
  u.is_service_user = row.boolean();
  u.non_deletable = row.boolean();
  u.service_user_name = row.string();
  u.auto_groups = columns::read_ids<GroupId>(row.text(), damage);
  u.blocked = row.boolean();
  u.pending_approval = row.boolean();
  u.last_login = row.time();
  u.created_at = row.time();
  u.issued = row.string();
  u.integration_ref_id = row.integer();
  u.integration_ref_type = row.string();
  u.name = codec.open_or_plain(row.text(), {"users", "name", u.id.value()});
  u.email = codec.open_or_plain(row.text(), {"users", "email", u.id.value()});
  return u;
}

namespace {
std::vector<Param> user_values(const User& u, const FieldCodec& codec) {
  return {Param(u.id.value()),
          Param(u.account_id.value()),
          Param(u.role),
          Param(u.is_service_user),
          Param(u.non_deletable),
          Param(u.service_user_name),
          Param(columns::ids(u.auto_groups)),
          Param(u.blocked),
          Param(u.pending_approval),
          Param(u.last_login),
          Param(u.created_at),
          Param(u.issued),
          Param(u.integration_ref_id),
          Param(u.integration_ref_type),
          Param(codec.seal(u.name, {"users", "name", u.id.value()})),
          Param(codec.seal(u.email, {"users", "email", u.id.value()}))};
}
}  // namespace

Write insert_user(const User& u, const FieldCodec& codec) {
  static const std::string kText = insert_text("users", {kUser});
  return {kText, own(user_values(u, codec))};
}

SetupKey read_setup_key(RowReader& row, Damage& damage) {
  SetupKey k;
  k.id = SetupKeyId(row.string());
  k.account_id = AccountId(row.string());
  k.key = SetupKeyHash(row.string());
  k.key_secret = row.string();
  k.name = row.string();
  k.type = row.string();
  k.created_at = row.time();
  k.expires_at = row.time();
  k.updated_at = row.time();
  k.revoked = row.boolean();
  k.used_times = row.integer();
  k.last_used = row.time();
  k.auto_groups = columns::read_ids<GroupId>(row.text(), damage);
  k.usage_limit = row.integer();
  k.ephemeral = row.boolean();
  k.allow_extra_dns_labels = row.boolean();
  return k;
}

Write insert_setup_key(const SetupKey& k) {
  static const std::string kText = insert_text("setup_keys", {kSetupKey});
  return {kText, own({Param(k.id.value()), Param(k.account_id.value()), Param(k.key.value()),
                      Param(k.key_secret), Param(k.name), Param(k.type), Param(k.created_at),
                      Param(k.expires_at), Param(k.updated_at), Param(k.revoked),
                      Param(k.used_times), Param(k.last_used), Param(columns::ids(k.auto_groups)),
                      Param(k.usage_limit), Param(k.ephemeral), Param(k.allow_extra_dns_labels)})};
}

}  // namespace nb::management::rows
