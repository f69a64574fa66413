// A usable policy rule with its sides resolved to peers, and the firewall rules it makes, encoded.
// Source   contract/network-map.md §2.4, §2.5, §8.3.
#pragma once

#include "management/netmap/account_view.h"
#include "management/netmap/bits.h"
#include "management/netmap/peer_record.h"
#include "management/netmap/ssh_users.h"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace nb::netmap {

struct PeerPart;

/// What of a receiver decides how firewall rules look.
struct RuleForm {
  bool port_ranges = false;
  bool ssh_companion = false;
  bool ipv6 = false;
  bool source_prefixes = false;
};

/// The rules towards (or from) a set of peers, in their order, as elements 8 of NetworkMap.
struct RuleSegment {
  std::string bytes;
  std::vector<PeerIndex> peers;
  std::vector<std::uint32_t> offsets;  // one more than peers

  void append(std::string& out, PeerIndex without) const;
  [[nodiscard]] std::size_t bytes_without(PeerIndex without) const;
};

class CompiledRule {
 public:
  enum class Side : std::uint8_t { kSources, kDestinations, kBoth };

  CompiledRule(std::shared_ptr<const management::Policy> policy, std::size_t rule_index,
               Bits source_peers, Bits destination_peers);

  const std::shared_ptr<const management::Policy> policy;
  const RuleView view;
  const SshEffect ssh;
  const Bits sources;
  const Bits destinations;
  const bool same_sides;
  /// Another rule of the account has the same id: equal tuples of theirs collapse.
  bool shares_id = false;

  [[nodiscard]] const management::PolicyRule& rule() const { return *view.rule; }
  /// Made at first use, then shared; safe from many threads.
  [[nodiscard]] std::shared_ptr<const RuleSegment> segment(const PeerPart& peers, Side side,
                                                           Direction direction,
                                                           const RuleForm& form) const;
  /// Elements for one remote peer.
  void append_for(std::string& out, const PeerRecord& remote, Direction direction,
                  const RuleForm& form) const;
  void append_address(std::string& out, const std::string& address, const std::string& prefix,
                      Direction direction, const RuleForm& form) const;

 private:
  [[nodiscard]] const std::vector<PortSelection>& ports_for(const RuleForm& form) const;

  mutable std::mutex mutex_;
  mutable std::map<std::uint32_t, std::shared_ptr<const RuleSegment>> segments_;
};

using CompiledRulePtr = std::shared_ptr<const CompiledRule>;

}  // namespace nb::netmap
