#include "management/netmap/compiled_rule.h"

#include "management/netmap/map_parts.h"
#include "management/netmap/wire.h"

#include <algorithm>
#include <utility>

namespace nb::netmap {
namespace {

// Values of the protocol's enums RuleProtocol and RuleDirection, RuleAction.
constexpr std::int64_t protocol_number(Protocol protocol) {
  switch (protocol) {
    case Protocol::kAll:
      return 1;
    case Protocol::kTcp:
      return 2;
    case Protocol::kUdp:
      return 3;
    case Protocol::kIcmp:
      return 4;
  }
  return 0;
}

/// PortInfo with a range, {0,0} included.
std::string port_info(management::PortRange range) {
  std::string inner;
  wire::put_number(inner, 1, range.start);
  wire::put_number(inner, 2, range.end);
  std::string out;
  wire::put_element(out, 2, inner);
  return out;
}

}  // namespace

void RuleSegment::append(std::string& out, PeerIndex without) const {
  const auto at = std::ranges::lower_bound(peers, without);
  if (at == peers.end() || *at != without) {
    out.append(bytes);
    return;
  }
  const auto position = static_cast<std::size_t>(at - peers.begin());
  out.append(bytes, 0, offsets[position]);
  out.append(bytes, offsets[position + 1], bytes.npos);
}

std::size_t RuleSegment::bytes_without(PeerIndex without) const {
  const auto at = std::ranges::lower_bound(peers, without);
  if (at == peers.end() || *at != without) return bytes.size();
  const auto position = static_cast<std::size_t>(at - peers.begin());
  return bytes.size() - (offsets[position + 1] - offsets[position]);
}

CompiledRule::CompiledRule(std::shared_ptr<const management::Policy> of, std::size_t rule_index,
                           Bits source_peers, Bits destination_peers)
    : policy(std::move(of)),
      view(policy->rules[rule_index]),
      ssh(ssh_effect(*view.rule)),
      sources(std::move(source_peers)),
      destinations(std::move(destination_peers)),
      same_sides(sources == destinations) {}

const std::vector<PortSelection>& CompiledRule::ports_for(const RuleForm& form) const {
  return view.ports_for(
      {.ranges = form.port_ranges,
       .ssh_companion = form.ssh_companion && rule().protocol == management::kProtocolTcp});
}

void CompiledRule::append_address(std::string& out, const std::string& address,
                                  const std::string& prefix, Direction direction,
                                  const RuleForm& form) const {
  const bool ported = view.protocol == Protocol::kTcp || view.protocol == Protocol::kUdp;
  for (const PortSelection& ports : ports_for(form)) {
    std::string body;
    wire::put_bytes(body, 1, address);
    wire::put_number(body, 2, direction == Direction::kOut ? 1 : 0);
    wire::put_number(body, 3, view.action == Action::kDrop ? 1 : 0);
    wire::put_number(body, 4, protocol_number(view.protocol));
    wire::put_bytes(body, 5, ports.port);
    if (ported && ports.port.empty()) wire::put_element(body, 6, port_info(ports.range));
    wire::put_bytes(body, 7, rule().id.value());
    if (form.source_prefixes) wire::put_element(body, 9, prefix);
    wire::put_element(out, 8, body);
  }
}

void CompiledRule::append_for(std::string& out, const PeerRecord& remote, Direction direction,
                              const RuleForm& form) const {
  append_address(out, remote.ip_text, remote.ip_prefix, direction, form);
  // The remote's own IPv6 capability is not asked for.
  if (form.ipv6 && !remote.ipv6_text.empty())
    append_address(out, remote.ipv6_text, remote.ipv6_prefix, direction, form);
}

std::shared_ptr<const RuleSegment> CompiledRule::segment(const PeerPart& peers, Side side,
                                                         Direction direction,
                                                         const RuleForm& form) const {
  const std::uint32_t key = static_cast<std::uint32_t>(side) << 5 |
                            (direction == Direction::kOut ? 16U : 0U) |
                            (form.port_ranges ? 8U : 0U) | (form.ssh_companion ? 4U : 0U) |
                            (form.ipv6 ? 2U : 0U) | (form.source_prefixes ? 1U : 0U);
  const std::scoped_lock lock(mutex_);
  auto& slot = segments_[key];
  if (slot != nullptr) return slot;
  auto made = std::make_shared<RuleSegment>();
  const Bits remotes = side == Side::kSources        ? sources
                       : side == Side::kDestinations ? destinations
                                                     : sources | destinations;
  remotes.for_each([&](PeerIndex remote) {
    made->peers.push_back(remote);
    made->offsets.push_back(static_cast<std::uint32_t>(made->bytes.size()));
    append_for(made->bytes, *peers.record(remote), direction, form);
  });
  made->offsets.push_back(static_cast<std::uint32_t>(made->bytes.size()));
  made->bytes.shrink_to_fit();
  slot = std::move(made);
  return slot;
}

}  // namespace nb::netmap
