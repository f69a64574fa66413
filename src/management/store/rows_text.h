// Statement texts from lists of column names. Private to store/.
#pragma once

#include "sql/types.h"

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management::rows {

using ColumnLists = std::initializer_list<std::string_view>;  // names, each followed by a blank

/// `p."id", p."key"`; quoted, because some names are words of SQL.
std::string select_list(std::string_view alias, ColumnLists lists);
/// "INSERT INTO t (…) VALUES ($1, …)".
std::string insert_text(std::string_view table, ColumnLists lists);
/// "UPDATE t SET … WHERE first = $1": the values are those of the insert.
std::string update_text(std::string_view table, ColumnLists lists);

/// The same values without borrowed text.
std::vector<sql::Param> own(std::vector<sql::Param> values);

/// A JSON list, or NULL when it is empty and was never set (upstream: nil).
sql::Param list_or_null(std::string text);

}  // namespace nb::management::rows
