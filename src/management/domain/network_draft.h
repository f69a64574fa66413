// What a caller asks of a network's routers and resources.
// Source   contract/network-map.md §1.11, rest-api.md §7.11.
#pragma once

#include "base/error_kinds.h"
#include "base/result.h"
#include "management/domain/allocation.h"
#include "management/domain/network.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management {

struct RouterDraft {
  PeerId peer{};
  std::vector<GroupId> peer_groups{};
  bool masquerade = false;
  std::int64_t metric = 0;
  bool enabled = true;
};

struct ResourceDraft {
  std::string name{};
  std::string description{};
  std::string address{};  // IP, prefix or domain; decides the type
  bool enabled = false;
  std::vector<GroupId> groups{};
};

/// Errors   kBadRequest: both or neither of peer and groups; kInvalidArgument: metric.
[[nodiscard]] Result<NetworkRouter> router_of(const RouterDraft& draft);

/// Errors   kInvalidArgument: name or address.
[[nodiscard]] Result<NetworkResource> resource_of(const ResourceDraft& draft,
                                                  const ToAsciiFn& to_ascii);

/// What a resource's address looks like in answers: prefix or domain.
[[nodiscard]] std::string address_of(const NetworkResource& resource);

}  // namespace nb::management
