#include "base/log_sinks.h"

#include "base/log_file.h"
#include "base/log_keys.h"

#include <spdlog/details/log_msg.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

namespace nb {

namespace {
using SinkPtr = std::shared_ptr<spdlog::sinks::sink>;

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    default:
      return spdlog::level::critical;
  }
}

/// One line per record, each handed to the system: what was said before a crash is not lost.
class LineSink : public LogSink {
 public:
  LineSink(LogLevel level, bool json, std::shared_ptr<const Clock> clock)
      : level_(level), json_(json), clock_(std::move(clock)) {}

  void write(LogLevel level, std::string_view sentence, std::span<const LogField> context,
             std::span<const LogField> fields, const std::source_location& where) override {
    using namespace std::chrono;
    const auto now = floor<milliseconds>(clock_->wall()).time_since_epoch().count();
    const std::string time = wants_time() ? log_timestamp(now) : std::string();
    put(level, json_ ? format_log_json(level, sentence, context, fields, where, time)
                     : format_log_text(level, sentence, context, fields, where, time));
  }
  [[nodiscard]] LogLevel level() const override { return level_.load(std::memory_order_relaxed); }
  void set_level(LogLevel level) override { level_.store(level, std::memory_order_relaxed); }

 private:
  [[nodiscard]] virtual bool wants_time() const { return true; }
  /// What cannot be written is dropped: a full disk must not stop the server.
  virtual void put(LogLevel level, std::string line) = 0;

  std::atomic<LogLevel> level_;
  const bool json_;
  const std::shared_ptr<const Clock> clock_;
};

class FileSink final : public LineSink {
 public:
  FileSink(std::unique_ptr<LogFile> file, LogLevel level, bool json,
           std::shared_ptr<const Clock> clock)
      : LineSink(level, json, std::move(clock)), file_(std::move(file)) {}

 private:
  void put(LogLevel /*level*/, std::string line) override {
    line += '\n';
    file_->write(line);
  }
  const std::unique_ptr<LogFile> file_;
};

/// Console and syslog.
class SpdlogSink final : public LineSink {
 public:
  SpdlogSink(SinkPtr target, bool timed, LogLevel level, bool json,
             std::shared_ptr<const Clock> clock)
      : LineSink(level, json, std::move(clock)), target_(std::move(target)), timed_(timed) {
    target_->set_pattern("%v");
    target_->set_level(spdlog::level::trace);
  }
  void flush() override {
    try {
      target_->flush();
    } catch (const std::exception&) {
      return;
    }
  }

 private:
  [[nodiscard]] bool wants_time() const override { return timed_; }
  void put(LogLevel level, std::string line) override {
    try {
      target_->log(spdlog::details::log_msg("", to_spdlog(level), line));
      target_->flush();
    } catch (const std::exception&) {
      return;
    }
  }
  const SinkPtr target_;
  const bool timed_;
};

Result<std::shared_ptr<LogSink>> file_sink(const LogConfig& config, LogLevel level,
                                           const std::shared_ptr<const Clock>& clock) {
  const auto conflict = config.disable_rotation ? std::nullopt : logrotate_conflict();
  const bool rotated = !config.disable_rotation && !conflict;
  auto file = LogFile::open({.path = config.file,
                             .bytes_max = rotated ? std::uint64_t{config.max_size_mb} << 20U : 0,
                             .keeping = {config.backups, std::chrono::days(config.max_age_days)}},
                            clock);
  if (!file) return fail(Code::kUnavailable, "log file {}: {}", config.file, file.error().text);
  auto sink = std::make_shared<FileSink>(std::move(*file), level, config.format == "json", clock);
  if (conflict) {
    Logger(sink).warn("log rotation is left to logrotate, whose configuration names netbird",
                      {log::f(log::kPath, conflict->string())});
  }
  return sink;
}
}  // namespace

Result<std::shared_ptr<LogSink>> make_log_sink(const LogConfig& config, const std::string& ident,
                                               std::shared_ptr<const Clock> clock) {
  const auto level = parse_log_level(config.level);
  if (!level) return fail(Code::kInvalidArgument, "log level \"{}\" is unknown", config.level);
  if (config.format != "text" && config.format != "json") {
    return fail(Code::kInvalidArgument, "log format \"{}\": must be text or json", config.format);
  }
  if (!clock) clock = std::make_shared<SystemClock>();
  const bool console = config.file == "console";
  if (!console && config.file != "syslog") return file_sink(config, *level, clock);
  try {
    SinkPtr target;
    if (console) {
      target = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      target = std::make_shared<spdlog::sinks::syslog_sink_mt>(ident, LOG_PID, LOG_DAEMON, false);
    }
    return std::make_shared<SpdlogSink>(std::move(target), console, *level, config.format == "json",
                                        std::move(clock));
  } catch (const std::exception& e) {
    return fail(Code::kUnavailable, "log file {}: {}", config.file, e.what());
  }
}

std::string MemoryLogSink::Line::field(std::string_view key) const {
  const auto it = std::find_if(fields.begin(), fields.end(),
                               [&](const auto& field) { return field.first == key; });
  return it == fields.end() ? "" : it->second;
}

void MemoryLogSink::write(LogLevel level, std::string_view sentence,
                          std::span<const LogField> context, std::span<const LogField> fields,
                          const std::source_location& /*where*/) {
  Line line{level, std::string(sentence), {}};
  for (const auto& list : {context, fields}) {
    for (const LogField& field : list) line.fields.emplace_back(field.key, field.value);
  }
  const std::lock_guard lock(mutex_);
  lines_.push_back(std::move(line));
}

std::vector<MemoryLogSink::Line> MemoryLogSink::lines() const {
  const std::lock_guard lock(mutex_);
  return lines_;
}

std::size_t MemoryLogSink::count(std::string_view part) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(
      lines_.begin(), lines_.end(),
      [&](const Line& line) { return line.sentence.find(part) != std::string::npos; }));
}

}  // namespace nb
