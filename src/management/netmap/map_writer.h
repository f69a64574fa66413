// One peer's map out of a MapView, as bytes of the protocol.
// Source   contract/network-map.md §2, §8.3.
#pragma once

#include "management/netmap/route_rules.h"
#include "management/netmap/standing.h"

#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace nb::netmap {

/// Equal, byte for byte, to what the plain calculation and its encoder make of the same snapshot
/// when slots are positions, which they are in a view without a view before it; in any other view
/// lists may come in another order.
class MapWriter {
 public:
  explicit MapWriter(Standing standing);

  [[nodiscard]] bool no_remote_peers() const { return active_.none(); }

  /// Fields 3 and up of NetworkMap: everything but the serial and PeerConfig.
  void write_map(std::string& out) const;
  /// RemotePeerConfig elements 3: those of SyncResponse are those of NetworkMap.
  void write_remote_peers(std::string& out) const;

 private:
  struct Advertised {
    const RouteRecord* record;
    PeerIndex peer;
    bool by_group;
  };

  void select_routes();
  void select_resources();
  void write_peers(std::string& out, const Bits& peers, char tag) const;
  void write_routes(std::string& out) const;
  void write_dns(std::string& out) const;
  [[nodiscard]] std::size_t peer_zone_bytes() const;
  void write_services(std::string& out) const;
  /// Firewall rules of one policy rule in one direction: shared bytes, or made for this peer.
  struct RuleBytes {
    std::shared_ptr<const RuleSegment> shared;
    std::string own;
  };
  [[nodiscard]] std::vector<RuleBytes> firewall_rules() const;
  [[nodiscard]] std::size_t peer_bytes() const;
  /// Rule id, address, direction, protocol, action, ports: equal tuples collapse.
  using Seen =
      std::set<std::tuple<std::string, std::string, Direction, Protocol, Action, std::string>>;
  void write_shared_id_rule(std::string& out, const CompiledRule& rule, const Bits& remotes,
                            Direction direction, Seen& seen) const;
  [[nodiscard]] RuleSources sources_of(const Bits& peers) const;
  [[nodiscard]] std::vector<RouteRule> route_rules() const;
  void legacy_rules(const Advertised& own, std::vector<RouteRule>& out) const;
  [[nodiscard]] MapRoute route_of(const Advertised& advertised) const;
  [[nodiscard]] MapRoute resource_route(const ResourceRecord& resource, PeerIndex peer,
                                        const management::NetworkRouter& router) const;

  /// What the rules of the target's own routes are judged by (selection.h).
  struct Horizon {
    Bits candidates;
    Bits groups;  // positions
    std::set<const management::Policy*> policies;
  };
  [[nodiscard]] Horizon horizon() const;
  [[nodiscard]] Bits failing_checks(const management::Policy& policy) const;

  const Standing standing_;
  const MapView& view_;
  const PeerIndex target_;
  const PeerRecord& me_;
  RuleForm form_;
  Bits active_;  // connected by policies or resources
  Bits in_zone_;
  std::vector<const RouteRecord*> relevant_;
  std::vector<Advertised> own_;
  std::vector<MapRoute> resource_routes_;
  std::vector<Advertised> legacy_routes_;
  std::vector<const ResourceRecord*> routed_;  // resources that the target routes
};

}  // namespace nb::netmap
