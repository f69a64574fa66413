// Conditions on the machine of a policy's source peers.
// Source   contract/network-map.md §1.9.
#pragma once

#include "management/domain/address.h"
#include "management/domain/ids.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management {

inline constexpr std::string_view kCheckAllow = "allow";
inline constexpr std::string_view kCheckDeny = "deny";

struct OsVersionCheck {
  // Minimum versions; absent: this system is not allowed at all.
  std::optional<std::string> android{};
  std::optional<std::string> darwin{};
  std::optional<std::string> ios{};
  std::optional<std::string> linux_kernel{};
  std::optional<std::string> windows_kernel{};
  friend bool operator==(const OsVersionCheck&, const OsVersionCheck&) = default;
};

struct GeoLocation {
  std::string country_code{};  // ISO 3166-1 alpha-2
  std::string city_name;       // empty: the whole country
  friend bool operator==(const GeoLocation&, const GeoLocation&) = default;
};

struct GeoLocationCheck {
  std::vector<GeoLocation> locations;
  std::string action{};
  friend bool operator==(const GeoLocationCheck&, const GeoLocationCheck&) = default;
};

struct NetworkRangeCheck {
  std::vector<Prefix> ranges;
  std::string action{};
  friend bool operator==(const NetworkRangeCheck&, const NetworkRangeCheck&) = default;
};

/// Paths by operating system; empty: not defined there.
struct CheckedProcess {
  std::string linux_path{};
  std::string mac_path{};
  std::string windows_path{};
  friend bool operator==(const CheckedProcess&, const CheckedProcess&) = default;
};

struct PostureChecks {
  std::optional<std::string> nb_version_min{};
  std::optional<OsVersionCheck> os_version{};
  std::optional<GeoLocationCheck> geo_location{};
  std::optional<NetworkRangeCheck> network_range{};
  std::optional<std::vector<CheckedProcess>> processes{};
  bool unreadable = false;  // stored, but not as any server writes it: nobody passes
  friend bool operator==(const PostureChecks&, const PostureChecks&) = default;
};

struct PostureCheck {
  PostureCheckId id;
  AccountId account_id;
  PublicId public_id;
  std::string name;
  std::string description;
  PostureChecks checks;
};

}  // namespace nb::management
