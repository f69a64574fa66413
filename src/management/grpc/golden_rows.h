// Test help: rows of a golden vector as an account snapshot, without any database in between.
#pragma once

#include "management/domain/account_snapshot.h"

#include <boost/json.hpp>

#include <optional>
#include <string>

namespace nb::management::grpc::golden {

/// Reads a .json.gz file; throws on failure.
[[nodiscard]] boost::json::value read_vector(const std::string& path);
/// The account with `id` out of the tables of a vector.
[[nodiscard]] AccountSnapshotPtr snapshot(const boost::json::object& tables, const std::string& id);

}  // namespace nb::management::grpc::golden
