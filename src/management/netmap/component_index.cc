#include "management/netmap/component_index.h"

#include "management/netmap/wire.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <string_view>
#include <utility>

namespace nb::netmap {
namespace {

using management::IpAddress;
using management::Peer;

constexpr unsigned kPeersField = 9;
constexpr unsigned kRecordsField = 15;
constexpr std::size_t kKeyBytes = 32;

std::string address_bytes(const IpAddress& address) {
  const IpAddress plain = address.unmapped();
  return {reinterpret_cast<const char*>(plain.bytes().data()),
          static_cast<std::size_t>(plain.is_v4() ? 4 : 16)};
}

/// A PeerCompact without its login: whose login has ended is the server's to say, by its own clock.
std::string peer_body(const Peer& peer, const std::string& key) {
  std::string out;
  wire::put_bytes(out, 1, key);
  wire::put_bytes(out, 2, address_bytes(peer.ip));
  if (peer.ipv6.is_set()) wire::put_bytes(out, 3, address_bytes(peer.ipv6));
  wire::put_bytes(out, 4, peer.ssh_key);
  wire::put_bytes(out, 5, peer.dns_label);
  wire::put_bytes(out, 6, peer.meta.wt_version);
  wire::put_number(out, 10, peer.ssh_enabled ? 1 : 0);
  wire::put_number(out, 11, peer.meta.supports_ipv6() ? 1 : 0);
  wire::put_number(out, 12, peer.meta.has_capability(management::kCapabilitySourcePrefixes));
  wire::put_number(out, 13, peer.meta.flags.server_ssh_allowed ? 1 : 0);
  return out;
}

/// added_with_sso_login, login_expiration_enabled and a last login long ago.
std::string ended_login() {
  std::string out;
  for (const unsigned field : {7U, 8U, 9U}) wire::put_number(out, field, 1);
  return out;
}

/// The same elements under another number.
std::string renumbered(std::string_view elements, unsigned field) {
  std::string out;
  while (!elements.empty()) {
    elements.remove_prefix(1);  // the tag
    const std::size_t size = wire::take_varint(elements);
    wire::put_element(out, field, elements.substr(0, size));
    elements.remove_prefix(size);
  }
  return out;
}

/// Ports travel as numbers: a text that is not the number's own would come out another one.
bool ports_travel(const management::PolicyRule& rule) {
  return std::ranges::all_of(rule.ports, [](const std::string& text) {
    std::uint16_t port = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, port);
    return error == std::errc{} && stop == end && text == std::to_string(port);
  });
}

template <class Table>
bool named(const Table& table) {
  return std::ranges::none_of(table, [](const auto& object) { return object.public_id.empty(); });
}

template <class Table>
bool distinct(const Table& table) {
  std::set<std::string_view> seen;
  return named(table) && std::ranges::all_of(table, [&](const auto& object) {
           return seen.insert(component_id(object)).second;
         });
}

}  // namespace

ComponentIndex::ComponentIndex(const MapView& view) : account_(view.plain()) {
  const auto& tables = account_->snapshot();
  usable_ = distinct(tables.groups) && distinct(tables.posture_checks) && distinct(tables.routes) &&
            distinct(tables.networks) && distinct(tables.resources) &&
            distinct(tables.name_server_groups) && named(tables.routers);
  index_peers(view);
  index_rules();
}

void ComponentIndex::index_peers(const MapView& view) {
  const auto& known = account_->peers();
  peers_.reserve(known.size());
  records_.reserve(known.size());
  std::set<std::string> keys;
  for (PeerIndex at = 0; at < known.size(); ++at) {
    const Peer& peer = *known[at].peer;
    std::string key = view.raw_key(peer.key);
    const bool odd_v6 = peer.ipv6.is_set() && peer.ipv6.unmapped().is_v4();
    if (key.size() != kKeyBytes || !peer.ip.is_v4() || odd_v6 || !keys.insert(key).second)
      unfit_.set(at);
    peers_.push_back(peer_body(peer, key));
    const PeerRecord& record = *view.peer(view.find(peer.id));
    records_.push_back({renumbered(record.dns_records[0], kRecordsField),
                        renumbered(record.dns_records[1], kRecordsField)});
  }
}

void ComponentIndex::index_rules() {
  std::map<std::string_view, std::size_t> uses;  // of rule ids: equal ones merge in legacy maps
  for (const PolicyView& policy : account_->policies())
    for (const RuleView& rule : policy.rules) ++uses[rule.rule->id.value()];
  std::set<std::string> taken;
  for (const PolicyView& policy : account_->policies()) {
    std::size_t number = 0;
    for (const RuleView& rule : policy.rules) {
      // Receivers know a policy by one rule. More of them get ids of their own, or their rules
      // would hide each other.
      std::string id = component_id(*policy.policy);
      if (++number > 1) id += '-' + std::to_string(number);
      const bool exact = uses[rule.rule->id.value()] == 1 && ports_travel(*rule.rule) &&
                         !policy.policy->public_id.empty() && taken.insert(id).second;
      rules_.emplace(&rule, Rule{std::move(id), exact});
    }
  }
}

void ComponentIndex::append_peers(std::string& out, const Bits& peers, const Bits& expired) const {
  static const std::string ended = ended_login();
  peers.for_each([&](PeerIndex peer) {
    const std::string& body = peers_[peer];
    const bool is_expired = expired.test(peer);
    wire::put_head(out, kPeersField, body.size() + (is_expired ? ended.size() : 0));
    out += body;
    if (is_expired) out += ended;
  });
}

void ComponentIndex::append_records(std::string& out, const Bits& peers, bool ipv6) const {
  peers.for_each([&](PeerIndex peer) { out += records_[peer][ipv6 ? 1 : 0]; });
}

}  // namespace nb::netmap
