// Structured logging: a fixed sentence plus fields. Loggers are injected; there is no global one.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb {

/// Upstream's levels (contract/signal-relay-ops.md §6.6).
enum class LogLevel : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError, kFatal, kPanic };

struct LogField {
  std::string_view key;
  std::string value;
};

namespace log {
/// log::f(log::kPeer, id): the value must be formattable, so a Secret does not compile.
template <class T>
LogField f(std::string_view key, const T& value) {
  return {key, fmt::to_string(value)};
}
}  // namespace log

/// Where lines go. Implementations are thread-safe and escape control characters.
class LogSink {
 public:
  LogSink();
  virtual ~LogSink();
  LogSink(const LogSink&) = delete;
  LogSink& operator=(const LogSink&) = delete;
  /// `context`: fields of the logger; `fields`: fields of the line.
  virtual void write(LogLevel level, std::string_view sentence, std::span<const LogField> context,
                     std::span<const LogField> fields, const std::source_location& where) = 0;
  [[nodiscard]] virtual LogLevel level() const = 0;
  /// May change while threads log (SIGHUP).
  virtual void set_level(LogLevel level) = 0;
  virtual void flush() {}

  /// Budget of one call site: kLimitedLines per kLimitedWindow. Nullopt-like -1: drop the line;
  /// otherwise how many were dropped since the last one let through.
  [[nodiscard]] std::int64_t admit(const std::source_location& where);

 private:
  struct Budgets;
  std::unique_ptr<Budgets> budgets_;
};

/// Lines that one call site may log through Logger::limited() in ten seconds.
inline constexpr unsigned kLimitedLines = 10;

/// A cheap handle, copied freely; a default one is silent.
class Logger {
 public:
  Logger() = default;
  explicit Logger(std::shared_ptr<LogSink> sink) : sink_(std::move(sink)) {}

  using Fields = std::initializer_list<LogField>;
  using Where = std::source_location;
  // clang-format off
  void trace(std::string_view text, Fields f = {}, Where w = Where::current()) const { write(LogLevel::kTrace, text, f, w); }
  void debug(std::string_view text, Fields f = {}, Where w = Where::current()) const { write(LogLevel::kDebug, text, f, w); }
  void info(std::string_view text, Fields f = {}, Where w = Where::current()) const { write(LogLevel::kInfo, text, f, w); }
  void warn(std::string_view text, Fields f = {}, Where w = Where::current()) const { write(LogLevel::kWarn, text, f, w); }
  void error(std::string_view text, Fields f = {}, Where w = Where::current()) const { write(LogLevel::kError, text, f, w); }
  // clang-format on
  /// Test before building costly fields.
  [[nodiscard]] bool enabled(LogLevel level) const { return sink_ && level >= sink_->level(); }

  /// For lines that a peer can trigger: log_.limited().warn(…) passes at most kLimitedLines per
  /// call site and ten seconds; the next line that passes says how many were left out.
  [[nodiscard]] Logger limited() const;
  /// The same logger with fields on every line: log.with({log::f(log::kInstance, id)}).
  [[nodiscard]] Logger with(Fields fields) const;
  [[nodiscard]] const std::shared_ptr<LogSink>& sink() const { return sink_; }

 private:
  void write(LogLevel level, std::string_view text, Fields fields, const Where& where) const {
    if (enabled(level)) emit(level, text, fields, where);
  }
  void emit(LogLevel level, std::string_view text, Fields fields, const Where& where) const;

  std::shared_ptr<LogSink> sink_;
  std::shared_ptr<const std::vector<LogField>> context_;
  bool limited_ = false;
};

}  // namespace nb
