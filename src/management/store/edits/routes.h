// Legacy routes: contract/network-map.md §1.10, rest-api.md §7.10.
#pragma once

#include "management/domain/route_draft.h"
#include "management/store/edits/edit.h"

namespace nb::management {

/// Creates (empty id) or replaces.
/// Errors   route_of()'s; kInvalidArgument: unknown group or peer; kAlreadyExists: the same
///          destination is served by the same peer or group; kNotFound.
struct SaveRoute {
  using Answer = Route;
  RouteId id{};
  RouteDraft draft{};
};

/// Errors   kNotFound "failed to delete route x: route: x not found".
struct DeleteRoute {
  using Answer = Nothing;
  RouteId id{};
};

}  // namespace nb::management
