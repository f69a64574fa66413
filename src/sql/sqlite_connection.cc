#include "sql/connection.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <list>
#include <thread>
#include <unordered_map>

namespace nb::sql {
namespace {

constexpr int kStepsBetweenChecks = 2'000;
constexpr std::chrono::milliseconds kBusyPause{2};

struct Statement {
  sqlite3_stmt* handle = nullptr;
  std::vector<int> positions;  // SQLite's index of $1, $2, …; 0: not used
};

class SqliteConnection final : public Connection {
 public:
  SqliteConnection(const Dsn& dsn, const DatabaseOptions& options, bool writer)
      : file_(dsn.file), cached_max_(options.statements_cached_max), writer_(writer) {}
  ~SqliteConnection() override { close(); }

  Engine engine() const override { return Engine::kSqlite; }

  Result<bool> ensure_open() override {
    if (db_ != nullptr) return true;
    // Names, mails and keys are in it: nobody else may read it. Only where there is no file yet:
    // closing any descriptor of it drops the POSIX locks that other connections of this process
    // hold, and the next process to close it would take the write-ahead log away under us.
    const int creating = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
    if (const int fd = ::open(file_.c_str(), creating, 0600); fd >= 0) ::close(fd);
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (const int code = sqlite3_open_v2(file_.c_str(), &db_, flags, nullptr); code != SQLITE_OK) {
      Error error =
          failed(fail(Code::kUnavailable, "SQLite file {}: {}", file_, sqlite3_errstr(code)));
      close();
      return error;
    }
    sqlite3_extended_result_codes(db_, 1);
    sqlite3_busy_handler(db_, &SqliteConnection::on_busy, this);
    sqlite3_progress_handler(db_, kStepsBetweenChecks, &SqliteConnection::on_progress, this);
    auto ready = script(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
        "PRAGMA temp_store=MEMORY;");
    durability_ = Durability::kFull;
    if (ready && !writer_) ready = script("PRAGMA query_only=ON;");
    if (!ready) {
      close();
      return std::move(ready).error();
    }
    return false;
  }

  Result<> begin(const RunOptions& options) override {
    NB_TRY(set_durability(options.durability));
    if (options.single_statement) return {};
    return step(writer_ && !options.read_only ? "BEGIN IMMEDIATE" : "BEGIN");
  }

  Result<> commit(bool& /*in_doubt*/) override {
    if (sqlite3_get_autocommit(db_) != 0) return {};
    auto done = step("COMMIT");
    if (!done) rollback();
    return done;
  }

  void rollback() override {
    if (db_ == nullptr || sqlite3_get_autocommit(db_) != 0) return;
    rolling_back_ = true;  // past the deadline as well
    const int code = sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
    rolling_back_ = false;
    if (code != SQLITE_OK) close();
  }

  bool in_transaction() const override {
    return db_ != nullptr && sqlite3_get_autocommit(db_) == 0;
  }

  void close() override {
    for (auto& [text, statement] : cache_) sqlite3_finalize(statement.handle);
    cache_.clear();
    if (db_ != nullptr) sqlite3_close_v2(db_);
    db_ = nullptr;
  }

  using Session::query;
  Result<Rows> query(std::string_view text, Params params) override {
    NB_LET(Statement * statement, prepared(text));
    auto rows = run(*statement, params);
    sqlite3_reset(statement->handle);
    sqlite3_clear_bindings(statement->handle);
    return rows;
  }

  Result<> script(std::string_view statements) override {
    if (db_ == nullptr) return failed(fail(Code::kUnavailable, "SQLite file {}: closed", file_));
    const std::string text(statements);
    const int code = sqlite3_exec(db_, text.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return error_of(code);
    return {};
  }

 private:
  static int on_busy(void* self, int /*count*/) {
    const auto* connection = static_cast<SqliteConnection*>(self);
    if (connection->must_end()) return 0;
    std::this_thread::sleep_for(kBusyPause);
    return 1;
  }
  static int on_progress(void* self) {
    return static_cast<SqliteConnection*>(self)->must_end() ? 1 : 0;
  }
  bool must_end() const {
    return !rolling_back_ && (cancelled() || std::chrono::steady_clock::now() >= deadline());
  }

  /// With a write-ahead log nothing is ever torn: a power cut takes away the end of the log, and
  /// whoever waits for the disk next waits for the whole log. Takes effect while the statement is
  /// prepared, so that it has to be prepared each time.
  Result<> set_durability(Durability wanted) {
    if (durability_ == wanted) return {};
    NB_TRY(script(wanted == Durability::kFull ? "PRAGMA synchronous=FULL"
                                              : "PRAGMA synchronous=NORMAL"));
    durability_ = wanted;
    return {};
  }

  /// A statement without parameters and rows, prepared once.
  Result<> step(std::string_view text) {
    NB_TRY(query(text, Params{}));
    return {};
  }

  Result<Statement*> prepared(std::string_view text) {
    if (db_ == nullptr) return failed(fail(Code::kUnavailable, "SQLite file {}: closed", file_));
    const std::string key(text);
    if (const auto it = cache_.find(key); it != cache_.end()) return &it->second;
    if (cache_.size() >= cached_max_) {
      for (auto& [old, statement] : cache_) sqlite3_finalize(statement.handle);
      cache_.clear();  // never reached by a program whose statements are fixed
    }
    Statement statement;
    const int code = sqlite3_prepare_v3(db_, key.c_str(), static_cast<int>(key.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement.handle, nullptr);
    if (code != SQLITE_OK) return error_of(code);
    const int count = sqlite3_bind_parameter_count(statement.handle);
    for (int i = 1, found = 0; found < count && i <= 999; ++i) {
      const int position =
          sqlite3_bind_parameter_index(statement.handle, fmt::format("${}", i).c_str());
      statement.positions.push_back(position);
      if (position != 0) ++found;
    }
    return &cache_.emplace(key, std::move(statement)).first->second;
  }

  Result<Rows> run(const Statement& statement, Params params) {
    if (statement.positions.size() > params.size())
      return failed(fail(Code::kInternal, "SQL statement needs {} parameters, got {}",
                         statement.positions.size(), params.size()));
    for (const Param& param : params)
      if (param.kind() == Param::Kind::kText && param.text().find('\0') != std::string_view::npos)
        return failed(fail(Code::kInvalidArgument, "text with a NUL byte can not be stored"));
    for (std::size_t i = 0; i < statement.positions.size(); ++i)
      if (const int position = statement.positions[i]; position != 0)
        bind(statement.handle, position, params[i]);
    Rows rows;
    const int columns = sqlite3_column_count(statement.handle);
    rows.set_columns(static_cast<std::size_t>(columns));
    for (;;) {
      const int code = sqlite3_step(statement.handle);
      if (code == SQLITE_DONE) break;
      if (code != SQLITE_ROW) return error_of(code);
      for (int c = 0; c < columns; ++c) add_cell(statement.handle, c, rows);
    }
    rows.set_affected(sqlite3_stmt_readonly(statement.handle) != 0 ? 0 : sqlite3_changes64(db_));
    return rows;
  }

  static void bind(sqlite3_stmt* handle, int position, const Param& param) {
    const std::string_view text = param.text();
    switch (param.kind()) {
      case Param::Kind::kNull:
        sqlite3_bind_null(handle, position);
        break;
      case Param::Kind::kInt:
      case Param::Kind::kBool:
        sqlite3_bind_int64(handle, position, param.integer());
        break;
      case Param::Kind::kReal:
        sqlite3_bind_double(handle, position, param.real());
        break;
      case Param::Kind::kText:  // static: the parameters live until the statement is reset
        sqlite3_bind_text64(handle, position, text.data() == nullptr ? "" : text.data(),
                            text.size(), SQLITE_STATIC, SQLITE_UTF8);
        break;
      case Param::Kind::kBlob:
        sqlite3_bind_blob64(handle, position, text.data() == nullptr ? "" : text.data(),
                            text.size(), SQLITE_STATIC);
        break;
    }
  }

  static void add_cell(sqlite3_stmt* handle, int column, Rows& rows) {
    if (sqlite3_column_type(handle, column) == SQLITE_NULL) return rows.add_null();
    const void* data = sqlite3_column_blob(handle, column);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle, column));
    rows.add_text(size == 0 ? std::string_view{}
                            : std::string_view(static_cast<const char*>(data), size));
  }

  Error error_of(int code) {
    const std::string_view message = sqlite3_errmsg(db_);
    switch (code & 0xff) {
      case SQLITE_CONSTRAINT:
        return constraint_error(code, message);
      case SQLITE_INTERRUPT:
        return failed(cancelled() ? fail(Code::kCancelled, "SQL work cancelled")
                                  : fail(Code::kDeadlineExceeded, "SQL work not done in time"));
      case SQLITE_BUSY:
      case SQLITE_LOCKED:
        if (cancelled()) return failed(fail(Code::kCancelled, "SQL work cancelled"));
        if (std::chrono::steady_clock::now() >= deadline())
          return failed(
              fail(Code::kDeadlineExceeded, "SQLite file {}: locked by another process", file_));
        return failed(fail(Code::kAborted, "SQLite file {}: locked", file_));
      case SQLITE_CORRUPT:
      case SQLITE_NOTADB:
        return failed(fail(Code::kDataLoss, "SQLite file {}: {}", file_, message));
      case SQLITE_FULL:
      case SQLITE_IOERR:
      case SQLITE_CANTOPEN:
      case SQLITE_READONLY:
        return failed(fail(Code::kUnavailable, "SQLite file {}: {}", file_, message));
      default:
        return failed(fail(Code::kInternal, "SQLite: {}", message));
    }
  }

  Error constraint_error(int code, std::string_view message) {
    const auto colon = message.find(": ");
    violation_.constraint =
        colon == message.npos ? std::string{} : std::string(message.substr(colon + 2));
    // "index 'name'" for partial and expression indexes.
    if (violation_.constraint.starts_with("index '") && violation_.constraint.ends_with('\''))
      violation_.constraint = violation_.constraint.substr(7, violation_.constraint.size() - 8);
    switch (code) {
      case SQLITE_CONSTRAINT_UNIQUE:
      case SQLITE_CONSTRAINT_PRIMARYKEY:
      case SQLITE_CONSTRAINT_ROWID:
        violation_.kind = Violation::Kind::kUnique;
        return failed(fail(Code::kAlreadyExists, "unique constraint ({})", violation_.constraint));
      case SQLITE_CONSTRAINT_FOREIGNKEY:
        violation_.kind = Violation::Kind::kForeignKey;
        break;
      case SQLITE_CONSTRAINT_NOTNULL:
        violation_.kind = Violation::Kind::kNotNull;
        break;
      default:
        violation_.kind = Violation::Kind::kCheck;
    }
    return failed(fail(Code::kFailedPrecondition, "SQLite: {}", message));
  }

  std::string file_;
  std::size_t cached_max_;
  bool writer_;
  bool rolling_back_ = false;
  Durability durability_ = Durability::kFull;
  sqlite3* db_ = nullptr;
  std::unordered_map<std::string, Statement> cache_;
};

}  // namespace

std::unique_ptr<Connection> make_sqlite_connection(const Dsn& dsn, const DatabaseOptions& options,
                                                   bool writer) {
  return std::make_unique<SqliteConnection>(dsn, options, writer);
}

}  // namespace nb::sql
