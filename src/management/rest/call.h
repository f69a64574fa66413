// One request on its way through the API.
#pragma once

#include "base/clock.h"
#include "management/auth/auth.h"
#include "management/domain/actor.h"
#include "management/domain/permissions.h"
#include "management/rest/json_body.h"
#include "management/rest/reply.h"
#include "net/http.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::management::rest {

struct Call {
  std::string id;  // X-Request-Id
  Instant deadline{};
  std::vector<std::string> params{};  // of the path, in its order, decoded
  std::string query{};
  std::string body{};
  std::string client_ip{};
  std::string if_none_match{};
  auth::Caller caller{};  // empty on public paths

  [[nodiscard]] const User& user() const { return caller.known.user; }
  [[nodiscard]] const Account& account() const { return caller.known.account; }
  [[nodiscard]] const AccountId& account_id() const { return caller.known.account.id; }
  [[nodiscard]] Actor actor() const {
    return {account_id(), user().id, user().role, user().is_service_user};
  }
  [[nodiscard]] bool may(Module module, Operation operation) const {
    return check_permission(user(), account_id(), module, operation).has_value();
  }
  [[nodiscard]] Result<JsonObject> json() const { return JsonObject::parse(body); }
  /// First value of a query parameter, decoded; nothing when it is not there.
  [[nodiscard]] std::optional<std::string> argument(std::string_view name) const;
};

using Handler = std::function<Task<Reply>(Call call)>;

}  // namespace nb::management::rest
