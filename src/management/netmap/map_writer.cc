#include "management/netmap/map_writer.h"

#include "management/netmap/route_wire.h"
#include "management/netmap/wire.h"

#include <algorithm>
#include <utility>

namespace nb::netmap {
namespace {

/// Routes, name servers and flags, where there are not unusually many.
constexpr std::size_t kSmallPartsBytes = 4'096;
constexpr char kOfflineTag = wire::tag_of_bytes(7);
constexpr char kRemoteTag = wire::tag_of_bytes(3);

}  // namespace

MapWriter::MapWriter(Standing standing)
    : standing_(std::move(standing)),
      view_(*standing_.view_),
      target_(standing_.target_),
      me_(*standing_.me_),
      active_(standing_.active_) {
  form_ = {.port_ranges = me_.features.port_ranges,
           .ssh_companion = me_.ssh_companion,
           .ipv6 = me_.has_ipv6,
           .source_prefixes = me_.source_prefixes};
  if (!me_.validated) return;
  in_zone_ = standing_.connected_;
  in_zone_.set(target_);
  select_routes();
  select_resources();
}

void MapWriter::write_peers(std::string& out, const Bits& peers, char tag) const {
  const auto& chunks = view_.peers_->chunks;
  if (tag == kRemoteTag) {
    for (std::size_t i = 0; i < peers.word_count(); ++i)
      if (const Bits::Word word = peers.word(i); word != 0)
        chunks[i]->append(out, PeerChunk::Part::kConfig, me_.has_ipv6, word);
    return;
  }
  peers.for_each([&](PeerIndex peer) {  // few: one by one, under another number
    const std::size_t at = out.size();
    out += view_.peers_->record(peer)->config[me_.has_ipv6 ? 1 : 0];
    out[at] = tag;
  });
}

void MapWriter::write_remote_peers(std::string& out) const {
  write_peers(out, active_, kRemoteTag);
}

void MapWriter::write_map(std::string& out) const {
  const std::vector<RuleBytes> rules = firewall_rules();
  std::size_t bytes = out.size() + kSmallPartsBytes + peer_bytes();
  for (const RuleBytes& rule : rules)
    bytes += rule.shared != nullptr ? rule.shared->bytes.size() : rule.own.size();
  out.reserve(bytes);
  write_remote_peers(out);
  // The flags are made where the lists are: an empty list without its flag opens the firewall.
  wire::put_number(out, 4, active_.none() ? 1 : 0);
  write_routes(out);
  write_dns(out);
  write_peers(out, standing_.offline_, kOfflineTag);
  const std::size_t before_rules = out.size();
  for (const RuleBytes& rule : rules) {
    if (rule.shared != nullptr)
      rule.shared->append(out, target_);
    else
      out += rule.own;
  }
  wire::put_number(out, 9, out.size() == before_rules ? 1 : 0);
  std::vector<RouteRule> to_routes;
  if (me_.validated) to_routes = route_rules();
  for (const RouteRule& rule : to_routes) wire::put_element(out, 10, encoded(rule));
  wire::put_number(out, 11, to_routes.empty() ? 1 : 0);
  if (me_.validated) wire::put_element(out, 13, *view_.ssh_auth(standing_.ssh_rules_));
}

std::size_t MapWriter::peer_bytes() const {
  std::size_t bytes = 0;
  const auto& chunks = view_.peers_->chunks;
  const Bits all = active_ | standing_.offline_;
  for (std::size_t i = 0; i < all.word_count(); ++i)
    if (const Bits::Word word = all.word(i); word != 0)
      bytes += chunks[i]->bytes(PeerChunk::Part::kConfig, me_.has_ipv6, word);
  return bytes + peer_zone_bytes();
}

std::vector<MapWriter::RuleBytes> MapWriter::firewall_rules() const {
  using Side = CompiledRule::Side;
  const PeerPart& peers = *view_.peers_;
  std::vector<RuleBytes> out;
  out.reserve(2 * standing_.applied_.size());
  Seen seen;
  for (const Standing::Applied& applied : standing_.applied_) {
    const CompiledRule& rule = *applied.rule;
    const bool both_ways = rule.rule().bidirectional;
    const auto emit = [&](bool to_destinations, bool to_sources, Direction direction) {
      if (!to_destinations && !to_sources) return;
      const bool both = to_destinations && to_sources && !rule.same_sides;
      const Side side = both ? Side::kBoth : to_destinations ? Side::kDestinations : Side::kSources;
      RuleBytes& bytes = out.emplace_back();
      if (!rule.shares_id) {
        bytes.shared = rule.segment(peers, side, direction, form_);
        return;
      }
      const Bits remotes = side == Side::kBoth           ? rule.sources | rule.destinations
                           : side == Side::kDestinations ? rule.destinations
                                                         : rule.sources;
      write_shared_id_rule(bytes.own, rule, remotes, direction, seen);
    };
    emit(applied.source && both_ways, applied.destination, Direction::kIn);
    emit(applied.source, applied.destination && both_ways, Direction::kOut);
  }
  return out;
}

void MapWriter::write_shared_id_rule(std::string& out, const CompiledRule& rule,
                                     const Bits& remotes, Direction direction, Seen& seen) const {
  std::string listed;
  for (const std::string& port : rule.rule().ports) listed += port + ',';
  const auto fresh = [&](const std::string& address) {
    return seen
        .emplace(rule.rule().id.value(), address, direction, rule.view.protocol, rule.view.action,
                 listed)
        .second;
  };
  remotes.for_each([&](PeerIndex peer) {
    if (peer == target_) return;
    const PeerRecord& remote = *view_.peers_->record(peer);
    if (!fresh(remote.ip_text)) return;
    rule.append_address(out, remote.ip_text, remote.ip_prefix, direction, form_);
    if (form_.ipv6 && !remote.ipv6_text.empty() && fresh(remote.ipv6_text))
      rule.append_address(out, remote.ipv6_text, remote.ipv6_prefix, direction, form_);
  });
}

void MapWriter::write_dns(std::string& out) const {
  const bool enabled = me_.validated && !view_.groups_->without_dns.test(target_);
  std::string before_zone;
  std::string after_zone;
  std::string zone;  // its domain; empty: no zone
  std::size_t records = 0;
  wire::put_number(before_zone, 1, enabled ? 1 : 0);
  if (enabled) {
    for (const Distributed& group : view_.names_->name_servers)
      if (group.members.test(target_) &&
          std::ranges::find(group.servers, me_.ip_text) == group.servers.end())
        before_zone += group.element;
    records = peer_zone_bytes();
    if (records != 0)
      wire::put_bytes(
          zone, 1,
          view_.dns_domain().ends_with('.') ? view_.dns_domain() : view_.dns_domain() + '.');
    for (const Distributed& custom : view_.names_->zones)
      if (custom.members.test(target_)) after_zone += custom.element;
    write_services(after_zone);
  }
  wire::put_number(after_zone, 4, view_.forwarder_port());
  const std::size_t zone_bytes = zone.size() + records;
  const std::size_t zone_element =
      records == 0 ? 0 : 1 + wire::varint_bytes(zone_bytes) + zone_bytes;
  // The zone is most of it: its bytes go where they belong at once.
  wire::put_head(out, 6, before_zone.size() + zone_element + after_zone.size());
  out += before_zone;
  if (records != 0) {
    wire::put_head(out, 3, zone_bytes);
    out += zone;
    for (std::size_t i = 0; i < in_zone_.word_count(); ++i)
      if (const Bits::Word word = in_zone_.word(i); word != 0)
        view_.peers_->chunks[i]->append(out, PeerChunk::Part::kDns, me_.has_ipv6, word);
  }
  out += after_zone;
}

std::size_t MapWriter::peer_zone_bytes() const {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < in_zone_.word_count(); ++i)
    if (const Bits::Word word = in_zone_.word(i); word != 0)
      bytes += view_.peers_->chunks[i]->bytes(PeerChunk::Part::kDns, me_.has_ipv6, word);
  return bytes;
}

void MapWriter::write_services(std::string& out) const {
  std::map<std::string, std::string> by_apex;
  for (const ServiceRecords& service : view_.names_->services)
    if (service.members.test(target_)) by_apex[service.apex] += service.records;
  for (const auto& [apex, records] : by_apex) {
    std::string body;
    wire::put_bytes(body, 1, apex.ends_with('.') ? apex : apex + '.');
    body += records;
    wire::put_number(body, 3, 1);
    wire::put_number(body, 4, 1);
    wire::put_element(out, 3, body);
  }
}

}  // namespace nb::netmap
