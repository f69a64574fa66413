// The databases that the official server wrote (tests/data/upstream).
#pragma once

#include "management/store/test_store.h"
#include "support/paths.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <zlib.h>

#include <array>
#include <fstream>
#include <stdexcept>
#include <string>

namespace nb::management::test {

inline std::string unpacked(const std::string& name) {
  const std::string path = nb::test::source_dir() + "/tests/data/upstream/" + name;
  const gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) throw std::runtime_error("cannot open " + path);
  std::string out;
  std::array<char, 65536> buffer{};
  for (int n = 0; (n = gzread(file, buffer.data(), buffer.size())) > 0;)
    out.append(buffer.data(), static_cast<std::size_t>(n));
  gzclose(file);
  return out;
}

/// Loads the example as upstream left it.
inline void load_example(const sql::test::TestDatabase& fixture) {
  if (fixture.name().empty()) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(fixture.dsn().file.c_str(), &db), SQLITE_OK);
    const int code =
        sqlite3_exec(db, unpacked("example.sqlite.sql.gz").c_str(), nullptr, nullptr, nullptr);
    EXPECT_EQ(code, SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
    return;
  }
  const nb::test::TempDir dir;
  const std::string path = dir / "example.sql";
  std::ofstream(path) << unpacked("example.postgres.sql.gz");
  sql::test::postgres().psql_file(path, fixture.name());
}

}  // namespace nb::management::test
