// Where an address is, from a GeoLite2 City file.
// Source   contract/signal-relay-ops.md §6.8.
#pragma once

#include "base/result.h"
#include "management/domain/peer.h"

#include <memory>
#include <optional>
#include <string>

namespace nb::management::app {

/// Read-only and mapped into memory; any thread. Without a file there is no location: posture
/// checks that need one then fail.
class GeoDatabase {
 public:
  /// Errors   kNotFound: no such file; kInvalidArgument: it is no such database.
  static Result<std::unique_ptr<GeoDatabase>> open(const std::string& path);
  /// The newest GeoLite2-City_<date>.mmdb of a directory: the last by name.
  static std::optional<std::string> newest_in(const std::string& directory);
  ~GeoDatabase();
  GeoDatabase(const GeoDatabase&) = delete;
  GeoDatabase& operator=(const GeoDatabase&) = delete;

  /// Fills country, city and id for the location's address; leaves them empty when it is unknown.
  void locate(PeerLocation& location) const;

 private:
  struct Impl;
  explicit GeoDatabase(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace nb::management::app
