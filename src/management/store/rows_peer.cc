#include "base/strong_id.h"
#include "management/store/rows.h"
#include "management/store/rows_shown.h"
#include "management/store/rows_text.h"

#include <fmt/format.h>

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace nb::management::rows {
namespace {

using columns::Damage;
using sql::Param;
using sql::RowReader;

template <class T>
concept Identifier = std::derived_from<T, StrongId<T, std::string>>;
template <class T>
concept Plain = std::constructible_from<Param, const T&>;

// How each kind of value stands in a row.
void read(std::string& out, RowReader& row, Damage& /*damage*/) {
  out = row.string();
}
void read(bool& out, RowReader& row, Damage& /*damage*/) {
  out = row.boolean();
}
void read(std::int64_t& out, RowReader& row, Damage& /*damage*/) {
  out = row.integer();
}
void read(std::uint64_t& out, RowReader& row, Damage& /*damage*/) {
  out = static_cast<std::uint64_t>(row.integer());
}
void read(std::optional<WallTime>& out, RowReader& row, Damage& /*damage*/) {
  out = row.time();
}
void read(IpAddress& out, RowReader& row, Damage& damage) {
  out = columns::read_address(row.text(), damage);
}
void read(MetaFlags& out, RowReader& row, Damage& damage) {
  out = columns::read_flags(row.text(), damage);
}
void read(std::vector<NetworkAddress>& out, RowReader& row, Damage& damage) {
  out = columns::read_network_addresses(row.text(), damage);
}
void read(std::vector<MetaFile>& out, RowReader& row, Damage& damage) {
  out = columns::read_files(row.text(), damage);
}
void read(std::vector<std::int32_t>& out, RowReader& row, Damage& damage) {
  out = columns::read_integers(row.text(), damage);
}
void read(std::vector<std::string>& out, RowReader& row, Damage& damage) {
  out = columns::read_strings(row.text(), damage);
}
/// Of the whole description only the environment has no member of its own.
void read(PeerMeta& out, RowReader& row, Damage& damage) {
  columns::read_environment(row.text(), out, damage);
}
void read(Identifier auto& out, RowReader& row, Damage& /*damage*/) {
  out = std::remove_reference_t<decltype(out)>(row.string());
}

Param value(const Plain auto& plain) {
  return plain;
}
Param value(const IpAddress& ip) {
  return columns::address(ip);
}
Param value(const MetaFlags& flags) {
  return columns::flags(flags);
}
Param value(const std::vector<NetworkAddress>& addresses) {
  return list_or_null(columns::network_addresses(addresses));
}
Param value(const std::vector<MetaFile>& files) {
  return list_or_null(columns::files(files));
}
Param value(const std::vector<std::int32_t>& numbers) {
  return list_or_null(columns::integers(numbers));
}
Param value(const std::vector<std::string>& texts) {
  return list_or_null(columns::strings(texts));
}
Param value(const PeerMeta& meta) {
  return columns::environment(meta);
}
Param value(const Identifier auto& id) {
  return id.value();
}

enum Part : unsigned {
  kAll = 0,
  kMachine = 1,  // what the machine says of itself, and from where
  kShown = 2,    // what the API shows
};

struct Column {
  std::string_view name;
  unsigned parts;
  void (*read)(Peer& peer, RowReader& row, Damage& damage);
  Param (*value)(const Peer& peer);
};

template <auto... kPath>
auto& member(auto& of) {
  return (of.*....*kPath);
}

/// The column of one member, or of a member's member.
template <auto... kPath>
constexpr Column column(std::string_view name, unsigned parts = kAll) {
  return {
      name, parts,
      [](Peer& peer, RowReader& row, Damage& damage) { read(member<kPath...>(peer), row, damage); },
      [](const Peer& peer) { return value(member<kPath...>(peer)); }};
}

constexpr auto kMeta = &Peer::meta;
constexpr auto kPlace = &Peer::location;
constexpr auto kStatus = &Peer::status;

constexpr Column kColumns[] = {
    column<&Peer::id>("id", kShown),
    column<&Peer::account_id>("account_id"),
    column<&Peer::key>("key", kShown),
    column<&Peer::ip>("ip", kShown),
    column<&Peer::ipv6>("ipv6", kShown),
    column<kMeta, &PeerMeta::hostname>("meta_hostname", kMachine | kShown),
    column<kMeta, &PeerMeta::go_os>("meta_go_os", kMachine),
    column<kMeta, &PeerMeta::kernel>("meta_kernel", kMachine),
    column<kMeta, &PeerMeta::core>("meta_core", kMachine | kShown),
    column<kMeta, &PeerMeta::platform>("meta_platform", kMachine),
    column<kMeta, &PeerMeta::os>("meta_os", kMachine | kShown),
    column<kMeta, &PeerMeta::os_version>("meta_os_version", kMachine | kShown),
    column<kMeta, &PeerMeta::wt_version>("meta_wt_version", kMachine | kShown),
    column<kMeta, &PeerMeta::ui_version>("meta_ui_version", kMachine | kShown),
    column<kMeta, &PeerMeta::kernel_version>("meta_kernel_version", kMachine | kShown),
    column<kMeta, &PeerMeta::network_addresses>("meta_network_addresses", kMachine),
    column<kMeta, &PeerMeta::system_serial_number>("meta_system_serial_number", kMachine | kShown),
    column<kMeta, &PeerMeta::system_product_name>("meta_system_product_name", kMachine),
    column<kMeta, &PeerMeta::system_manufacturer>("meta_system_manufacturer", kMachine),
    column<kMeta>("meta_environment", kMachine),
    column<kMeta, &PeerMeta::flags>("meta_flags", kMachine | kShown),
    column<kMeta, &PeerMeta::files>("meta_files", kMachine),
    column<kMeta, &PeerMeta::capabilities>("meta_capabilities", kMachine),
    column<kMeta, &PeerMeta::sync_message_version>("meta_sync_message_version", kMachine),
    column<kPlace, &PeerLocation::connection_ip>("location_connection_ip", kMachine | kShown),
    column<kPlace, &PeerLocation::country_code>("location_country_code", kMachine | kShown),
    column<kPlace, &PeerLocation::city_name>("location_city_name", kMachine | kShown),
    column<kPlace, &PeerLocation::geo_name_id>("location_geo_name_id", kMachine | kShown),
    column<&Peer::proxy_embedded>("proxy_meta_embedded", kShown),
    column<&Peer::proxy_cluster>("proxy_meta_cluster"),
    column<&Peer::name>("name", kShown),
    column<&Peer::dns_label>("dns_label", kShown),
    column<kStatus, &PeerStatus::last_seen>("peer_status_last_seen", kShown),
    column<kStatus, &PeerStatus::session_started_at>("peer_status_session_started_at"),
    column<kStatus, &PeerStatus::connected>("peer_status_connected", kShown),
    column<kStatus, &PeerStatus::login_expired>("peer_status_login_expired", kShown),
    column<kStatus, &PeerStatus::requires_approval>("peer_status_requires_approval", kShown),
    column<&Peer::user_id>("user_id", kShown),
    column<&Peer::ssh_key>("ssh_key"),
    column<&Peer::ssh_enabled>("ssh_enabled", kShown),
    column<&Peer::login_expiration_enabled>("login_expiration_enabled", kShown),
    column<&Peer::inactivity_expiration_enabled>("inactivity_expiration_enabled", kShown),
    column<&Peer::last_login>("last_login", kShown),
    column<&Peer::created_at>("created_at", kShown),
    column<&Peer::ephemeral>("ephemeral", kShown),
    column<&Peer::extra_dns_labels>("extra_dns_labels", kShown),
    column<&Peer::allow_extra_dns_labels>("allow_extra_dns_labels"),
};

/// The names of the columns that have all of `parts`, each followed by a blank.
std::string names(unsigned parts) {
  std::string out;
  for (const Column& column : kColumns)
    if ((column.parts & parts) == parts) out += fmt::format("{} ", column.name);
  return out;
}

Peer read_columns(RowReader& row, Damage& damage, unsigned parts) {
  Peer peer;
  for (const Column& column : kColumns)
    if ((column.parts & parts) == parts) column.read(peer, row, damage);
  return peer;
}

void add_values(std::vector<Param>& out, const Peer& peer, unsigned parts) {
  for (const Column& column : kColumns)
    if ((column.parts & parts) == parts) out.push_back(column.value(peer));
  out = own(std::move(out));
}

}  // namespace

const std::string& peer_columns() {
  static const std::string kList = select_list("p", {names(kAll)});
  return kList;
}
const std::string& shown_peer_columns() {
  static const std::string kList = select_list("p", {names(kShown)});
  return kList;
}

Peer read_peer(RowReader& row, Damage& damage) {
  return read_columns(row, damage, kAll);
}
Peer read_shown_peer(RowReader& row, Damage& damage) {
  return read_columns(row, damage, kShown);
}

Write insert_peer(const Peer& peer) {
  static const std::string kText = insert_text("peers", {names(kAll)});
  Write out{kText, {}};
  add_values(out.values, peer, kAll);
  return out;
}

Write update_peer_meta(const Peer& peer) {
  static const std::string kText = update_text("peers", {"id ", names(kMachine)});
  Write out{kText, {Param(peer.id.value())}};
  add_values(out.values, peer, kMachine);
  return out;
}

}  // namespace nb::management::rows
