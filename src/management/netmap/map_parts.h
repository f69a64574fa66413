// The parts of a MapView. Each is made anew only when something it is made from changed; elements
// that came out the same are shared with the part before.
#pragma once

#include "management/netmap/compiled_rule.h"
#include "management/netmap/peer_record.h"
#include "management/netmap/user_index.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace nb::netmap {

/// By slot. What is asked of all peers at once stands apart from the records, so that a view over
/// many peers of whom few changed does not touch the others.
struct PeerPart {
  std::vector<std::shared_ptr<const PeerChunk>> chunks;
  std::size_t slots = 0;           // one more than the largest
  std::vector<PeerIndex> slot_of;  // by position in the snapshot's table
  std::vector<PeerIndex> free;
  std::vector<WallTime> deadlines;  // of logins; max(): none
  Bits present;
  Bits validated;
  Bits stored_as_expired;
  Bits may_expire;     // has a deadline or is stored as expired
  Bits old_forwarder;  // agents for which all have to use the old port

  /// Null for a free slot.
  [[nodiscard]] const PeerRecordPtr& record(PeerIndex slot) const {
    return chunks[slot / PeerChunk::kPeers]->records()[slot % PeerChunk::kPeers];
  }
};

struct GroupRecord {
  std::shared_ptr<const management::Group> group;
  Bits members;
};

/// By position in the snapshot's table.
struct GroupPart {
  std::vector<std::shared_ptr<const GroupRecord>> groups;
  Bits in_ipv6_group;
  Bits without_dns;
};

struct CheckRecord {
  std::shared_ptr<const management::PostureCheck> check;
  Bits failing;
  std::string element;  // Checks, element 6 of SyncResponse; empty: no files to look for
};

/// A policy with posture checks, for the list of them that agents get.
struct CheckedPolicy {
  std::shared_ptr<const management::Policy> policy;
  Bits sources;                     // members of source groups, whoever they are
  std::vector<std::size_t> checks;  // positions
};

struct CheckPart {
  std::vector<std::shared_ptr<const CheckRecord>> checks;  // by position
  std::vector<CheckedPolicy> policies;
};

/// A policy of the account and its usable rules: positions in RulePart::rules.
struct PolicySpan {
  std::shared_ptr<const management::Policy> policy;
  std::size_t first = 0;
  std::size_t count = 0;
};

struct RulePart {
  std::vector<CompiledRulePtr> rules;  // in the account's order
  std::vector<PolicySpan> policies;    // enabled ones
  Bits irregular;
  bool direct_source_with_checks = false;
};

struct RouteRecord {
  std::shared_ptr<const management::Route> route;
  std::string ha_id;
  PeerIndex peer = kNoPeer;
  Bits by_group;      // members of peer groups
  Bits advertisers;   // validated ones, either way
  Bits distribution;  // members
};

struct RoutePart {
  std::vector<std::shared_ptr<const RouteRecord>> routes;  // by position
};

/// One policy's rules to a resource, each with the sources that may use it.
struct ResourceRule {
  CompiledRulePtr rule;
  Bits sources;
};

struct ResourceAccess {
  std::shared_ptr<const management::Policy> policy;
  std::vector<ResourceRule> rules;
  Bits sources;  // of all of them
};

struct ResourceRecord {
  std::shared_ptr<const management::NetworkResource> resource;
  std::vector<ResourceAccess> access;
  std::map<PeerIndex, std::shared_ptr<const management::NetworkRouter>> routers;
  Bits router_peers;  // validated ones
  Bits reaching;      // sources of any policy
};

struct ResourcePart {
  std::vector<std::shared_ptr<const ResourceRecord>> resources;  // enabled and reached by policies
  Bits must_resolve_dns;
};

/// Something that goes to the members of some groups, encoded.
struct Distributed {
  std::string element;
  Bits members;
  std::vector<std::string> servers;  // peers with these addresses do not get it
  friend bool operator==(const Distributed&, const Distributed&) = default;
};

/// Records of a private service in the zone `apex`.
struct ServiceRecords {
  std::string apex;
  std::string records;
  Bits members;
  friend bool operator==(const ServiceRecords&, const ServiceRecords&) = default;
};

struct NamePart {
  std::vector<Distributed> name_servers;  // elements 2 of DNSConfig
  std::vector<Distributed> zones;         // elements 3
  std::vector<ServiceRecords> services;
};

}  // namespace nb::netmap
