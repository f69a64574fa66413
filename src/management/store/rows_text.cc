#include "management/store/rows_text.h"

#include <fmt/format.h>

#include <utility>

namespace nb::management::rows {
namespace {

std::vector<std::string_view> names(ColumnLists lists) {
  std::vector<std::string_view> out;
  for (std::string_view list : lists)
    while (!list.empty()) {
      const auto blank = list.find(' ');
      if (blank != 0) out.push_back(list.substr(0, blank));
      list = blank == list.npos ? std::string_view{} : list.substr(blank + 1);
    }
  return out;
}

}  // namespace

std::string select_list(std::string_view alias, ColumnLists lists) {
  std::string out;
  for (const std::string_view name : names(lists)) {
    if (!out.empty()) out += ", ";
    out += fmt::format("{}.\"{}\"", alias, name);
  }
  return out;
}

std::string insert_text(std::string_view table, ColumnLists lists) {
  std::string columns;
  std::string values;
  int count = 0;
  for (const std::string_view name : names(lists)) {
    if (count > 0) {
      columns += ", ";
      values += ", ";
    }
    columns += fmt::format("\"{}\"", name);
    values += fmt::format("${}", ++count);
  }
  return fmt::format("INSERT INTO {} ({}) VALUES ({})", table, columns, values);
}

std::string update_text(std::string_view table, ColumnLists lists) {
  const auto columns = names(lists);
  std::string out = fmt::format("UPDATE {} SET ", table);
  for (std::size_t i = 1; i < columns.size(); ++i) {
    if (i > 1) out += ", ";
    out += fmt::format("\"{}\" = ${}", columns[i], i + 1);
  }
  return out + fmt::format(" WHERE \"{}\" = $1", columns.front());
}

std::vector<sql::Param> own(std::vector<sql::Param> values) {
  for (sql::Param& value : values)
    if (value.kind() == sql::Param::Kind::kText) value = sql::Param(std::string(value.text()));
  return values;
}

sql::Param list_or_null(std::string text) {
  return text == "[]" ? sql::Param(nullptr) : sql::Param(std::move(text));
}

}  // namespace nb::management::rows
