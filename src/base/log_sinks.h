// The places log lines go: console, syslog, file, memory.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb {

struct LogConfig {
  std::string level = "info";
  std::string file = "console";  // console (stderr), syslog, or a path
  std::string format = "text";   // text or json
  std::uint32_t max_size_mb = 15;
  std::uint32_t backups = 10;
  std::uint32_t max_age_days = 30;  // of backups; 0: no limit
  bool disable_rotation = false;
};

/// "warning" and "warn" are the same; case does not matter.
[[nodiscard]] std::optional<LogLevel> parse_log_level(std::string_view text);
/// PANC FATL ERRO WARN INFO DEBG TRAC.
[[nodiscard]] std::string_view log_level_tag(LogLevel level);

/// `ident`: the program's name in syslog. Without `clock` the system's.
/// Errors   kInvalidArgument: unknown level or format; kUnavailable: the file cannot be opened.
Result<std::shared_ptr<LogSink>> make_log_sink(const LogConfig& config, const std::string& ident,
                                               std::shared_ptr<const Clock> clock = nullptr);

/// Keeps lines for tests.
class MemoryLogSink final : public LogSink {
 public:
  explicit MemoryLogSink(LogLevel level = LogLevel::kTrace) : level_(level) {}
  struct Line {
    LogLevel level;
    std::string sentence;
    std::vector<std::pair<std::string, std::string>> fields;  // context first
    [[nodiscard]] std::string field(std::string_view key) const;
  };
  void write(LogLevel level, std::string_view sentence, std::span<const LogField> context,
             std::span<const LogField> fields, const std::source_location& where) override;
  [[nodiscard]] LogLevel level() const override { return level_; }
  void set_level(LogLevel level) override { level_ = level; }
  [[nodiscard]] std::vector<Line> lines() const;
  /// Lines whose sentence contains `part`.
  [[nodiscard]] std::size_t count(std::string_view part) const;

 private:
  std::atomic<LogLevel> level_;
  mutable std::mutex mutex_;
  std::vector<Line> lines_;
};

/// One line without newline, exactly as written; for the sinks and their tests.
[[nodiscard]] std::string format_log_text(LogLevel level, std::string_view sentence,
                                          std::span<const LogField> context,
                                          std::span<const LogField> fields,
                                          const std::source_location& where,
                                          std::string_view timestamp);
[[nodiscard]] std::string format_log_json(LogLevel level, std::string_view sentence,
                                          std::span<const LogField> context,
                                          std::span<const LogField> fields,
                                          const std::source_location& where,
                                          std::string_view timestamp);
/// RFC 3339 with milliseconds and the local zone.
[[nodiscard]] std::string log_timestamp(std::int64_t unix_ms);

}  // namespace nb
