// Connection parameters for libpq. Private to sql/.
#pragma once

#include "sql/dsn.h"

#include <string>
#include <vector>

struct pg_conn;

namespace nb::sql {

/// Null-terminated arrays; they borrow from what they were made of and from static text.
struct PgKeywords {
  std::vector<const char*> names;
  std::vector<const char*> values;
};

/// Notices ("relation already exists") go nowhere instead of to stderr.
void drop_notices(pg_conn* connection);

/// `application_name` is a C string so that none is made for the call and gone after it.
PgKeywords pg_keywords(const Dsn& dsn, const char* application_name);

}  // namespace nb::sql
