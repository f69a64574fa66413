// What component maps need of an account, worked out once per snapshot.
// Source   contract/management-grpc.md §3.6, §7; docs/decisions/0122-component-maps.md
#pragma once

#include "management/netmap/map_view.h"

#include <array>
#include <cstddef>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

namespace nb::netmap {

/// The id an object has in component maps: its public one. Its own where a row has none; then no
/// component map names it (usable(), Rule::exact): receivers never see ids of rows.
template <class Object>
[[nodiscard]] const std::string& component_id(const Object& object) {
  return object.public_id.empty() ? object.id.value() : object.public_id.value();
}

/// Peers are positions in AccountView::peers(). Immutable; any thread.
class ComponentIndex {
 public:
  explicit ComponentIndex(const MapView& view);

  [[nodiscard]] const AccountView& account() const { return *account_; }
  /// False where two objects of a kind share an id, or one has no public id, policies apart: then
  /// nothing can be said by ids.
  [[nodiscard]] bool usable() const { return usable_; }
  /// All of these peers have what a receiver asks of a peer: a key of 32 bytes, an IPv4 address.
  [[nodiscard]] bool carries(const Bits& peers) const { return !peers.intersects(unfit_); }

  struct Rule {
    std::string id;     // of the PolicyCompact that stands for it
    bool exact = true;  // a receiver makes of it what the legacy map says
  };
  /// `rule`: of account(), usable.
  [[nodiscard]] const Rule& rule(const RuleView& rule) const { return rules_.at(&rule); }

  /// Elements `peers` of NetworkMapComponentsFull, ascending; `expired`: their logins have ended.
  void append_peers(std::string& out, const Bits& peers, const Bits& expired) const;
  /// Elements `all_dns_records`; `ipv6`: as receivers with IPv6 get them.
  void append_records(std::string& out, const Bits& peers, bool ipv6) const;

 private:
  void index_peers(const MapView& view);
  void index_rules();

  std::shared_ptr<const AccountView> account_;
  bool usable_ = true;
  Bits unfit_;
  std::vector<std::string> peers_;                   // PeerCompact
  std::vector<std::array<std::string, 2>> records_;  // without and with IPv6
  std::unordered_map<const RuleView*, Rule> rules_;
};

}  // namespace nb::netmap
