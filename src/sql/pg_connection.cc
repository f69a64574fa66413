#include "sql/connection.h"
#include "sql/pg_connect.h"
#include "sql/pg_error.h"

#include <libpq-fe.h>
#include <poll.h>

#include <array>
#include <unordered_map>

namespace nb::sql {
namespace {

constexpr unsigned kByteaOid = 17;
// The server ends a statement at the deadline itself; its error needs this long to get here.
constexpr std::chrono::milliseconds kServerGrace{250};
constexpr std::chrono::milliseconds kCancelCheck{50};

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ResultHandle = std::unique_ptr<PGresult, ClearResult>;

class PgConnection final : public Connection {
 public:
  PgConnection(const Dsn& dsn, const DatabaseOptions& options) : dsn_(dsn), options_(options) {}
  ~PgConnection() override { close(); }

  Engine engine() const override { return Engine::kPostgres; }

  Result<bool> ensure_open() override {
    const Instant now = std::chrono::steady_clock::now();
    if (pg_ != nullptr &&
        (PQstatus(pg_) != CONNECTION_OK || now - opened_ > options_.connection_age_max))
      close();
    if (pg_ != nullptr) return true;
    const PgKeywords keywords = pg_keywords(dsn_, options_.application_name.c_str());
    pg_ = PQconnectStartParams(keywords.names.data(), keywords.values.data(), 0);
    const Instant until = std::min(deadline(), now + options_.connect_timeout);
    auto connected = finish_connect(until);
    if (connected)
      connected = script(
          fmt::format("SET TimeZone='UTC'; SET DateStyle='ISO, YMD'; SET bytea_output='hex';"
                      "SET idle_in_transaction_session_timeout={}; SET statement_timeout={};",
                      options_.idle_in_transaction_max.count(), options_.transaction_max.count()));
    if (!connected) {
      close();
      return std::move(connected).error();
    }
    opened_ = now;
    return false;
  }

  Result<> begin(const RunOptions& options) override {
    single_ = options.single_statement;
    if (single_) return {};
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline() - std::chrono::steady_clock::now());
    const auto limit = std::clamp(left, std::chrono::milliseconds(1), options_.transaction_max);
    std::string_view level = "READ COMMITTED";
    if (options.isolation == Isolation::kRepeatableRead) level = "REPEATABLE READ";
    if (options.isolation == Isolation::kSerializable) level = "SERIALIZABLE";
    return script(fmt::format("BEGIN ISOLATION LEVEL {} {}; SET LOCAL statement_timeout={}", level,
                              options.read_only ? "READ ONLY" : "READ WRITE", limit.count()));
  }

  Result<> commit(bool& in_doubt) override {
    if (single_) return {};
    in_doubt = true;
    NB_LET(const ResultHandle result, simple("COMMIT"));
    in_doubt = false;
    // A failed statement whose error was dropped turns COMMIT into ROLLBACK.
    if (std::string_view(PQcmdStatus(result.get())) != "COMMIT")
      return failed(fail(Code::kInternal, "PostgreSQL: transaction was rolled back at its end"));
    return {};
  }

  void rollback() override {
    if (pg_ == nullptr) return;
    // Unavailable may also mean "not the primary any more": look for it anew.
    if (PQstatus(pg_) != CONNECTION_OK || PQtransactionStatus(pg_) == PQTRANS_ACTIVE ||
        failure() == Code::kUnavailable)
      return close();
    if (PQtransactionStatus(pg_) == PQTRANS_IDLE) return;
    rolling_back_ = true;
    const auto done = simple("ROLLBACK");
    rolling_back_ = false;
    if (!done) close();
  }

  void close() override {
    prepared_.clear();
    if (pg_ != nullptr) PQfinish(pg_);
    pg_ = nullptr;
  }

  using Session::query;
  Result<Rows> query(std::string_view text, Params params) override {
    if (pg_ == nullptr) return lost();
    NB_LET(const std::string name, prepared(text));
    NB_TRY(send(name, params));
    NB_LET(const ResultHandle result, receive());
    return rows_of(result.get());
  }

  Result<> script(std::string_view statements) override {
    NB_TRY(simple(std::string(statements)));
    return {};
  }

 private:
  Error lost() {
    // libpq's text names host and user, never the password.
    std::string reason = pg_ == nullptr ? "closed" : PQerrorMessage(pg_);
    while (!reason.empty() && reason.back() == '\n') reason.pop_back();
    return failed(fail(Code::kUnavailable, "{}: {}", dsn_.describe(), reason));
  }

  Error out_of_time() {
    close();
    if (cancelled()) return failed(fail(Code::kCancelled, "SQL work cancelled"));
    return failed(fail(Code::kDeadlineExceeded, "{}: no answer in time", dsn_.describe()));
  }

  /// Waits for the socket; false: deadline or cancelled.
  bool wait(short events, Instant until) {
    for (;;) {
      const Instant now = std::chrono::steady_clock::now();
      if (now >= until || (cancelled() && !rolling_back_)) return false;
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now);
      pollfd fd{PQsocket(pg_), events, 0};
      if (poll(&fd, 1, static_cast<int>(std::min(left, kCancelCheck).count())) > 0) return true;
    }
  }

  Result<> finish_connect(Instant until) {
    if (pg_ == nullptr)
      return failed(fail(Code::kUnavailable, "{}: out of memory", dsn_.describe()));
    if (PQstatus(pg_) == CONNECTION_BAD) return lost();
    for (auto state = PGRES_POLLING_WRITING; state != PGRES_POLLING_OK;
         state = PQconnectPoll(pg_)) {
      if (state == PGRES_POLLING_FAILED) return lost();
      if (!wait(state == PGRES_POLLING_READING ? POLLIN : POLLOUT, until)) {
        if (cancelled()) return out_of_time();
        return failed(fail(Code::kUnavailable, "{}: no connection in time", dsn_.describe()));
      }
    }
    drop_notices(pg_);
    if (PQsetnonblocking(pg_, 1) != 0) return lost();
    return {};
  }

  Result<std::string> prepared(std::string_view text) {
    const std::string key(text);
    if (const auto it = prepared_.find(key); it != prepared_.end()) return it->second;
    if (prepared_.size() >= options_.statements_cached_max) {
      NB_TRY(script("DEALLOCATE ALL"));
      prepared_.clear();
    }
    std::string name = "s" + std::to_string(++statement_count_);
    if (PQsendPrepare(pg_, name.c_str(), key.c_str(), 0, nullptr) == 0) return lost();
    NB_TRY(receive());
    prepared_.emplace(key, name);
    return name;
  }

  Result<> send(const std::string& name, Params params) {
    const std::size_t count = params.size();
    std::vector<std::string> texts(count);
    std::vector<const char*> values(count, nullptr);
    std::vector<int> lengths(count, 0);
    std::vector<int> formats(count, 0);
    for (std::size_t i = 0; i < count; ++i) {
      const Param& param = params[i];
      switch (param.kind()) {
        case Param::Kind::kNull:
          continue;
        case Param::Kind::kInt:
          texts[i] = std::to_string(param.integer());
          break;
        case Param::Kind::kBool:
          texts[i] = param.integer() != 0 ? "t" : "f";
          break;
        case Param::Kind::kReal:
          texts[i] = fmt::format("{}", param.real());
          break;
        case Param::Kind::kText:
          texts[i] = param.text();
          if (texts[i].find('\0') != std::string::npos)
            return failed(fail(Code::kInvalidArgument, "text with a NUL byte can not be stored"));
          break;
        case Param::Kind::kBlob:
          texts[i] = param.text();
          formats[i] = 1;
          break;
      }
      values[i] = texts[i].c_str();
      lengths[i] = static_cast<int>(texts[i].size());
    }
    if (PQsendQueryPrepared(pg_, name.c_str(), static_cast<int>(count), values.data(),
                            lengths.data(), formats.data(), 0) == 0)
      return lost();
    return {};
  }

  Result<ResultHandle> simple(const std::string& text) {
    if (pg_ == nullptr || PQsendQuery(pg_, text.c_str()) == 0) return lost();
    return receive();
  }

  /// The last result of what was sent; the first error wins.
  Result<ResultHandle> receive() {
    const Instant until =
        (rolling_back_ ? std::chrono::steady_clock::now() : deadline()) + kServerGrace;
    ResultHandle last;
    std::optional<Error> error;
    for (;;) {
      int unsent = PQflush(pg_);
      while (unsent == 1 || PQisBusy(pg_) == 1) {
        const auto events = static_cast<short>(unsent == 1 ? POLLIN | POLLOUT : POLLIN);
        if (!wait(events, until)) return out_of_time();
        if (PQconsumeInput(pg_) == 0) break;  // lost: PQgetResult tells
        if (unsent == 1) unsent = PQflush(pg_);
      }
      ResultHandle result(PQgetResult(pg_));
      if (!result) break;
      const auto status = PQresultStatus(result.get());
      if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY &&
          !error) {
        error = pg_error(result.get(), violation_);
        // A migration ran elsewhere and made plans stale: prepare them anew, under new names.
        if (pg_plan_is_stale(result.get())) prepared_.clear();
      }
      last = std::move(result);
    }
    if (PQstatus(pg_) != CONNECTION_OK) {
      Error text = error ? *error : lost();
      text.code = Code::kUnavailable;
      close();
      return failed(std::move(text));
    }
    if (error) {
      return failed(*std::move(error));
    }
    if (!last) return lost();
    return last;
  }

  static Rows rows_of(const PGresult* result) {
    Rows rows;
    const int columns = PQnfields(result);
    const int count = PQntuples(result);
    rows.set_columns(static_cast<std::size_t>(columns));
    rows.reserve(static_cast<std::size_t>(count));
    for (int r = 0; r < count; ++r)
      for (int c = 0; c < columns; ++c) add_cell(result, r, c, rows);
    const std::string_view affected = PQcmdTuples(const_cast<PGresult*>(result));
    std::int64_t number = 0;
    for (const char digit : affected) number = number * 10 + (digit - '0');
    rows.set_affected(number);
    return rows;
  }

  static void add_cell(const PGresult* result, int r, int c, Rows& rows) {
    if (PQgetisnull(result, r, c) == 1) return rows.add_null();
    const char* data = PQgetvalue(result, r, c);
    if (PQftype(result, c) != kByteaOid)
      return rows.add_text({data, static_cast<std::size_t>(PQgetlength(result, r, c))});
    std::size_t size = 0;
    unsigned char* bytes = PQunescapeBytea(reinterpret_cast<const unsigned char*>(data), &size);
    rows.add_text({reinterpret_cast<const char*>(bytes), bytes == nullptr ? 0 : size});
    PQfreemem(bytes);
  }

  const Dsn& dsn_;
  const DatabaseOptions& options_;
  PGconn* pg_ = nullptr;
  Instant opened_{};
  bool single_ = false;
  bool rolling_back_ = false;
  std::uint64_t statement_count_ = 0;
  std::unordered_map<std::string, std::string> prepared_;
};

}  // namespace

std::unique_ptr<Connection> make_pg_connection(const Dsn& dsn, const DatabaseOptions& options) {
  return std::make_unique<PgConnection>(dsn, options);
}

}  // namespace nb::sql
