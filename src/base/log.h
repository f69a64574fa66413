// Structured logging: a fixed sentence plus fields. Loggers are injected; there is no global one.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

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

/// Where lines go. Implementations are thread-safe.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void write(LogLevel level, std::string_view sentence,
                     std::initializer_list<LogField> context, std::initializer_list<LogField> fields,
                     const std::source_location& where) = 0;
  [[nodiscard]] virtual LogLevel level() const = 0;
};

/// A cheap handle, copied freely; a default one is silent.
class Logger {
 public:
  Logger() = default;
  explicit Logger(std::shared_ptr<LogSink> sink) : sink_(std::move(sink)) {}

  using Fields = std::initializer_list<LogField>;
  using Where = std::source_location;
  void trace(std::string_view text, Fields f = {}, Where w = Where::current()) const { write(LogLevel::kTrace, text, f, w); }
  void debug(std::string_view text, Fields f = {}, Where w = Where::current()) const { write(LogLevel::kDebug, text, f, w); }
  void info(std::string_view text, Fields f = {}, Where w = Where::current()) const { write(LogLevel::kInfo, text, f, w); }
  void warn(std::string_view text, Fields f = {}, Where w = Where::current()) const { write(LogLevel::kWarn, text, f, w); }
  void error(std::string_view text, Fields f = {}, Where w = Where::current()) const { write(LogLevel::kError, text, f, w); }
  /// Test before building costly fields.
  [[nodiscard]] bool enabled(LogLevel level) const { return sink_ && level >= sink_->level(); }

 private:
  void write(LogLevel level, std::string_view text, Fields fields, const Where& where) const {
    if (enabled(level)) sink_->write(level, text, {}, fields, where);
  }
  std::shared_ptr<LogSink> sink_;
};

}  // namespace nb
