// A table of PostgreSQL to which nobody can write for a while.
#pragma once

#include "support/process.h"
#include "support/servers.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace nb::test {

/// Holds back its writers, for what happens between two writes, or to two of them at once.
class HeldTable {
 public:
  HeldTable(const PostgresServer& postgres, const std::string& table, const std::string& database)
      : postgres_(postgres),
        table_(table),
        database_(database),
        psql_({.argv = {"psql", "-q", "-h", "127.0.0.1", "-p", std::to_string(postgres.port()),
                        "-U", "postgres", "-d", database, "-c",
                        "BEGIN; LOCK TABLE " + table + " IN SHARE MODE; SELECT pg_sleep(600)"}}) {
    EXPECT_TRUE(eventually([&] { return holder() != ""; }, patient(std::chrono::seconds(20))));
  }
  ~HeldTable() {
    postgres_.psql("SELECT pg_terminate_backend(" + holder() + ")", database_);
    psql_.kill();
  }

 private:
  [[nodiscard]] std::string holder() const {
    return postgres_.psql(
        "SELECT DISTINCT pid FROM pg_locks WHERE mode = 'ShareLock' AND granted "
        "AND relation = '" +
            table_ + "'::regclass",
        database_);
  }
  const PostgresServer& postgres_;
  const std::string table_;
  const std::string database_;
  Process psql_;
};

}  // namespace nb::test
