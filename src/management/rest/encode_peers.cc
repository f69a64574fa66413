#include "management/rest/encode_peers.h"

#include "management/domain/login_rules.h"

#include <array>

namespace nb::management::rest {
namespace {

std::string os_text(const PeerMeta& meta) {
  return meta.os + " " + (meta.os_version.empty() ? meta.core : meta.os_version);
}

std::string address_text(const IpAddress& ip) {
  return ip.is_set() ? ip.to_string() : std::string();
}

struct FlagName {
  std::string_view name;
  bool MetaFlags::*member;
};
constexpr std::array<FlagName, FlagTexts::kFlags> kFlagNames = {{
    {"rosenpass_enabled", &MetaFlags::rosenpass_enabled},
    {"rosenpass_permissive", &MetaFlags::rosenpass_permissive},
    {"server_ssh_allowed", &MetaFlags::server_ssh_allowed},
    {"disable_client_routes", &MetaFlags::disable_client_routes},
    {"disable_server_routes", &MetaFlags::disable_server_routes},
    {"disable_dns", &MetaFlags::disable_dns},
    {"disable_firewall", &MetaFlags::disable_firewall},
    {"block_lan_access", &MetaFlags::block_lan_access},
    {"block_inbound", &MetaFlags::block_inbound},
    {"lazy_connection_enabled", &MetaFlags::lazy_connection_enabled},
}};

}  // namespace

std::string_view FlagTexts::of(const MetaFlags& flags) {
  std::size_t number = 0;
  for (const FlagName& flag : kFlagNames) number = number << 1 | (flags.*flag.member ? 1U : 0U);
  std::string& text = texts_[number];
  if (text.empty()) {
    JsonWriter json;
    json.object([&] {
      for (const FlagName& flag : kFlagNames) json.field(flag.name, flags.*flag.member);
    });
    text = std::move(json).take();
  }
  return text;
}

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
    json.key("local_flags");
    json.raw(frame.flags.of(meta.flags));
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
