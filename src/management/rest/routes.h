// Which method of which path is what, and who may call it.
// Source   contract/rest-api.md §1.2; contract/rest-api.json endpoints.
#pragma once

#include "management/domain/permissions.h"
#include "management/rest/call.h"

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management::rest {

struct Need {
  Module module;
  Operation operation;
};

enum class Access : std::uint8_t {
  kPublic,  // no credentials are looked at
  kSigned,  // any caller; the handler decides what he sees
};

struct Route {
  std::string method;
  std::string path;  // "/api/peers/{peerId}"
  Access access = Access::kSigned;
  std::vector<Need> needs{};  // all of them
  Handler handler;
  std::vector<std::string> parts{};  // of the path
  std::string label{};               // of metrics: the path without braces
};

class RouteTable {
 public:
  void add(std::string method, std::string path, std::initializer_list<Need> needs,
           Handler handler);
  void add(std::string method, std::string path, Access access, Handler handler);

  struct Match {
    const Route* route = nullptr;  // null: the path is known, the method is not
    std::vector<std::string> params;
  };
  /// Nothing: no such path. Literal segments win over parameters.
  [[nodiscard]] std::optional<Match> find(std::string_view method, std::string_view path) const;
  [[nodiscard]] const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

/// Where a path with empty or dot segments should have gone; nothing for a clean one.
[[nodiscard]] std::optional<std::string> cleaned(std::string_view path);

}  // namespace nb::management::rest
