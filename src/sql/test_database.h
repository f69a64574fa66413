// A database for one test: a file, or a fresh database of the test program's PostgreSQL.
#pragma once

#include "base/assert.h"
#include "sql/database.h"
#include "support/servers.h"

#include <memory>
#include <string>

namespace nb::sql::test {

/// Far enough for a loaded machine, near enough that a hang fails the test.
inline Instant soon(std::chrono::milliseconds time = std::chrono::seconds(60)) {
  return std::chrono::steady_clock::now() + time;
}

/// Started at first use, ended with the program.
inline nb::test::PostgresServer& postgres() {
  static nb::test::PostgresServer server;
  return server;
}

class TestDatabase {
 public:
  explicit TestDatabase(Engine engine) {
    if (engine == Engine::kSqlite) {
      dsn_ = dir_ / "store.db";
      return;
    }
    static int counter = 0;
    name_ = "t" + std::to_string(++counter);
    postgres().create_database(name_);
    dsn_ = postgres().dsn(name_);
  }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] Dsn dsn() const {
    auto dsn = name_.empty() ? Dsn::sqlite(dsn_) : Dsn::postgres(dsn_);
    NB_ASSERT(dsn.has_value());
    return *std::move(dsn);
  }
  [[nodiscard]] std::unique_ptr<Database> open(DatabaseOptions options = {},
                                               prometheus::Registry* registry = nullptr) const {
    auto database = Database::open(dsn(), std::move(options), Logger(), registry);
    NB_ASSERT(database.has_value());
    return *std::move(database);
  }

 private:
  nb::test::TempDir dir_;
  std::string name_;
  std::string dsn_;
};

}  // namespace nb::sql::test
