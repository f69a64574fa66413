// A server's SQLite database, read and changed behind its back.
#pragma once

#include <sqlite3.h>

#include <stdexcept>
#include <string>

namespace nb::test {

/// Runs statements; the answer's columns are joined by '|', rows by line ends.
inline std::string sqlite(const std::string& file, const std::string& statements) {
  sqlite3* db = nullptr;
  std::string out;
  if (sqlite3_open(file.c_str(), &db) != SQLITE_OK) throw std::runtime_error("cannot open " + file);
  sqlite3_busy_timeout(db, 10'000);
  const auto row = [](void* to, int count, char** values, char**) {
    auto& text = *static_cast<std::string*>(to);
    for (int i = 0; i < count; ++i) {
      if (i > 0) text += '|';
      text += values[i] == nullptr ? "" : values[i];
    }
    text += '\n';
    return 0;
  };
  char* error = nullptr;
  const int code = sqlite3_exec(db, statements.c_str(), row, &out, &error);
  const std::string what = error == nullptr ? "" : error;
  sqlite3_free(error);
  sqlite3_close(db);
  if (code != SQLITE_OK) throw std::runtime_error(what);
  return out;
}

}  // namespace nb::test
