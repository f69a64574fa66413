// What is known about an external provider, and the differences between the kinds of them.
// Source   contract/auth-idp.md §6.2
#pragma once

#include "base/result.h"
#include "base/secret.h"
#include "idp/records.h"

#include <string>
#include <string_view>
#include <vector>

namespace nb::idp {

struct ConnectorConfig {
  std::string id;
  std::string type;
  std::string name;
  std::string issuer;
  std::string client_id;
  Secret client_secret;
  std::vector<std::string> scopes;
  bool groups = false;
  bool user_info = false;
  std::string user_id_claim = "sub";
  // Where to look if the standard claim is missing, or first if mapping_wins (as Dex does).
  std::string email_claim = "email";
  std::string groups_claim = "groups";
  bool mapping_wins = false;

  /// From the stored JSON with upstream's keys; what it leaves out comes from the type's defaults.
  /// Errors   kInvalidArgument
  static Result<ConnectorConfig> parse(const Connector& connector);
  /// "microsoft" speaks OAuth 2 and Graph, everything else OpenID Connect.
  [[nodiscard]] bool is_graph() const { return type == "microsoft"; }
};

[[nodiscard]] bool is_connector_type(std::string_view type);
/// Google and Microsoft have one issuer each, which nobody has to give.
[[nodiscard]] std::string_view fixed_issuer(std::string_view type);
/// The JSON as upstream writes it, so that it can be read by either.
[[nodiscard]] std::string connector_json(std::string_view type, std::string_view issuer,
                                         std::string_view client_id, const Secret& client_secret,
                                         std::string_view redirect_uri);
[[nodiscard]] Secret stored_secret(const Connector& connector);

}  // namespace nb::idp
