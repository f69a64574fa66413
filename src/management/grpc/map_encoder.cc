#include "management/grpc/map_encoder.h"

#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "management/domain/login_rules.h"
#include "management/grpc/component_encoder.h"
#include "management/grpc/map_messages.h"
#include "management/netmap/map_writer.h"
#include "management/netmap/wire.h"
#include "proto/management.pb.h"

#include <google/protobuf/arena.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstring>
#include <string_view>

namespace nb::management::grpc {
namespace {

namespace pb = ::management;
using netmap::AccountView;
using netmap::NetworkMap;

constexpr std::uint32_t kChecksTag = (6U << 3) | 2U;

/// Address bytes and one byte of length: PeerConfig.address_v6, FirewallRule.sourcePrefixes.
std::string compact_prefix(const IpAddress& address, int length) {
  const IpAddress plain = address.unmapped();
  std::string out(reinterpret_cast<const char*>(plain.bytes().data()), plain.is_v4() ? 4 : 16);
  out.push_back(static_cast<char>(plain.is_v4() && !address.is_v4() ? length - 96 : length));
  return out;
}

std::string host_prefix(const IpAddress& address) {
  return address.to_string() + (address.is_v4() ? "/32" : "/128");
}

std::string fqdn(const Peer& peer, const std::string& domain) {
  return domain.empty() ? std::string{} : peer.dns_label + '.' + domain;
}

void fill_remote_peer(pb::RemotePeerConfig& out, const AccountView& view, const Peer& peer,
                      bool receiver_ipv6) {
  out.set_wgpubkey(peer.key.value());
  out.add_allowedips(host_prefix(peer.ip));
  if (receiver_ipv6 && peer.ipv6.is_set()) out.add_allowedips(host_prefix(peer.ipv6));
  out.mutable_sshconfig()->set_sshpubkey(peer.ssh_key);
  out.set_fqdn(fqdn(peer, view.dns_domain()));
  out.set_agentversion(peer.meta.wt_version);
}

void fill_rule(pb::FirewallRule& out, const netmap::FirewallRule& rule, bool source_prefixes) {
  out.set_peerip(rule.remote.to_string());
  out.set_direction(rule.direction == netmap::Direction::kIn ? pb::IN : pb::OUT);
  out.set_action(rule.action == netmap::Action::kDrop ? pb::DROP : pb::ACCEPT);
  out.set_protocol(to_proto(rule.protocol));
  out.set_policyid(rule.rule->id.value());
  out.set_port(rule.ports->port);
  const bool ported =
      rule.protocol == netmap::Protocol::kTcp || rule.protocol == netmap::Protocol::kUdp;
  // contract/management-grpc.md §6.5: without a port a range is always there, 0-0 meaning any.
  if (ported && rule.ports->port.empty()) {
    auto& range = *out.mutable_portinfo()->mutable_range();
    range.set_start(rule.ports->range.start);
    range.set_end(rule.ports->range.end);
  }
  if (source_prefixes) out.add_sourceprefixes(compact_prefix(rule.remote, rule.remote.bits()));
}

void fill_name_servers(pb::NameServerGroup& out, const NameServerGroup& group) {
  out.set_primary(group.primary);
  out.set_searchdomainsenabled(group.search_domains_enabled);
  for (const std::string& domain : group.domains) out.add_domains(domain);
  for (const NameServer& server : group.name_servers)
    fill_name_server(*out.add_nameservers(), server);
}

void fill_dns(pb::DNSConfig& out, const AccountView& view, const NetworkMap& map) {
  out.set_forwarderport(view.forwarder_port());
  out.set_serviceenable(map.dns_enabled);
  for (const netmap::MapZone& zone : map.zones) fill_zone(*out.add_customzones(), zone);
  for (const NameServerGroup* const group : map.name_servers)
    fill_name_servers(*out.add_nameservergroups(), *group);
}

void fill_route(pb::Route& out, const AccountView& view, const netmap::MapRoute& route) {
  out.set_id(route.id);
  out.set_network(route.network.to_string());
  out.set_networktype(route.network_type);
  out.set_peer(view.peers()[route.peer].peer->key.value());
  out.set_metric(route.metric);
  out.set_masquerade(route.masquerade);
  out.set_netid(route.net_id);
  for (const std::string& domain : route.domains) out.add_domains(domain);
  out.set_keeproute(route.keep_route);
  out.set_skipautoapply(route.skip_auto_apply);
}

void fill_route_rule(pb::RouteFirewallRule& out, const netmap::RouteRule& rule) {
  for (const std::string& source : rule.sources) out.add_sourceranges(source);
  out.set_action(rule.action == netmap::Action::kDrop ? pb::DROP : pb::ACCEPT);
  out.set_destination(rule.destination);
  out.set_protocol(to_proto(rule.protocol));
  auto& ports = *out.mutable_portinfo();  // always there, empty for any port
  if (rule.port != 0) {
    ports.set_port(rule.port);
  } else if (rule.range.end != 0) {
    ports.mutable_range()->set_start(rule.range.start);
    ports.mutable_range()->set_end(rule.range.end);
  }
  out.set_isdynamic(rule.is_dynamic);
  for (const std::string& domain : rule.domains) out.add_domains(domain);
  out.set_policyid(rule.policy_id);
  out.set_routeid(rule.route_id);
}

void fill_ssh_auth(pb::SSHAuth& out, const netmap::SshAuth& auth, const EncoderSettings& settings) {
  out.set_useridclaim(settings.user_id_claim);
  for (const UserId& user : auth.users) {
    const crypto::Digest16 digest = crypto::ssh_user_hash(user.value());
    out.add_authorizedusers(std::string(crypto::as_text(digest)));
  }
  for (const auto& [local_user, indexes] : auth.machine_users) {
    auto& entry = (*out.mutable_machine_users())[local_user];
    for (const std::uint32_t index : indexes) entry.add_indexes(index);
  }
}

}  // namespace

void fill_peer_config(pb::PeerConfig& out, const PeerConfigInput& input,
                      const EncoderSettings& settings) {
  const Peer& peer = input.peer;
  // Without a net, which no account with maps is (decision 0130), the peer's own address and no
  // more: "/0" would make the agent's interface the way to everywhere.
  const int length = input.network.net.is_set() ? input.network.net.length : 32;
  out.set_address(peer.ip.to_string() + '/' + std::to_string(length));
  out.set_fqdn(fqdn(peer, input.dns_domain));
  out.set_routingpeerdnsresolutionenabled(input.settings.routing_peer_dns_resolution_enabled ||
                                          peer.proxy_embedded || input.force_dns_resolution);
  out.set_lazyconnectionenabled(input.settings.lazy_connection_enabled);
  auto& update = *out.mutable_autoupdate();
  update.set_version(input.settings.auto_update_version);
  update.set_alwaysupdate(input.settings.auto_update_always);
  auto& ssh = *out.mutable_sshconfig();
  ssh.set_sshenabled(input.ssh_enabled);
  if (input.ssh_enabled && settings.jwt) {
    auto& jwt = *ssh.mutable_jwtconfig();
    jwt.set_issuer(settings.jwt->issuer);
    jwt.set_keyslocation(settings.jwt->keys_location);
    jwt.set_audience(settings.jwt->audience);
    for (const std::string& audience : settings.jwt->audiences) jwt.add_audiences(audience);
  }
  if (peer.meta.supports_ipv6() && peer.ipv6.is_set() && input.network.net_v6.is_set())
    out.set_address_v6(compact_prefix(peer.ipv6, input.network.net_v6.length));
}

void fill_session_deadline(google::protobuf::Timestamp& out, const Peer& peer,
                           const AccountSettings& settings) {
  const auto deadline = login_deadline(peer, settings);
  if (!deadline || !peer.last_login) return;
  const auto seconds = std::chrono::floor<std::chrono::seconds>(*deadline);
  out.set_seconds(seconds.time_since_epoch().count());
  out.set_nanos(static_cast<std::int32_t>((*deadline - seconds).count()));
}

EncodedMap encode_map(const AccountView& view, const NetworkMap& map,
                      const EncoderSettings& settings) {
  const auto& account = view.snapshot().account;
  const netmap::PeerView& target = view.peers()[map.target];
  google::protobuf::Arena arena;
  auto& response = *google::protobuf::Arena::CreateMessage<pb::SyncResponse>(&arena);
  auto& network = *google::protobuf::Arena::CreateMessage<pb::NetworkMap>(&arena);

  fill_peer_config(*network.mutable_peerconfig(),
                   {.peer = *target.peer,
                    .network = account.network,
                    .settings = account.settings,
                    .dns_domain = view.dns_domain(),
                    .ssh_enabled = map.ssh_enabled,
                    .force_dns_resolution = map.force_dns_resolution},
                   settings);
  for (const netmap::PeerIndex peer : map.remote_peers)
    fill_remote_peer(*network.add_remotepeers(), view, *view.peers()[peer].peer, target.has_ipv6);
  for (const netmap::PeerIndex peer : map.offline_peers)
    fill_remote_peer(*network.add_offlinepeers(), view, *view.peers()[peer].peer, target.has_ipv6);
  for (const netmap::FirewallRule& rule : map.firewall_rules)
    fill_rule(*network.add_firewallrules(), rule, target.source_prefixes);
  for (const netmap::MapRoute& route : map.routes) fill_route(*network.add_routes(), view, route);
  for (const netmap::RouteRule& rule : map.route_rules)
    fill_route_rule(*network.add_routesfirewallrules(), rule);
  // The one place where the flags are made: an empty list without its flag opens the firewall.
  network.set_remotepeersisempty(network.remotepeers().empty());
  network.set_firewallrulesisempty(network.firewallrules().empty());
  network.set_routesfirewallrulesisempty(network.routesfirewallrules().empty());
  fill_dns(*network.mutable_dnsconfig(), view, map);
  if (map.validated) fill_ssh_auth(*network.mutable_sshauth(), map.ssh_auth, settings);

  *response.mutable_peerconfig() = network.peerconfig();
  response.set_remotepeersisempty(network.remotepeersisempty());
  if (target.features.top_level_peers) *response.mutable_remotepeers() = network.remotepeers();
  for (const auto& files : map.checks) {
    auto& check = *response.add_checks();
    for (const std::string& file : files) check.add_files(file);
  }
  fill_session_deadline(*response.mutable_sessionexpiresat(), *target.peer, account.settings);
  return {.head = deterministic_bytes(response), .map = deterministic_bytes(network)};
}

netmap::MapViewOptions view_options(const EncoderSettings& settings) {
  return {.dns_domain = settings.dns_domain,
          .user_id_claim = settings.user_id_claim,
          .user_hash =
              [](const UserId& user) {
                const crypto::Digest16 digest = crypto::ssh_user_hash(user.value());
                return std::string(crypto::as_text(digest));
              },
          .raw_key =
              [](const PeerKey& key) {
                const auto bytes = crypto::from_base64(key.value());
                return bytes ? *bytes : std::string{};
              }};
}

namespace {

/// The few peers that the fast calculation leaves to the plain one.
MadeMap make_plain_map(const netmap::MapView& view, const Peer& peer, WallTime now,
                       const EncoderSettings& settings) {
  const auto plain = view.plain();
  const auto map = netmap::calculate(*plain, plain->find(peer.id), now);
  return {.map = encode_map(*plain, map, settings), .changes_at = map.changes_at};
}

std::string session_deadline(const Peer& peer, const AccountSettings& settings) {
  google::protobuf::Timestamp deadline;
  fill_session_deadline(deadline, peer, settings);
  return deterministic_bytes(deadline);
}

/// The fields of SyncResponse around a map; `writer`: of a legacy one.
std::string head_of(const std::string& checks, const netmap::PeerRecord& target,
                    const AccountSettings& settings, const std::string& peer_config,
                    const netmap::MapWriter* writer) {
  namespace wire = netmap::wire;
  std::string out;
  wire::put_element(out, pb::SyncResponse::kPeerConfigFieldNumber, peer_config);
  if (writer != nullptr) {
    if (target.features.top_level_peers) writer->write_remote_peers(out);
    wire::put_number(out, pb::SyncResponse::kRemotePeersIsEmptyFieldNumber,
                     writer->no_remote_peers() ? 1 : 0);
  }
  out += checks;
  wire::put_element(out, pb::SyncResponse::kSessionExpiresAtFieldNumber,
                    session_deadline(*target.peer, settings));
  wire::put_number(out, pb::SyncResponse::kVersionFieldNumber, writer != nullptr ? 0 : 1);
  return out;
}

}  // namespace

MadeMap make_map(const netmap::MapView& view, netmap::PeerIndex slot, WallTime now,
                 const EncoderSettings& settings, MapForm form) {
  const netmap::PeerRecord& target = *view.peer(slot);
  const Peer& peer = *target.peer;
  if (view.irregular(slot)) return make_plain_map(view, peer, now, settings);
  netmap::Standing standing(view, slot, now);
  const Account& account = view.snapshot().account;
  pb::PeerConfig config;
  fill_peer_config(config,
                   {.peer = peer,
                    .network = account.network,
                    .settings = account.settings,
                    .dns_domain = view.dns_domain(),
                    .ssh_enabled = standing.ssh_enabled(),
                    .force_dns_resolution = standing.force_dns_resolution()},
                   settings);
  const std::string config_bytes = deterministic_bytes(config);
  std::string checks;
  standing.write_checks(checks);
  MadeMap out{.map = {}, .changes_at = standing.changes_at()};
  // A peer that waits for approval knows nothing, which only the legacy form says exactly.
  if (form == MapForm::kComponents && target.validated) {
    const auto index = view.components();
    auto components = encode_components({.index = *index,
                                         .target = index->account().find(peer.id),
                                         .now = now,
                                         .peer_config = config_bytes,
                                         .user_id_claim = settings.user_id_claim});
    if (components) {
      out.map.head = head_of(checks, target, account.settings, config_bytes, nullptr);
      out.map.network = std::move(components->network);
      out.map.map = std::move(components->map);
      return out;
    }
  }
  const netmap::MapWriter writer(std::move(standing));
  out.map.head = head_of(checks, target, account.settings, config_bytes, &writer);
  netmap::wire::put_element(out.map.map, pb::NetworkMap::kPeerConfigFieldNumber, config_bytes);
  writer.write_map(out.map.map);
  return out;
}

MapForm MapForms::of(const Peer& peer) const {
  // An agent that asks for a form of the future is taken at its oldest word, as upstream does.
  if (peer.meta.sync_message_version != 1) return MapForm::kLegacy;
  const auto found = by_account.find(peer.account_id.value());
  return found == by_account.end() ? best : found->second;
}

namespace {

/// Of two words, by all bits of both.
std::uint64_t folded(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// Sixteen bytes at a time: std::hash takes a quarter of the time that sealing the same bytes does.
std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed) {
  constexpr std::uint64_t kFirst = 0x9e3779b97f4a7c15ULL;
  constexpr std::uint64_t kSecond = 0xd6e8feb86659fd93ULL;
  std::uint64_t state = seed ^ folded(bytes.size() ^ kSecond, kFirst);
  std::uint64_t words[2];
  while (bytes.size() >= sizeof words) {
    std::memcpy(words, bytes.data(), sizeof words);
    bytes.remove_prefix(sizeof words);
    state = folded(state ^ words[0] ^ kFirst, words[1] ^ kSecond) ^ (state << 1 | state >> 63);
  }
  words[0] = words[1] = 0;
  std::memcpy(words, bytes.data(), bytes.size());
  return folded(state ^ words[0] ^ kFirst, words[1] ^ kSecond) ^ (state << 1 | state >> 63);
}

}  // namespace

std::uint64_t EncodedMap::digest() const {
  const std::uint64_t parts = hash_bytes(head, hash_bytes(map, 0));
  return network ? hash_bytes(*network, parts) : parts;
}

std::string EncodedMap::checks() const {
  std::string out;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(head.data()),
                                            static_cast<int>(head.size()));
  for (;;) {
    const int begin = in.CurrentPosition();
    const std::uint32_t tag = in.ReadTag();
    if (tag == 0 || !google::protobuf::internal::WireFormatLite::SkipField(&in, tag)) return out;
    if (tag == kChecksTag)
      out.append(head, static_cast<std::size_t>(begin),
                 static_cast<std::size_t>(in.CurrentPosition() - begin));
  }
}

std::string EncodedMap::before_map(std::uint64_t serial, const std::string& netbird_config) const {
  namespace wire = netmap::wire;
  // What comes before `map` in the message that holds it: the serial, and in the component form
  // the network, which repeats it.
  std::string first;
  wire::put_number(first, pb::NetworkMap::kSerialFieldNumber, static_cast<std::int64_t>(serial));
  if (network) {
    std::string numbered = *network;
    wire::put_number(numbered, pb::AccountNetwork::kSerialFieldNumber,
                     static_cast<std::int64_t>(serial));
    wire::put_element(first, pb::NetworkMapComponentsFull::kNetworkFieldNumber, numbered);
  }
  std::string out;
  out.reserve(head.size() + netbird_config.size() + first.size() + 32);
  wire::put_bytes(out, pb::SyncResponse::kNetbirdConfigFieldNumber, netbird_config);
  out += head;
  const std::size_t size = first.size() + map.size();
  if (network) {
    std::string full;
    wire::put_head(full, pb::NetworkMapEnvelope::kFullFieldNumber, size);
    wire::put_head(out, pb::SyncResponse::kNetworkMapEnvelopeFieldNumber, full.size() + size);
    out += full;
  } else {
    wire::put_head(out, pb::SyncResponse::kNetworkMapFieldNumber, size);
  }
  return out + first;
}

std::string EncodedMap::message(std::uint64_t serial, const std::string& netbird_config) const {
  std::string out = before_map(serial, netbird_config);
  out.reserve(out.size() + map.size());
  out += map;
  return out;
}

std::string encode_deletion(std::uint64_t serial, std::int64_t forwarder_port) {
  pb::SyncResponse response;
  response.set_remotepeersisempty(true);
  auto& network = *response.mutable_networkmap();
  network.set_serial(serial);
  network.set_remotepeersisempty(true);
  network.set_firewallrulesisempty(true);
  network.set_routesfirewallrulesisempty(true);
  network.mutable_dnsconfig()->set_forwarderport(forwarder_port);
  return response.SerializeAsString();
}

}  // namespace nb::management::grpc
