// What the embedded provider is told at its start.
#pragma once

#include "base/result.h"
#include "base/secret.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::idp {

inline constexpr std::string_view kDashboardClient = "netbird-dashboard";
inline constexpr std::string_view kCliClient = "netbird-cli";
inline constexpr std::string_view kDeviceGrant = "urn:ietf:params:oauth:grant-type:device_code";

/// A local user to make at the first start; never changed afterwards.
struct OwnerSeed {
  std::string email;
  std::string name;  // empty: the address
  Secret password;   // a hash (bcrypt, argon2id) or a plain password
};

/// A connector of the configuration file: kept equal to it at every start.
struct StaticConnector {
  std::string id;
  std::string type;
  std::string name;
  std::string config_json;  // keys of contract/auth-idp.md §6.2
};

struct Lifetimes {
  std::chrono::seconds session_idle{std::chrono::hours(1)};
  std::chrono::seconds session_max{std::chrono::hours(24)};
  std::chrono::seconds token{std::chrono::hours(24)};
  std::chrono::seconds request{std::chrono::minutes(15)};
  std::chrono::seconds code{60};
  std::chrono::seconds device{std::chrono::minutes(5)};
  std::chrono::seconds device_interval{5};
  std::chrono::seconds refresh_idle{std::chrono::hours(24 * 30)};
  std::chrono::seconds refresh_max{std::chrono::hours(24 * 90)};
  std::chrono::seconds refresh_grace{10};
  std::chrono::seconds key{std::chrono::hours(24 * 30)};
  std::chrono::seconds jwks{std::chrono::hours(1)};
};

struct Options {
  std::string issuer;  // see normalise_issuer()
  std::vector<std::string> dashboard_redirect_uris;
  std::vector<std::string> cli_redirect_uris;  // empty: upstream's two
  std::vector<std::string> post_logout_redirect_uris;
  std::vector<std::string> grant_types;  // empty: all
  bool local_auth_disabled = false;
  bool remember_default = false;
  Lifetimes lifetimes{};
  /// A failed login answers no earlier than this, so that its time tells nothing.
  /// Logins and device codes under way at which new ones are refused.
  std::int64_t logins_max = 50'000;
  std::chrono::milliseconds failure_floor{600};
  /// Loopback and link-local providers, and http to them (development, tests).
  bool allow_local_providers = false;
  std::optional<OwnerSeed> owner;
  std::vector<StaticConnector> connectors;
};

/// Scheme and host, path ending in /oauth2, no trailing slash, no query (contract §1.1).
/// Errors   kInvalidArgument
Result<std::string> normalise_issuer(std::string_view issuer);

}  // namespace nb::idp
