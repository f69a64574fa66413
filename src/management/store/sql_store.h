// Store over a SQL database with upstream's tables.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "management/store/field_codec.h"
#include "management/store/store.h"
#include "sql/database.h"

#include <functional>
#include <memory>
#include <string>

namespace nb::management {

/// PostgreSQL channel on which writes are told when SqlStoreOptions::announce says so;
/// the payload is "<account id> <serial>".
inline constexpr const char* kAccountChannel = "nb_account_changed";

struct SqlStoreOptions {
  /// Asked inside each write that bumps a serial: tell other instances through NOTIFY? The
  /// fallback of a deployment whose Redis is away. Called on worker threads.
  std::function<bool()> announce;
  ToAsciiFn to_ascii;                   // see idna.h
  RandomFn random;                      // thread-safe
  std::function<std::string()> new_id;  // thread-safe; a fresh xid
};

/// `database`, `codec` and `clock` must outlive the store. The schema must have been migrated.
std::unique_ptr<Store> make_sql_store(sql::Database& database, const FieldCodec& codec,
                                      const Clock& clock, SqlStoreOptions options, Logger log);

}  // namespace nb::management
