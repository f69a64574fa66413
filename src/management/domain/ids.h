// Identifiers of the domain: distinct types, so that two cannot be swapped.
// Source   contract/network-map.md §1.1.
#pragma once

#include "base/strong_id.h"

#include <string>

namespace nb::management {

struct AccountId : StrongId<AccountId, std::string> {
  using StrongId::StrongId;
};
struct UserId : StrongId<UserId, std::string> {
  using StrongId::StrongId;
};
struct PeerId : StrongId<PeerId, std::string> {
  using StrongId::StrongId;
};
struct GroupId : StrongId<GroupId, std::string> {
  using StrongId::StrongId;
};
struct PolicyId : StrongId<PolicyId, std::string> {
  using StrongId::StrongId;
};
struct RuleId : StrongId<RuleId, std::string> {
  using StrongId::StrongId;
};
struct PostureCheckId : StrongId<PostureCheckId, std::string> {
  using StrongId::StrongId;
};
struct RouteId : StrongId<RouteId, std::string> {
  using StrongId::StrongId;
};
struct NetworkId : StrongId<NetworkId, std::string> {
  using StrongId::StrongId;
};
struct RouterId : StrongId<RouterId, std::string> {
  using StrongId::StrongId;
};
struct ResourceId : StrongId<ResourceId, std::string> {
  using StrongId::StrongId;
};
struct NameServerGroupId : StrongId<NameServerGroupId, std::string> {
  using StrongId::StrongId;
};
struct ZoneId : StrongId<ZoneId, std::string> {
  using StrongId::StrongId;
};
struct RecordId : StrongId<RecordId, std::string> {
  using StrongId::StrongId;
};
/// A reverse-proxy service.
struct ServiceId : StrongId<ServiceId, std::string> {
  using StrongId::StrongId;
};
/// A custom domain of the reverse proxy.
struct ProxyDomainId : StrongId<ProxyDomainId, std::string> {
  using StrongId::StrongId;
};
struct JobId : StrongId<JobId, std::string> {
  using StrongId::StrongId;
};
struct TokenId : StrongId<TokenId, std::string> {
  using StrongId::StrongId;
};
struct InviteId : StrongId<InviteId, std::string> {
  using StrongId::StrongId;
};
struct SetupKeyId : StrongId<SetupKeyId, std::string> {
  using StrongId::StrongId;
};
/// The second xid of an object that the component wire format uses as id.
struct PublicId : StrongId<PublicId, std::string> {
  using StrongId::StrongId;
};
/// A peer's WireGuard public key in canonical base64 (44 characters).
struct PeerKey : StrongId<PeerKey, std::string> {
  using StrongId::StrongId;
};
/// Standard base64 of SHA-256 over the upper-cased plain setup key (44 characters).
struct SetupKeyHash : StrongId<SetupKeyHash, std::string> {
  using StrongId::StrongId;
};
/// A server process as configured (NB_HA_INSTANCE_ID); unique among the live ones.
struct InstanceId : StrongId<InstanceId, std::string> {
  using StrongId::StrongId;
};

}  // namespace nb::management
