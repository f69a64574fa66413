// Upstream's tables as facts: names, types, keys and indexes of the main and the events database.
// Source   contract/schema/README.md and the schema files beside it. The agent_network_* tables are
//          left out: we do not use them, and upstream makes them itself.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace nb::management::schema {

struct Index {
  std::string_view name;
  std::string_view columns;
  bool unique = false;
};

struct ForeignKey {
  std::string_view name;
  std::string_view column;
  std::string_view table;  // its column "id"
  bool cascade = false;
};

struct UniqueConstraint {
  std::string_view name;
  std::string_view column;
};

struct Table {
  std::string_view name;
  /// "name type [required] [= default], …"; types: text, text<length>, bool, int (64 bits), int4,
  /// time, real, json, serial.
  std::string_view columns;
  std::string_view primary_key;  // columns, or empty
  std::vector<Index> indexes;
  std::vector<ForeignKey> foreign_keys;
  std::vector<UniqueConstraint> uniques{};
  std::string_view primary_key_name{};  // default: <table>_pkey
};

/// In an order in which they can be made.
std::span<const Table> main_tables();
std::span<const Table> event_tables();

}  // namespace nb::management::schema
