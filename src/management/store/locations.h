// Countries and cities by name, from the names database that belongs to a GeoLite database.
// Source   contract/rest-api.md §7.14.
#pragma once

#include "base/log.h"
#include "management/store/store.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace nb::management {

struct Country {
  std::string code;  // ISO 3166-1 alpha-2
  std::string name;
};
struct City {
  std::int64_t geoname_id = 0;
  std::string name;
};

class Locations {
 public:
  virtual ~Locations() = default;
  /// By name; without those that have none.
  virtual Task<std::vector<Country>> countries(Instant deadline) = 0;
  /// By name, each name once. Unknown country: none.
  virtual Task<std::vector<City>> cities(Instant deadline, std::string country_code) = 0;
};

/// The newest geonames_*.db of a directory; null when there is none.
/// Errors   kInvalidArgument: a file that can not be opened.
Result<std::unique_ptr<Locations>> open_locations(const std::string& directory, Logger log);

}  // namespace nb::management
