// Management servers as their rows in the database tell, what they say of themselves, and orders to
// them. For operators; what instances need of each other is in store.h.
#pragma once

#include "management/store/store.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nb::sql {
class Database;
}

namespace nb::management {

struct ListedInstance {
  std::string id;
  std::int64_t incarnation = 0;
  std::int64_t lease_ms = 0;  // until its lease ends; 0 or less: it left, or is dead
  std::int64_t peers = 0;     // connected to it
  std::string facts;          // what it said last (ha/instance_facts.h); empty: an older version
  bool drain_ordered = false;
  [[nodiscard]] bool alive() const { return lease_ms > 0; }
};
struct InstanceList {
  std::vector<ListedInstance> instances;  // by id
  std::int64_t waiting_events = 0;        // of activity, not in their database yet
};

class InstanceRows {
 public:
  virtual ~InstanceRows() = default;
  /// The living, and those that died within the last hour without saying good-bye. Reads only; also
  /// of a database that no program of this version has migrated yet.
  virtual Task<InstanceList> list(Instant deadline) = 0;
  /// What this start of an instance says of itself, beside its lease.
  /// Errors   kAborted: there is no such row, or a newer process has the id.
  virtual Task<> tell(Instant deadline, InstanceId instance, std::int64_t incarnation,
                      std::string facts) = 0;
  /// Whether this start of the instance is to drain.
  virtual Task<bool> drain_ordered(Instant deadline, InstanceId instance,
                                   std::int64_t incarnation) = 0;
  /// Stands until that start of the instance has seen it; ends with its process.
  /// Errors   kNotFound: no live instance has that id and incarnation.
  virtual Task<> order_drain(Instant deadline, InstanceId instance, std::int64_t incarnation) = 0;
};

/// `database` outlives it.
[[nodiscard]] std::unique_ptr<InstanceRows> make_sql_instance_rows(sql::Database& database);

}  // namespace nb::management
