#include "management/netmap/route_wire.h"

#include "management/netmap/wire.h"

namespace nb::netmap {
namespace {

// Values of the protocol's enum RuleProtocol.
constexpr std::int64_t protocol_number(Protocol protocol) {
  return static_cast<std::int64_t>(protocol) + 1;
}
static_assert(protocol_number(Protocol::kAll) == 1 && protocol_number(Protocol::kTcp) == 2 &&
              protocol_number(Protocol::kUdp) == 3 && protocol_number(Protocol::kIcmp) == 4);

}  // namespace

std::string encoded(const MapRoute& route, const std::string& peer_key) {
  std::string out;
  wire::put_bytes(out, 1, route.id);
  wire::put_bytes(out, 2, route.network.to_string());
  wire::put_number(out, 3, route.network_type);
  wire::put_bytes(out, 4, peer_key);
  wire::put_number(out, 5, route.metric);
  wire::put_number(out, 6, route.masquerade ? 1 : 0);
  wire::put_bytes(out, 7, route.net_id);
  for (const std::string& domain : route.domains) wire::put_element(out, 8, domain);
  wire::put_number(out, 9, route.keep_route ? 1 : 0);
  wire::put_number(out, 10, route.skip_auto_apply ? 1 : 0);
  return out;
}

std::string encoded(const RouteRule& rule) {
  std::string out;
  for (const std::string& source : rule.sources) wire::put_element(out, 1, source);
  wire::put_number(out, 2, rule.action == Action::kDrop ? 1 : 0);
  wire::put_bytes(out, 3, rule.destination);
  wire::put_number(out, 4, protocol_number(rule.protocol));
  std::string ports;  // always there, empty for any port
  if (rule.port != 0) {
    wire::put_number(ports, 1, rule.port);
  } else if (rule.range.end != 0) {
    std::string range;
    wire::put_number(range, 1, rule.range.start);
    wire::put_number(range, 2, rule.range.end);
    wire::put_element(ports, 2, range);
  }
  wire::put_element(out, 5, ports);
  wire::put_number(out, 6, rule.is_dynamic ? 1 : 0);
  for (const std::string& domain : rule.domains) wire::put_element(out, 7, domain);
  wire::put_bytes(out, 9, rule.policy_id);
  wire::put_bytes(out, 10, rule.route_id);
  return out;
}

}  // namespace nb::netmap
