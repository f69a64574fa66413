#include "management/netmap/peer_record.h"

#include "management/domain/login_rules.h"
#include "management/netmap/network_map.h"
#include "management/netmap/wire.h"

#include <bit>
#include <utility>

namespace nb::netmap {
namespace {

using management::IpAddress;
using management::Peer;

constexpr std::int64_t kPeerRecordTtl = 300;

/// Address bytes and one byte of length.
std::string host_prefix_bytes(const IpAddress& address) {
  const IpAddress plain = address.unmapped();
  std::string out(reinterpret_cast<const char*>(plain.bytes().data()), plain.is_v4() ? 4 : 16);
  out.push_back(static_cast<char>(plain.bits()));
  return out;
}

std::string config_element(const Peer& peer, const std::string& domain, bool ipv6) {
  std::string body;
  wire::put_bytes(body, 1, peer.key.value());
  wire::put_element(body, 2, peer.ip.to_string() + (peer.ip.is_v4() ? "/32" : "/128"));
  if (ipv6 && peer.ipv6.is_set())
    wire::put_element(body, 2, peer.ipv6.to_string() + (peer.ipv6.is_v4() ? "/32" : "/128"));
  std::string ssh;
  wire::put_bytes(ssh, 2, peer.ssh_key);
  wire::put_element(body, 3, ssh);
  wire::put_bytes(body, 4, domain.empty() ? std::string{} : peer.dns_label + '.' + domain);
  wire::put_bytes(body, 5, peer.meta.wt_version);
  std::string out;
  wire::put_element(out, 3, body);
  return out;
}

void put_record(std::string& out, const std::string& name, std::int64_t type,
                const std::string& data) {
  std::string body;
  wire::put_bytes(body, 1, name);
  wire::put_number(body, 2, type);
  wire::put_bytes(body, 3, "IN");
  wire::put_number(body, 4, kPeerRecordTtl);
  wire::put_bytes(body, 5, data);
  wire::put_element(out, 2, body);
}

std::string dns_elements(const PeerRecord& record, const std::string& domain, bool with_ipv6) {
  std::string out;
  const Peer& peer = *record.peer;
  if (domain.empty() || peer.dns_label.empty()) return out;
  const auto add = [&](const std::string& label) {
    const std::string name = label + '.' + domain;
    put_record(out, name, kRecordA, record.ip_text);
    if (with_ipv6) put_record(out, name, kRecordAaaa, record.ipv6_text);
  };
  add(peer.dns_label);
  for (const std::string& label : peer.extra_dns_labels) add(label);
  return out;
}

}  // namespace

PeerRecord::PeerRecord(std::shared_ptr<const Peer> source, const PeerContext& context,
                       bool in_ipv6_group)
    : peer(std::move(source)), features(AgentFeatures::of(peer->meta.wt_version)) {
  const auto& settings = context.settings;
  validated = !(settings.extra_peer_approval_enabled && peer->status.requires_approval);
  has_ipv6 = peer->ipv6.is_set() && peer->meta.supports_ipv6();
  source_prefixes = peer->meta.has_capability(management::kCapabilitySourcePrefixes);
  ssh_companion = features.native_ssh && peer->ssh_enabled && peer->meta.flags.server_ssh_allowed;
  stored_as_expired = peer->added_with_sso() && peer->status.login_expired;
  deadline = management::login_deadline(*peer, settings);
  proxy_connected = peer->proxy_embedded && peer->status.connected;
  ip_text = peer->ip.to_string();
  ip_prefix = host_prefix_bytes(peer->ip);
  if (peer->ipv6.is_set()) {
    ipv6_text = peer->ipv6.to_string();
    ipv6_prefix = host_prefix_bytes(peer->ipv6);
  }
  for (const bool ipv6 : {false, true}) {
    config[ipv6 ? 1 : 0] = config_element(*peer, context.dns_domain, ipv6);
    dns_records[ipv6 ? 1 : 0] =
        dns_elements(*this, context.dns_domain, ipv6 && has_ipv6 && in_ipv6_group);
  }
}

bool PeerRecord::looks_like(const PeerRecord& other) const {
  return validated == other.validated && stored_as_expired == other.stored_as_expired &&
         deadline == other.deadline && proxy_connected == other.proxy_connected &&
         peer->proxy_embedded == other.peer->proxy_embedded &&
         peer->proxy_cluster == other.peer->proxy_cluster && config == other.config &&
         dns_records == other.dns_records && ip_text == other.ip_text &&
         ipv6_text == other.ipv6_text;
}

bool PeerRecord::acts_like(const PeerRecord& other) const {
  // Everything of PeerConfig and of what the receiver's abilities select, its form of map included.
  return looks_like(other) && has_ipv6 == other.has_ipv6 &&
         peer->meta.supports_ipv6() == other.peer->meta.supports_ipv6() &&
         source_prefixes == other.source_prefixes && ssh_companion == other.ssh_companion &&
         peer->ssh_enabled == other.peer->ssh_enabled && peer->dns_label == other.peer->dns_label &&
         peer->last_login == other.peer->last_login && peer->user_id == other.peer->user_id &&
         peer->login_expiration_enabled == other.peer->login_expiration_enabled &&
         peer->meta.sync_message_version == other.peer->meta.sync_message_version &&
         features.port_ranges == other.features.port_ranges &&
         features.top_level_peers == other.features.top_level_peers;
}

PeerChunk::PeerChunk(Records peers) : records_(std::move(peers)) {
  for (std::size_t i = 0; i < kPeers; ++i) {
    const PeerRecordPtr& peer = records_[i];
    if (peer == nullptr) absent_ |= Bits::Word{1} << i;
    for (std::size_t form = 0; form < bytes_.size(); ++form) {
      Bytes& bytes = bytes_[form];
      if (peer != nullptr)
        bytes.text += form < 2 ? peer->config[form] : peer->dns_records[form - 2];
      bytes.offsets[i + 1] = static_cast<std::uint32_t>(bytes.text.size());
    }
  }
}

template <class Visit>
void PeerChunk::runs(const Bytes& bytes, Bits::Word wanted, Visit visit) const {
  Bits::Word left = wanted | absent_;  // absent peers have no bytes: runs go on over them
  std::size_t at = 0;
  while (left != 0) {
    const auto gap = static_cast<std::size_t>(std::countr_zero(left));
    at += gap;
    left >>= gap;
    const auto length = static_cast<std::size_t>(std::countr_one(left));
    visit(bytes.offsets[at], bytes.offsets[at + length]);
    at += length;
    left = length == kPeers ? 0 : left >> length;
  }
}

void PeerChunk::append(std::string& out, Part part, bool ipv6, Bits::Word wanted) const {
  const Bytes& bytes = bytes_of(part, ipv6);
  runs(bytes, wanted,
       [&](std::uint32_t begin, std::uint32_t end) { out.append(bytes.text, begin, end - begin); });
}

std::size_t PeerChunk::bytes(Part part, bool ipv6, Bits::Word wanted) const {
  const Bytes& bytes = bytes_of(part, ipv6);
  std::size_t total = 0;
  runs(bytes, wanted, [&](std::uint32_t begin, std::uint32_t end) { total += end - begin; });
  return total;
}

}  // namespace nb::netmap
