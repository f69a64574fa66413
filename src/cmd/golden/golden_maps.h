// cmd/golden: network maps of accounts given as database rows, for comparison with what the
// official server sends.
//
// Purpose      read vectors, load their rows into a real store, compute every peer's map with
//              production code, give it back as protobuf JSON.
// Not here     the comparison itself (check.py of the vectors, golden_test.cc).
// Start with   read_vector(), fill_database(), compute().
// Threads      one; blocks.
// Limits       a file of 256 MiB, unpacked.
// Failure      every error names the file or the table.
// Source       contract/golden/README.md
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "management/grpc/map_encoder.h"
#include "management/store/store.h"
#include "sql/database.h"

#include <boost/json/value.hpp>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace nb::cmd::golden {

/// kComponents: the fast one in the form for agents that calculate themselves, where it exists.
enum class Calculation : std::uint8_t { kPlain, kFast, kComponents };

struct Vector {
  std::string name;
  boost::json::object tables;  // table name to rows
  management::grpc::EncoderSettings encoder;
};

/// The vectors of a folder: *.json and *.json.gz in it and in its direct subfolders, by name.
[[nodiscard]] Result<std::vector<std::filesystem::path>> vectors_in(
    const std::filesystem::path& folder);

/// The text of a file, unpacked when it is packed.
[[nodiscard]] Result<std::string> read_text(const std::filesystem::path& file);
[[nodiscard]] Result<boost::json::value> read_json(const std::filesystem::path& file);
/// Nothing when the file is JSON but no vector (it has no `tables`).
[[nodiscard]] Result<std::optional<Vector>> vector_of(const boost::json::value& file);

/// Writes the rows, in their order, into a prepared and otherwise empty database. Constraints that
/// tie tables together are not asked: vectors hold rows that refer to nothing.
[[nodiscard]] Result<> fill_database(sql::Database& database, const boost::json::object& tables);
/// Takes away what our database refuses and upstream's does not: vectors hold such rows.
[[nodiscard]] Result<> drop_own_constraints(sql::Database& database);
/// Deletes all rows of the tables that vectors can fill.
[[nodiscard]] Result<> empty_database(sql::Database& database);

/// A database with upstream's tables and a store on it.
class GoldenStore {
 public:
  /// `dsn`: PostgreSQL; empty: a SQLite file that goes with the object.
  static Result<std::unique_ptr<GoldenStore>> open(const std::string& dsn);
  ~GoldenStore();
  /// Peer id to encoded SyncResponse of a push, for every peer of every account of the vector.
  [[nodiscard]] Result<std::map<std::string, std::string>> maps_of(const Vector& vector,
                                                                   Calculation calculation,
                                                                   WallTime now);
  /// Every account of the database, as the store loads it.
  [[nodiscard]] Result<std::vector<management::AccountSnapshotPtr>> load(const Vector& vector);

 private:
  struct Parts;
  explicit GoldenStore(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// Every peer of an account.
[[nodiscard]] std::map<std::string, std::string> maps_of_account(
    const management::AccountSnapshotPtr& account, const management::grpc::EncoderSettings& encoder,
    Calculation calculation, WallTime now);

/// {"<peer id>": <SyncResponse>, …} with the field names of the proto file.
[[nodiscard]] Result<std::string> as_json(const std::map<std::string, std::string>& maps);

}  // namespace nb::cmd::golden
