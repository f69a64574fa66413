#include "cmd/golden/golden_maps.h"
#include "management/store/schema_catalog.h"

#include <boost/json.hpp>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

namespace nb::cmd::golden {
namespace {

namespace json = boost::json;
namespace schema = management::schema;

constexpr std::chrono::minutes kFillMax{5};

const schema::Table* table_named(std::string_view name) {
  const auto tables = schema::main_tables();
  const auto found = std::ranges::find(tables, name, &schema::Table::name);
  return found == tables.end() ? nullptr : &*found;
}

/// Statements are made of the catalog's own names; a vector's column has to be one of them.
bool has_column(const schema::Table& table, std::string_view column) {
  std::string_view rest = table.columns;
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    std::string_view one = rest.substr(0, comma);
    rest.remove_prefix(comma == rest.npos ? rest.size() : comma + 1);
    const auto begin = one.find_first_not_of(" \n");
    if (begin == one.npos) continue;
    one.remove_prefix(begin);
    if (one.substr(0, one.find(' ')) == column) return true;
  }
  return false;
}

Result<std::string> literal(const json::value& value) {
  if (value.is_null()) return std::string("NULL");
  if (value.is_bool()) return std::string(value.get_bool() ? "TRUE" : "FALSE");
  if (value.is_number()) return json::serialize(value);
  if (!value.is_string()) return fail(Code::kInvalidArgument, "a value that is no plain value");
  std::string out = "'";
  for (const char c : value.get_string()) {
    if (c == '\0') return fail(Code::kInvalidArgument, "a text with a zero byte");
    if (c == '\'') out.push_back('\'');
    out.push_back(c);
  }
  return out + '\'';
}

Result<std::string> insert_of(const schema::Table& table, const json::object& row) {
  std::string columns;
  std::string values;
  for (const auto& [column, value] : row) {
    if (!has_column(table, column))
      return fail(Code::kInvalidArgument, "no column '{}'", std::string(column));
    NB_LET(const std::string text, literal(value));
    columns += (columns.empty() ? "\"" : ", \"") + std::string(column) + '"';
    values += (values.empty() ? "" : ", ") + text;
  }
  return fmt::format("INSERT INTO \"{}\" ({}) VALUES ({});\n", table.name, columns, values);
}

/// Foreign keys are of no interest for rows that refer to nothing on purpose.
Result<> with_free_rows(sql::Database& database, std::string statements) {
  const bool postgres = database.engine() == sql::Engine::kPostgres;
  const std::string before = postgres ? "SET LOCAL session_replication_role = replica;\n" : "";
  if (!postgres) {  // not possible inside a transaction; there is one connection that writes
    NB_TRY(database.run_blocking<void>(
        std::chrono::steady_clock::now() + kFillMax, {.single_statement = true, .attempts_max = 1},
        [](sql::Session& session) { return session.script("PRAGMA foreign_keys = OFF"); }));
  }
  return database.run_blocking<void>(
      std::chrono::steady_clock::now() + kFillMax, {.attempts_max = 1},
      [script = before + std::move(statements)](sql::Session& session) -> Result<> {
        return session.script(script);
      });
}

}  // namespace

Result<> drop_own_constraints(sql::Database& database) {
  return database.run_blocking<void>(
      std::chrono::steady_clock::now() + kFillMax, {.attempts_max = 1},
      [](sql::Session& session) -> Result<> {
        NB_LET(const sql::Rows rows,
               session.query(session.postgres()
                                 ? "SELECT indexname FROM pg_indexes WHERE schemaname = "
                                   "current_schema() AND indexname LIKE 'nb!_%' ESCAPE '!' AND "
                                   "tablename NOT LIKE 'nb!_%' ESCAPE '!' AND indexdef LIKE "
                                   "'CREATE UNIQUE%'"
                                 : "SELECT name FROM sqlite_master WHERE type = 'index' AND name "
                                   "LIKE 'nb!_%' ESCAPE '!' AND tbl_name NOT LIKE 'nb!_%' ESCAPE "
                                   "'!' AND sql LIKE 'CREATE UNIQUE%'"));
        std::string script;
        for (std::size_t i = 0; i < rows.size(); ++i)
          script += fmt::format("DROP INDEX \"{}\";\n", rows[i].string(0));
        return script.empty() ? Result<>{} : session.script(script);
      });
}

Result<> empty_database(sql::Database& database) {
  std::string script;
  const auto tables = schema::main_tables();
  for (auto table = tables.rbegin(); table != tables.rend(); ++table)
    script += fmt::format("DELETE FROM \"{}\";\n", table->name);
  return with_free_rows(database, std::move(script));
}

Result<> fill_database(sql::Database& database, const json::object& tables) {
  std::string script;
  // In an order in which tables can be filled; within one, as the vector has it.
  for (const auto& table : schema::main_tables()) {
    const json::value* const rows = tables.if_contains(table.name);
    if (rows == nullptr) continue;
    for (const auto& row : rows->as_array()) {
      auto statement = insert_of(table, row.as_object());
      if (!statement)
        return fail(Code::kInvalidArgument, "table {}: {}", table.name, statement.error().text);
      script += *statement;
    }
  }
  for (const auto& [name, rows] : tables)
    if (table_named(name) == nullptr)
      return fail(Code::kInvalidArgument, "no table '{}'", std::string(name));
  if (script.empty()) return fail(Code::kInvalidArgument, "no rows");
  return with_free_rows(database, std::move(script));
}

}  // namespace nb::cmd::golden
