#include "sql/transfer.h"

#include "base/text.h"
#include "sql/transfer_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <utility>

namespace nb::sql {
namespace {

constexpr std::size_t kReadRows = 500;
constexpr std::size_t kParamsMax = 30'000;  // PostgreSQL takes 65'535
constexpr std::size_t kBatchRows = 100;
constexpr std::size_t kNotesMax = 100;
constexpr std::string_view kState = "nb_transfer";

constexpr std::string_view kStateTables =
    "CREATE TABLE IF NOT EXISTS nb_transfer (component text NOT NULL, table_name text NOT NULL,"
    " row_count bigint NOT NULL, checksum text NOT NULL, PRIMARY KEY (component, table_name));"
    // Foreign keys that stand aside while rows arrive.
    "CREATE TABLE IF NOT EXISTS nb_transfer_keys (component text NOT NULL, table_name text NOT "
    "NULL, name text NOT NULL, definition text NOT NULL, PRIMARY KEY (table_name, name))";
// Rows of nb_transfer that are no tables.
constexpr std::string_view kBegun = "(begun)";
constexpr std::string_view kDone = "(done)";

using values::canonical;
using values::Checksum;
using values::Column;
using values::Kind;

struct TableShape {
  std::string name;
  std::vector<Column> columns;
};

std::string quoted(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

struct Record {
  std::int64_t rows = 0;
  std::string checksum;
  friend bool operator==(const Record&, const Record&) = default;
};

Result<std::vector<std::string>> source_tables(Session& source) {
  NB_LET(const Rows rows,
         source.query("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE "
                      "'sqlite^_%' ESCAPE '^' AND name <> 'nb_schema_migrations' ORDER BY name"));
  std::vector<std::string> out;
  for (std::size_t i = 0; i < rows.size(); ++i) out.push_back(rows[i].string(0));
  return out;
}

struct SourceColumn {
  std::string name;
  std::string type;
  bool required = false;
  std::int64_t key = 0;  // place in the primary key, from 1
};

Result<std::vector<SourceColumn>> source_columns(Session& source, const std::string& table) {
  NB_LET(const Rows rows,
         source.query("SELECT name, type, \"notnull\", pk FROM pragma_table_info($1)", {table}));
  std::vector<SourceColumn> out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.push_back(
        {rows[i].string(0), lower(rows[i].text(1)), rows[i].boolean(2), rows[i].integer(3)});
  return out;
}

class Transfer {
 public:
  Transfer(Session& source, Database& target, const TransferOptions& options, Instant deadline)
      : source_(source), target_(target), options_(options), deadline_(deadline) {}

  Result<TransferReport> run() {
    NB_LET(const auto names, source_tables(source_));
    for (const std::string& name : names) {
      NB_LET(TableShape shape, prepare_table(name));
      shapes_.push_back(std::move(shape));
    }
    NB_TRY(begin());
    NB_LET(const auto known, records());
    for (const TableShape& shape : shapes_) {
      const auto found = known.find(shape.name);
      NB_TRY(found == known.end() ? copy(shape) : resume(shape, found->second));
    }
    NB_TRY(put_keys_back());
    return std::move(report_);
  }

 private:
  /// A transaction on the target.
  template <class T>
  Result<T> on_target(std::function<Result<T>(Session&)> work) {
    return target_.run_blocking<T>(deadline_, {.attempts_max = 1}, std::move(work));
  }

  void note(std::string text) {
    if (report_.notes.size() < kNotesMax) report_.notes.push_back(std::move(text));
  }

  Result<TableShape> prepare_table(const std::string& name) {
    NB_LET(const auto columns, source_columns(source_, name));
    return on_target<TableShape>([&](Session& target) -> Result<TableShape> {
      NB_LET(auto types, target_types(target, name));
      if (types.empty()) {
        NB_TRY(create(target, name, columns));
        note(fmt::format("{}: upstream's own table, made with its columns and key", name));
      } else {
        for (const SourceColumn& column : columns)
          if (!types.contains(column.name))
            NB_TRY(target.script(fmt::format("ALTER TABLE {} ADD COLUMN {} {}", quoted(name),
                                             quoted(column.name), type_of(name, column))));
      }
      NB_LET(types, target_types(target, name));
      TableShape shape{.name = name, .columns = {}};
      for (const SourceColumn& column : columns)
        shape.columns.push_back(values::column_of(column.name, types[column.name]));
      return shape;
    });
  }

  static Result<std::map<std::string, std::string>> target_types(Session& target,
                                                                 const std::string& table) {
    NB_LET(const Rows rows,
           target.query("SELECT column_name, data_type FROM information_schema.columns WHERE "
                        "table_schema = current_schema() AND table_name = $1",
                        {table}));
    std::map<std::string, std::string> out;
    for (std::size_t i = 0; i < rows.size(); ++i) out[rows[i].string(0)] = rows[i].string(1);
    return out;
  }

  [[nodiscard]] std::string type_of(const std::string& table, const SourceColumn& column) const {
    if (options_.type)
      if (auto type = options_.type(table, column.name)) return *std::move(type);
    return values::target_type(column.type);
  }

  Result<> create(Session& target, const std::string& table,
                  const std::vector<SourceColumn>& columns) const {
    std::string text = fmt::format("CREATE TABLE {} (", quoted(table));
    std::map<std::int64_t, std::string> key;
    for (const SourceColumn& column : columns) {
      text += fmt::format("{} {}{}, ", quoted(column.name), type_of(table, column),
                          column.required ? " NOT NULL" : "");
      if (column.key > 0) key[column.key] = quoted(column.name);
    }
    std::string names;
    for (const auto& [place, name] : key) names += (names.empty() ? "" : ", ") + name;
    if (names.empty())
      text.resize(text.size() - 2);
    else
      text += fmt::format("PRIMARY KEY ({})", names);
    return target.script(text + ")");
  }

  /// The target is empty, or half filled by us.
  Result<> begin() {
    return on_target<void>([&](Session& target) -> Result<> {
      NB_TRY(target.script(kStateTables));
      NB_LET(const Rows begun, target.query("SELECT checksum FROM nb_transfer WHERE component = "
                                            "$1 AND table_name = $2",
                                            {options_.component, kBegun}));
      if (!begun.empty()) return {};
      for (const TableShape& shape : shapes_) {
        NB_LET(const Rows any,
               target.query(fmt::format("SELECT 1 FROM {} LIMIT 1", quoted(shape.name))));
        if (!any.empty())
          return fail(Code::kFailedPrecondition,
                      "the target's table {} has rows already; give an empty database", shape.name);
      }
      NB_TRY(take_keys_away(target));
      return record(target, kBegun, {});
    });
  }

  Result<> record(Session& target, std::string_view table, const Record& what) const {
    NB_TRY(
        target.exec("INSERT INTO nb_transfer (component, table_name, row_count, checksum) "
                    "VALUES ($1, $2, $3, $4)",
                    {options_.component, table, what.rows, what.checksum}));
    return {};
  }

  /// SQLite does not hold upstream to them, so rows may break them, and the order of tables would
  /// matter.
  Result<> take_keys_away(Session& target) {
    for (const TableShape& shape : shapes_) {
      NB_LET(const Rows keys,
             target.query("SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE "
                          "contype = 'f' AND conrelid = to_regclass(quote_ident($1))",
                          {shape.name}));
      for (std::size_t i = 0; i < keys.size(); ++i) {
        NB_TRY(
            target.exec("INSERT INTO nb_transfer_keys (component, table_name, name, "
                        "definition) VALUES ($1, $2, $3, $4)",
                        {options_.component, shape.name, keys[i].text(0), keys[i].text(1)}));
        NB_TRY(target.script(fmt::format("ALTER TABLE {} DROP CONSTRAINT {}", quoted(shape.name),
                                         quoted(keys[i].text(0)))));
      }
    }
    return {};
  }

  Result<std::map<std::string, Record>> records() {
    return on_target<std::map<std::string, Record>>(
        [&](Session& target) -> Result<std::map<std::string, Record>> {
          NB_LET(const Rows rows,
                 target.query("SELECT table_name, row_count, checksum FROM nb_transfer WHERE "
                              "component = $1",
                              {options_.component}));
          std::map<std::string, Record> out;
          for (std::size_t i = 0; i < rows.size(); ++i)
            out[rows[i].string(0)] = {rows[i].integer(1), rows[i].string(2)};
          if (out.contains(std::string(kDone)))
            return fail(Code::kFailedPrecondition,
                        "this database was filled before, and its servers may have written since; "
                        "give an empty one");
          return out;
        });
  }

  static std::string column_list(const TableShape& shape) {
    std::string out;
    for (const Column& column : shape.columns)
      out += (out.empty() ? "" : ", ") + quoted(column.name);
    return out;
  }

  /// SQLite writes numbers with 15 digits unless told otherwise; 17 are exact.
  static std::string source_list(const TableShape& shape) {
    std::string out;
    for (const Column& column : shape.columns) {
      const std::string name = quoted(column.name);
      out += out.empty() ? "" : ", ";
      out += column.kind == Kind::kReal
                 ? fmt::format(
                       "CASE typeof({0}) WHEN 'real' THEN printf('%!.17g', {0}) ELSE {0} "
                       "END",
                       name)
                 : name;
    }
    return out;
  }

  /// Calls `take` for each row of the source, in the order in which they were written: the target
  /// numbers policies, rules and routers as they come.
  Result<> each_source_row(
      const TableShape& shape,
      const std::function<Result<>(std::vector<std::optional<std::string>>&)>& take) {
    const std::string statement =
        fmt::format("SELECT rowid, {} FROM {} WHERE rowid > $1 ORDER BY rowid LIMIT {}",
                    source_list(shape), quoted(shape.name), kReadRows);
    std::int64_t last = std::numeric_limits<std::int64_t>::min();
    for (;;) {
      NB_LET(const Rows rows, source_.query(statement, {last}));
      for (std::size_t i = 0; i < rows.size(); ++i) {
        std::vector<std::optional<std::string>> values;
        values.reserve(shape.columns.size());
        for (std::size_t c = 0; c < shape.columns.size(); ++c) {
          bool changed = false;
          values.push_back(canonical(rows[i], c + 1, shape.columns[c].kind, changed));
          if (changed)
            note(fmt::format("{}: row {}, {}: the value cannot be kept as it is, now {}",
                             shape.name, rows[i].integer(0), shape.columns[c].name,
                             values.back() ? "without its broken characters" : "NULL"));
        }
        NB_TRY(take(values));
      }
      if (rows.size() < kReadRows) return {};
      last = rows[rows.size() - 1].integer(0);
    }
  }

  Result<> copy(const TableShape& shape) {
    NB_LET(const Record sent, on_target<Record>([&](Session& target) -> Result<Record> {
             NB_LET(const Record written, write(target, shape));
             NB_TRY(move_sequences(target, shape));
             NB_LET(const Record found, read_back(target, shape));
             if (found != written)
               return fail(Code::kDataLoss,
                           "{}: {} rows with checksum {} were sent, {} with {} "
                           "arrived",
                           shape.name, written.rows, written.checksum, found.rows, found.checksum);
             NB_TRY(record(target, shape.name, found));
             return found;
           }));
    told(shape, sent.rows, false);
    return {};
  }

  Result<Record> write(Session& target, const TableShape& shape) {
    if (shape.columns.empty()) return Record{};
    const std::size_t width = shape.columns.size();
    const std::size_t batch = std::clamp<std::size_t>(kParamsMax / width, 1, kBatchRows);
    std::vector<std::optional<std::string>> waiting;
    Checksum checksum;
    const auto read =
        each_source_row(shape, [&](std::vector<std::optional<std::string>>& row) -> Result<> {
          checksum.add(row);
          std::move(row.begin(), row.end(), std::back_inserter(waiting));
          if (waiting.size() < batch * width) return {};
          NB_TRY(insert(target, shape, waiting));
          waiting.clear();
          return {};
        });
    NB_TRY(read);
    if (!waiting.empty()) NB_TRY(insert(target, shape, waiting));
    return Record{checksum.rows(), checksum.text()};
  }

  static Result<> insert(Session& target, const TableShape& shape,
                         const std::vector<std::optional<std::string>>& values) {
    std::string text =
        fmt::format("INSERT INTO {} ({}) VALUES ", quoted(shape.name), column_list(shape));
    std::vector<Param> params;
    params.reserve(values.size());
    const std::size_t width = shape.columns.size();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Column& column = shape.columns[i % width];
      text += i % width == 0 ? (i == 0 ? "(" : ", (") : ", ";
      text += fmt::format("${}::{}", i + 1, column.cast);
      if (i % width == width - 1) text += ")";
      if (!values[i])
        params.emplace_back(nullptr);
      else if (column.kind == Kind::kBytes)
        params.push_back(Param::blob(*values[i]));
      else
        params.emplace_back(std::string_view(*values[i]));
    }
    const auto done = target.exec(text, Params(params));
    if (done) return {};
    return fail(done.error().code, "{}: {}", shape.name, done.error().text);
  }

  /// What the target numbers by itself goes on after the largest number that came.
  static Result<> move_sequences(Session& target, const TableShape& shape) {
    NB_LET(const Rows serial,
           target.query("SELECT column_name FROM information_schema.columns WHERE table_schema = "
                        "current_schema() AND table_name = $1 AND column_default LIKE 'nextval(%'",
                        {shape.name}));
    for (std::size_t i = 0; i < serial.size(); ++i)
      NB_TRY(target.query(
          fmt::format("SELECT setval(pg_get_serial_sequence(quote_ident($1), $2), "
                      "GREATEST(COALESCE(MAX({0}), 0), 1), MAX({0}) IS NOT NULL) FROM {1}",
                      quoted(serial[i].text(0)), quoted(shape.name)),
          {shape.name, serial[i].text(0)}));
    return {};
  }

  static Result<Record> read_back(Session& target, const TableShape& shape) {
    if (shape.columns.empty()) return Record{};
    NB_TRY(target.script(fmt::format("DECLARE nb_copy NO SCROLL CURSOR FOR SELECT {} FROM {}",
                                     column_list(shape), quoted(shape.name))));
    const std::string fetch = fmt::format("FETCH {} FROM nb_copy", kReadRows);
    Checksum checksum;
    for (;;) {
      NB_LET(const Rows rows, target.query(fetch));
      for (std::size_t i = 0; i < rows.size(); ++i) {
        std::vector<std::optional<std::string>> values;
        bool changed = false;
        for (std::size_t c = 0; c < shape.columns.size(); ++c)
          values.push_back(canonical(rows[i], c, shape.columns[c].kind, changed));
        checksum.add(values);
      }
      if (rows.size() < kReadRows) break;
    }
    NB_TRY(target.script("CLOSE nb_copy"));
    return Record{checksum.rows(), checksum.text()};
  }

  /// Copied by an earlier run: still what the source has?
  Result<> resume(const TableShape& shape, const Record& known) {
    Checksum checksum;
    NB_TRY(each_source_row(shape, [&](std::vector<std::optional<std::string>>& row) -> Result<> {
      checksum.add(row);
      return {};
    }));
    if (checksum.rows() == known.rows && checksum.text() == known.checksum) {
      told(shape, known.rows, true);
      return {};
    }
    NB_TRY(forget(shape));
    note(fmt::format("{}: the source was written to since the last run; copied anew", shape.name));
    return copy(shape);
  }

  Result<> forget(const TableShape& shape) {
    return on_target<void>([&](Session& target) -> Result<> {
      NB_TRY(target.exec(fmt::format("DELETE FROM {}", quoted(shape.name))));
      NB_TRY(target.exec("DELETE FROM nb_transfer WHERE component = $1 AND table_name = $2",
                         {options_.component, shape.name}));
      return {};
    });
  }

  void told(const TableShape& shape, std::int64_t rows, bool resumed) {
    ++report_.tables;
    report_.rows += rows;
    if (resumed) ++report_.resumed;
    if (options_.progress) options_.progress(shape.name, rows, resumed);
  }

  Result<> put_keys_back() {
    return on_target<void>([&](Session& target) -> Result<> {
      NB_LET(const Rows keys,
             target.query("SELECT table_name, name, definition FROM nb_transfer_keys WHERE "
                          "component = $1 ORDER BY table_name, name",
                          {options_.component}));
      for (std::size_t i = 0; i < keys.size(); ++i)
        NB_TRY(put_key_back(target, keys[i].text(0), keys[i].text(1), keys[i].text(2)));
      NB_TRY(
          target.exec("DELETE FROM nb_transfer_keys WHERE component = $1", {options_.component}));
      return record(target, kDone, {report_.rows, {}});
    });
  }

  Result<> put_key_back(Session& target, std::string_view table, std::string_view name,
                        std::string_view definition) {
    const std::string text =
        fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {}", quoted(table), quoted(name), definition);
    NB_TRY(target.script("SAVEPOINT nb_key"));
    const auto done = target.script(text);
    if (done) return target.script("RELEASE SAVEPOINT nb_key");
    if (done.error().code != Code::kFailedPrecondition) return done.error();
    NB_TRY(target.script("ROLLBACK TO SAVEPOINT nb_key; RELEASE SAVEPOINT nb_key"));
    NB_TRY(target.script(text + " NOT VALID"));
    note(fmt::format("{}: rows break the foreign key {}, as they did before; it holds for new rows",
                     table, name));
    return {};
  }

  Session& source_;
  Database& target_;
  const TransferOptions& options_;
  const Instant deadline_;
  std::vector<TableShape> shapes_;
  TransferReport report_;
};

}  // namespace

Result<TransferReport> transfer(Database& from, Database& to, const TransferOptions& options,
                                Instant deadline) {
  if (from.engine() != Engine::kSqlite || to.engine() != Engine::kPostgres)
    return fail(Code::kInvalidArgument, "a transfer goes from SQLite to PostgreSQL");
  // One transaction over all of it: one state of the source, and nobody writes meanwhile.
  return from.run_blocking<TransferReport>(deadline, {.attempts_max = 1},
                                           [&](Session& source) -> Result<TransferReport> {
                                             return Transfer(source, to, options, deadline).run();
                                           });
}

Result<std::vector<std::string>> unfinished_transfers(Database& database, Instant deadline) {
  using Names = std::vector<std::string>;
  return database.run_blocking<Names>(
      deadline, {.read_only = true}, [](Session& session) -> Result<Names> {
        if (!session.postgres()) return Names{};
        NB_LET(const Rows there,
               session.query("SELECT 1 FROM information_schema.tables WHERE table_schema = "
                             "current_schema() AND table_name = $1",
                             {kState}));
        if (there.empty()) return Names{};
        NB_LET(const Rows rows,
               session.query("SELECT component FROM nb_transfer WHERE table_name = $1 AND "
                             "component NOT IN (SELECT component FROM nb_transfer WHERE "
                             "table_name = $2)",
                             {kBegun, kDone}));
        Names out;
        for (std::size_t i = 0; i < rows.size(); ++i) out.push_back(rows[i].string(0));
        return out;
      });
}

}  // namespace nb::sql
