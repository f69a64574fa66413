// Networks with routers and resources: contract/network-map.md §1.11, rest-api.md §7.11.
#pragma once

#include "management/domain/network_draft.h"
#include "management/store/edits/edit.h"

#include <string>
#include <vector>

namespace nb::management {

/// Creates (empty id) or replaces.
struct SaveNetwork {
  using Answer = Network;
  NetworkId id{};
  std::string name{};
  std::string description{};
};

/// With its routers and resources, which leave their groups.
/// Errors   kNotFound; kFailedPrecondition: a resource is used by a service.
struct DeleteNetwork {
  using Answer = Nothing;
  NetworkId id{};
};

/// Errors   router_of()'s; kNotFound: network, router; kBadRequest: router of another network;
///          kInvalidArgument: unknown peer or group.
struct SaveRouter {
  using Answer = NetworkRouter;
  NetworkId network{};
  RouterId id{};
  RouterDraft draft{};
};

struct DeleteRouter {
  using Answer = Nothing;
  NetworkId network{};
  RouterId id{};
};

/// Errors   resource_of()'s; kInvalidArgument: name taken; kNotFound: network, resource, group.
struct SaveResource {
  using Answer = NetworkResource;
  NetworkId network{};
  ResourceId id{};
  ResourceDraft draft{};
};

/// Errors   kNotFound; kFailedPrecondition: used by a service.
struct DeleteResource {
  using Answer = Nothing;
  NetworkId network{};
  ResourceId id{};
};

}  // namespace nb::management
