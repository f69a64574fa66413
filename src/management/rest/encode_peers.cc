#include "management/rest/encode_peers.h"

#include "management/domain/login_rules.h"

namespace nb::management::rest {
namespace {

std::string os_text(const PeerMeta& meta) {
  return meta.os + " " + (meta.os_version.empty() ? meta.core : meta.os_version);
}

std::string address_text(const IpAddress& ip) {
  return ip.is_set() ? ip.to_string() : std::string();
}

void write_flags(JsonWriter& json, const MetaFlags& flags) {
  json.object("local_flags", [&] {
    json.field("rosenpass_enabled", flags.rosenpass_enabled);
    json.field("rosenpass_permissive", flags.rosenpass_permissive);
    json.field("server_ssh_allowed", flags.server_ssh_allowed);
    json.field("disable_client_routes", flags.disable_client_routes);
    json.field("disable_server_routes", flags.disable_server_routes);
    json.field("disable_dns", flags.disable_dns);
    json.field("disable_firewall", flags.disable_firewall);
    json.field("block_lan_access", flags.block_lan_access);
    json.field("block_inbound", flags.block_inbound);
    json.field("lazy_connection_enabled", flags.lazy_connection_enabled);
  });
}

}  // namespace

void write_peer(JsonWriter& json, const Peer& peer, const std::vector<std::string_view>& groups,
                const PeerFrame& frame, PeerForm form) {
  const PeerMeta& meta = peer.meta;
  json.object([&] {
    json.field("id", peer.id);
    json.field("name", peer.name);
    json.time("created_at", peer.created_at);
    json.field("ip", address_text(peer.ip));
    json.optional("ipv6", address_text(peer.ipv6));
    json.field("connection_ip", address_text(peer.location.connection_ip));
    json.field("connected", peer.status.connected);
    json.time("last_seen", peer.status.last_seen);
    json.field("os", os_text(meta));
    json.field("kernel_version", meta.kernel_version);
    json.field("geoname_id", peer.location.geo_name_id);
    json.field("version", meta.wt_version);
    json.key("groups");
    if (frame.show_groups)
      json.array(groups, [&](std::string_view group) { json.raw(group); });
    else
      json.null();
    json.field("ssh_enabled", peer.ssh_enabled);
    json.field("user_id", peer.user_id);
    json.field("hostname", meta.hostname);
    json.field("ui_version", meta.ui_version);
    json.field("dns_label", peer.fqdn(frame.dns_domain));
    json.list("extra_dns_labels", peer.extra_dns_labels);
    json.field("login_expiration_enabled", peer.login_expiration_enabled);
    json.field("login_expired", login_expired(peer, frame.account.settings, frame.now));
    json.time("last_login", peer.last_login);
    json.field("inactivity_expiration_enabled", peer.inactivity_expiration_enabled);
    json.field("approval_required", peer.status.requires_approval);
    json.field("country_code", peer.location.country_code);
    json.field("city_name", peer.location.city_name);
    json.field("serial_number", meta.system_serial_number);
    json.field("ephemeral", peer.ephemeral);
    write_flags(json, meta.flags);
    if (form == PeerForm::kListed) json.field("accessible_peers_count", 0);
  });
}

void write_accessible_peer(JsonWriter& json, const Peer& peer, const std::string& dns_domain) {
  json.object([&] {
    json.field("id", peer.id);
    json.field("name", peer.name);
    json.field("ip", address_text(peer.ip));
    json.optional("ipv6", address_text(peer.ipv6));
    json.field("dns_label", peer.fqdn(dns_domain));
    json.field("user_id", peer.user_id);
    json.field("os", os_text(peer.meta));
    json.field("country_code", peer.location.country_code);
    json.field("city_name", peer.location.city_name);
    json.field("geoname_id", peer.location.geo_name_id);
    json.field("connected", peer.status.connected);
    json.time("last_seen", peer.status.last_seen);
  });
}

}  // namespace nb::management::rest
