// What a caller asks of a legacy route, and the route that follows from it.
// Source   contract/network-map.md §1.10, rest-api.md §7.10.
#pragma once

#include "base/result.h"
#include "management/domain/allocation.h"
#include "management/domain/route.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management {

/// Of each pair one is present; an empty list is present.
struct RouteDraft {
  std::optional<std::string> network{};
  std::optional<std::vector<std::string>> domains{};
  std::optional<PeerId> peer{};
  std::optional<std::vector<GroupId>> peer_groups{};
  std::string net_id{};
  std::string description{};
  bool keep_route = false;
  bool masquerade = false;
  std::int64_t metric = 0;
  bool enabled = false;
  std::vector<GroupId> groups{};
  std::vector<GroupId> access_control_groups{};
  bool skip_auto_apply = false;
};

/// Without id, account and public id.
/// Errors   kInvalidArgument with the texts of rest-api.md §7.10.
[[nodiscard]] Result<Route> route_of(const RouteDraft& draft, const ToAsciiFn& to_ascii);

/// At least one and at most 32 names, each valid; in ASCII and lower case.
/// Errors   kInvalidArgument naming the offending one.
[[nodiscard]] Result<std::vector<std::string>> ascii_domains(const std::vector<std::string>& names,
                                                             const ToAsciiFn& to_ascii);

/// Both lead to the same place: the same prefix, or the same domains in the same order.
[[nodiscard]] bool same_destination(const Route& a, const Route& b);

/// Agents that have IPv6 get each route to 0.0.0.0/0 twice, the second to ::/0 under a name of its
/// own, and take two routes of one name and destination for two ways to one place. So nobody else
/// may have such a name there.
/// Source   contract/network-map.md §2.8.
/// Errors   kInvalidArgument.
[[nodiscard]] Result<> check_name_unreserved(std::string_view name, const Prefix& network);

/// "prefix 10.0.0.0/8" or "domains [a.example, b.example]".
[[nodiscard]] std::string describe_destination(const Route& route);

/// Characters of UTF-8 text; limits of names count these and not bytes.
[[nodiscard]] std::size_t character_count(std::string_view text);

}  // namespace nb::management
