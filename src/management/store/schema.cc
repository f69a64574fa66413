#include "management/store/schema.h"

#include "base/assert.h"

#include <fmt/format.h>

#include <set>
#include <string>

namespace nb::management::schema {
namespace {

using sql::Session;

struct Column {
  std::string name;
  std::string type;
  bool required = false;
  std::string fallback;  // SQL of the default, or empty
};

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

Column parse_column(std::string_view text) {
  Column column;
  if (const auto equals = text.find('='); equals != text.npos) {
    column.fallback = trimmed(text.substr(equals + 1));
    text = trimmed(text.substr(0, equals));
  }
  constexpr std::string_view kRequired = " required";
  if (text.ends_with(kRequired)) {
    column.required = true;
    text.remove_suffix(kRequired.size());
  }
  const auto blank = text.find(' ');
  NB_ASSERT(blank != text.npos);
  column.name = text.substr(0, blank);
  column.type = trimmed(text.substr(blank));
  return column;
}

std::vector<Column> parse_columns(std::string_view text) {
  std::vector<Column> out;
  while (!text.empty()) {
    const auto comma = text.find(',');
    out.push_back(parse_column(trimmed(text.substr(0, comma))));
    text = comma == text.npos ? std::string_view{} : text.substr(comma + 1);
  }
  return out;
}

std::string quoted_list(std::string_view columns) {
  std::string out;
  while (!columns.empty()) {
    const auto comma = columns.find(',');
    if (!out.empty()) out += ", ";
    out += fmt::format("\"{}\"", trimmed(columns.substr(0, comma)));
    columns = comma == columns.npos ? std::string_view{} : columns.substr(comma + 1);
  }
  return out;
}

std::string type_name(const Column& column, bool postgres) {
  const std::string& type = column.type;
  if (type == "serial") return postgres ? "bigserial" : "INTEGER PRIMARY KEY AUTOINCREMENT";
  if (type == "json") return "json";
  if (type == "text") return postgres ? "text" : "TEXT";
  if (type.starts_with("text"))
    return fmt::format("{}({})", postgres ? "character varying" : "varchar", type.substr(4));
  if (type == "bool") return postgres ? "boolean" : "numeric";
  if (type == "int") return postgres ? "bigint" : "INTEGER";
  if (type == "int4") return postgres ? "integer" : "INTEGER";
  if (type == "time") return postgres ? "timestamp with time zone" : "datetime";
  NB_ASSERT(type == "real");
  return postgres ? "numeric" : "REAL";
}

std::string definition(const Column& column, bool postgres) {
  std::string out = fmt::format("\"{}\" {}", column.name, type_name(column, postgres));
  if (column.required) out += " NOT NULL";
  if (!column.fallback.empty()) out += " DEFAULT " + column.fallback;
  return out;
}

std::string foreign_key(const ForeignKey& key) {
  return fmt::format("CONSTRAINT \"{}\" FOREIGN KEY (\"{}\") REFERENCES \"{}\" (\"id\"){}",
                     key.name, key.column, key.table, key.cascade ? " ON DELETE CASCADE" : "");
}

// SQLite can not add constraints later, PostgreSQL wants the other table to be there.
std::string create_table(const Table& table, bool postgres) {
  std::string out = fmt::format("CREATE TABLE \"{}\" (", table.name);
  bool serial = false;
  std::string_view separator;
  for (const Column& column : parse_columns(table.columns)) {
    out += separator;
    out += definition(column, postgres);
    serial = serial || column.type == "serial";
    separator = ", ";
  }
  if (!table.primary_key.empty() && (postgres || !serial)) {
    const std::string name = table.primary_key_name.empty() ? fmt::format("{}_pkey", table.name)
                                                            : std::string(table.primary_key_name);
    out += postgres ? fmt::format(", CONSTRAINT \"{}\" PRIMARY KEY ({})", name,
                                  quoted_list(table.primary_key))
                    : fmt::format(", PRIMARY KEY ({})", quoted_list(table.primary_key));
  }
  for (const UniqueConstraint& unique : table.uniques)
    out += fmt::format(", CONSTRAINT \"{}\" UNIQUE (\"{}\")", unique.name, unique.column);
  if (!postgres)
    for (const ForeignKey& key : table.foreign_keys) out += ", " + foreign_key(key);
  return out + ")";
}

Result<std::set<std::string>> columns_of(Session& session, std::string_view table) {
  NB_LET(
      const sql::Rows rows,
      session.postgres()
          ? session.query("SELECT column_name FROM information_schema.columns WHERE table_schema = "
                          "current_schema() AND table_name = $1",
                          {table})
          : session.query("SELECT name FROM pragma_table_info($1)", {table}));
  std::set<std::string> out;
  for (std::size_t i = 0; i < rows.size(); ++i) out.insert(rows[i].string(0));
  return out;
}

Result<> complete_columns(Session& session, const Table& table,
                          const std::set<std::string>& present) {
  for (Column column : parse_columns(table.columns)) {
    if (present.contains(column.name)) continue;
    // Rows are there already: a required column needs a default.
    if (column.fallback.empty()) column.required = false;
    NB_TRY(session.script(fmt::format("ALTER TABLE \"{}\" ADD COLUMN {}", table.name,
                                      definition(column, session.postgres()))));
  }
  return {};
}

Result<> make_indexes(Session& session, const Table& table, sql::MigrationReport& report) {
  for (const Index& index : table.indexes) {
    std::string why;
    NB_LET(const bool made,
           try_statement(session,
                         fmt::format("CREATE {}INDEX IF NOT EXISTS \"{}\" ON \"{}\" ({})",
                                     index.unique ? "UNIQUE " : "", index.name, table.name,
                                     quoted_list(index.columns)),
                         why));
    if (!made)
      report.push_back(fmt::format("unique index {} on {}({}) not made: rows violate it ({})",
                                   index.name, table.name, index.columns, why));
  }
  return {};
}

}  // namespace

Result<bool> try_statement(Session& session, std::string_view statement, std::string& why) {
  NB_TRY(session.script("SAVEPOINT nb_try"));
  const auto done = session.script(statement);
  if (!done && done.error().code != Code::kAlreadyExists &&
      done.error().code != Code::kFailedPrecondition)
    return done.error();
  if (!done) {
    why = done.error().text;
    NB_TRY(session.script("ROLLBACK TO SAVEPOINT nb_try"));
  }
  NB_TRY(session.script("RELEASE SAVEPOINT nb_try"));
  return done.has_value();
}

Result<bool> has_column(Session& session, std::string_view table, std::string_view name) {
  NB_LET(const auto present, columns_of(session, table));
  return present.contains(std::string(name));
}

Result<> add_column(Session& session, std::string_view table, std::string_view name,
                    std::string_view type) {
  NB_LET(const bool present, has_column(session, table, name));
  if (present) return {};
  const Column column{std::string(name), std::string(type), false, {}};
  return session.script(fmt::format("ALTER TABLE \"{}\" ADD COLUMN {}", table,
                                    definition(column, session.postgres())));
}

Result<> complete(Session& session, std::span<const Table> tables, sql::MigrationReport& report) {
  std::vector<const Table*> made;
  for (const Table& table : tables) {
    NB_LET(const auto present, columns_of(session, table.name));
    if (present.empty()) {
      NB_TRY(session.script(create_table(table, session.postgres())));
      made.push_back(&table);
    } else {
      NB_TRY(complete_columns(session, table, present));
    }
    NB_TRY(make_indexes(session, table, report));
  }
  if (!session.postgres()) return {};
  for (const Table* table : made)
    for (const ForeignKey& key : table->foreign_keys)
      NB_TRY(
          session.script(fmt::format("ALTER TABLE \"{}\" ADD {}", table->name, foreign_key(key))));
  return {};
}

}  // namespace nb::management::schema
