#include "management/grpc/golden_rows.h"

#include "crypto/encoding.h"

#include <boost/json/src.hpp>
#include <zlib.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <stdexcept>
#include <string_view>

namespace nb::management::grpc::golden {
namespace {

namespace json = boost::json;

/// One row; a missing column and NULL are the same.
class Row {
 public:
  explicit Row(const json::object& row) : row_(row) {}
  [[nodiscard]] std::string text(std::string_view column) const {
    const json::value* const value = row_.if_contains(column);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string{};
  }
  [[nodiscard]] bool flag(std::string_view column) const {
    const json::value* const value = row_.if_contains(column);
    return value != nullptr && value->is_bool() && value->as_bool();
  }
  [[nodiscard]] std::int64_t number(std::string_view column) const {
    const json::value* const value = row_.if_contains(column);
    return value != nullptr && value->is_int64() ? value->as_int64() : 0;
  }
  /// The JSON inside a text column.
  [[nodiscard]] json::value nested(std::string_view column) const {
    const std::string raw = text(column);
    return raw.empty() ? json::value{} : json::parse(raw);
  }
  template <class Id = std::string>
  [[nodiscard]] std::vector<Id> list(std::string_view column) const {
    std::vector<Id> out;
    const json::value value = nested(column);
    if (!value.is_array()) return out;
    for (const auto& entry : value.as_array()) out.emplace_back(std::string(entry.as_string()));
    return out;
  }
  [[nodiscard]] IpAddress address(std::string_view column) const {
    const json::value value = nested(column);
    if (!value.is_string()) return {};
    return IpAddress::parse(value.as_string()).value_or(IpAddress{});
  }
  [[nodiscard]] std::optional<WallTime> time(std::string_view column) const {
    const std::string raw = text(column);
    if (raw.empty()) return std::nullopt;
    int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0;
    if (std::sscanf(raw.c_str(), "%d-%d-%dT%d:%d:%d", &y, &mo, &d, &h, &mi, &s) != 6)
      throw std::runtime_error("time " + raw);
    const std::chrono::sys_days day = std::chrono::year(y) /
                                      std::chrono::month(static_cast<unsigned>(mo)) /
                                      std::chrono::day(static_cast<unsigned>(d));
    return WallTime(day + std::chrono::hours(h) + std::chrono::minutes(mi) +
                    std::chrono::seconds(s));
  }
  /// {"IP":…,"Mask":base64}
  [[nodiscard]] Prefix network(std::string_view column) const {
    const json::value value = nested(column);
    if (!value.is_object()) return {};
    const auto ip = IpAddress::parse(value.at("IP").as_string());
    const auto mask = crypto::from_base64(value.at("Mask").as_string());
    if (!ip || !mask) return {};
    int length = 0;
    for (const char c : *mask) length += __builtin_popcount(static_cast<unsigned char>(c));
    return {*ip, length};
  }
  [[nodiscard]] Resource resource(std::string_view column) const {
    const json::value value = nested(column);
    if (!value.is_object()) return {};
    return {std::string(value.at("ID").as_string()), std::string(value.at("Type").as_string())};
  }

 private:
  const json::object& row_;
};

template <class Use>
void each(const json::object& tables, std::string_view table, Use use) {
  const json::value* const rows = tables.if_contains(table);
  if (rows == nullptr) return;
  for (const auto& row : rows->as_array()) use(Row(row.as_object()));
}

Account account(const Row& row) {
  Account out;
  out.id = AccountId(row.text("id"));
  out.network.net = row.network("network_net");
  out.network.net_v6 = row.network("network_net_v6");
  out.serial = static_cast<std::uint64_t>(row.number("network_serial"));
  out.dns_disabled_management_groups = row.list<GroupId>("dns_settings_disabled_management_groups");
  auto& settings = out.settings;
  settings.peer_login_expiration_enabled = row.flag("settings_peer_login_expiration_enabled");
  settings.peer_login_expiration =
      std::chrono::nanoseconds(row.number("settings_peer_login_expiration"));
  settings.routing_peer_dns_resolution_enabled =
      row.flag("settings_routing_peer_dns_resolution_enabled");
  settings.dns_domain = row.text("settings_dns_domain");
  settings.extra_peer_approval_enabled = row.flag("settings_extra_peer_approval_enabled");
  settings.lazy_connection_enabled = row.flag("settings_lazy_connection_enabled");
  settings.auto_update_version = row.text("settings_auto_update_version");
  settings.auto_update_always = row.flag("settings_auto_update_always");
  settings.ipv6_enabled_groups = row.list<GroupId>("settings_ipv6_enabled_groups");
  return out;
}

Peer peer(const Row& row) {
  Peer out;
  out.id = PeerId(row.text("id"));
  out.account_id = AccountId(row.text("account_id"));
  out.key = PeerKey(row.text("key"));
  out.ip = row.address("ip");
  out.ipv6 = row.address("ipv6");
  out.meta.wt_version = row.text("meta_wt_version");
  const json::value flags = row.nested("meta_flags");
  const auto flag = [&](std::string_view name) {
    const auto* const value = flags.is_object() ? flags.as_object().if_contains(name) : nullptr;
    return value != nullptr && value->is_bool() && value->as_bool();
  };
  out.meta.flags.server_ssh_allowed = flag("ServerSSHAllowed");
  out.meta.flags.disable_ipv6 = flag("DisableIPv6");
  const json::value capabilities = row.nested("meta_capabilities");
  if (capabilities.is_array())
    for (const auto& entry : capabilities.as_array())
      out.meta.capabilities.push_back(static_cast<std::int32_t>(entry.as_int64()));
  out.proxy_embedded = row.flag("proxy_meta_embedded");
  out.name = row.text("name");
  out.dns_label = row.text("dns_label");
  out.user_id = UserId(row.text("user_id"));
  out.ssh_key = row.text("ssh_key");
  out.ssh_enabled = row.flag("ssh_enabled");
  out.login_expiration_enabled = row.flag("login_expiration_enabled");
  out.last_login = row.time("last_login");
  out.extra_dns_labels = row.list("extra_dns_labels");
  out.status.login_expired = row.flag("peer_status_login_expired");
  out.status.requires_approval = row.flag("peer_status_requires_approval");
  return out;
}

PolicyRule rule(const Row& row) {
  PolicyRule out;
  out.id = RuleId(row.text("id"));
  out.policy_id = PolicyId(row.text("policy_id"));
  out.enabled = row.flag("enabled");
  out.action = row.text("action");
  out.sources = row.list<GroupId>("sources");
  out.destinations = row.list<GroupId>("destinations");
  out.source_resource = row.resource("source_resource");
  out.destination_resource = row.resource("destination_resource");
  out.bidirectional = row.flag("bidirectional");
  out.protocol = row.text("protocol");
  out.ports = row.list("ports");
  const json::value ranges = row.nested("port_ranges");
  if (ranges.is_array())
    for (const auto& range : ranges.as_array())
      out.port_ranges.push_back({static_cast<std::uint16_t>(range.at("Start").as_int64()),
                                 static_cast<std::uint16_t>(range.at("End").as_int64())});
  const json::value authorized = row.nested("authorized_groups");
  if (authorized.is_object())
    for (const auto& entry : authorized.as_object()) {
      auto& users = out.authorized_groups[GroupId(std::string(entry.key()))];
      if (entry.value().is_array())
        for (const auto& user : entry.value().as_array()) users.emplace_back(user.as_string());
    }
  out.authorized_user = row.text("authorized_user");
  return out;
}

}  // namespace

json::value read_vector(const std::string& path) {
  const gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) throw std::runtime_error("cannot open " + path);
  std::string text;
  char buffer[16384];
  for (int read = 0; (read = gzread(file, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(read));
  gzclose(file);
  return json::parse(text);
}

AccountSnapshotPtr snapshot(const json::object& tables, const std::string& id) {
  auto out = std::make_shared<AccountSnapshot>();
  std::vector<User> users;
  std::vector<Peer> peers;
  std::vector<Group> groups;
  std::vector<Policy> policies;
  const auto ours = [&](const Row& row) { return row.text("account_id") == id; };
  each(tables, "accounts", [&](const Row& row) {
    if (row.text("id") == id) out->account = account(row);
  });
  each(tables, "users", [&](const Row& row) {
    if (!ours(row)) return;
    User user;
    user.id = UserId(row.text("id"));
    user.is_service_user = row.flag("is_service_user");
    user.auto_groups = row.list<GroupId>("auto_groups");
    user.blocked = row.flag("blocked");
    users.push_back(std::move(user));
  });
  each(tables, "peers", [&](const Row& row) {
    if (ours(row)) peers.push_back(peer(row));
  });
  each(tables, "groups", [&](const Row& row) {
    if (!ours(row)) return;
    Group group;
    group.id = GroupId(row.text("id"));
    group.name = row.text("name");
    groups.push_back(std::move(group));
  });
  each(tables, "policies", [&](const Row& row) {
    if (!ours(row)) return;
    Policy policy;
    policy.id = PolicyId(row.text("id"));
    policy.enabled = row.flag("enabled");
    policies.push_back(std::move(policy));
  });
  each(tables, "policy_rules", [&](const Row& row) {
    for (Policy& policy : policies)
      if (policy.id.value() == row.text("policy_id")) policy.rules.push_back(rule(row));
  });
  each(tables, "group_peers", [&](const Row& row) {
    for (Group& group : groups)
      if (group.id.value() == row.text("group_id")) group.peers.emplace_back(row.text("peer_id"));
  });
  for (Group& group : groups) std::ranges::sort(group.peers);
  out->users = EntityTable<User>(std::move(users));
  out->peers = EntityTable<Peer>(std::move(peers));
  out->groups = EntityTable<Group>(std::move(groups));
  out->policies = EntityTable<Policy>(std::move(policies));
  return out;
}

}  // namespace nb::management::grpc::golden
