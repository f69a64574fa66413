#include "base/log_sinks.h"

#include <spdlog/details/log_msg.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>

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

/// Somebody else rotates (contract/signal-relay-ops.md §6.6).
bool logrotate_knows_us() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/etc/logrotate.d", error)) {
    std::ifstream file(entry.path());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    if (text.find("netbird") != std::string::npos) return true;
  }
  return false;
}

/// One line per record, each flushed: what was said before a crash is on disk.
class SpdlogSink final : public LogSink {
 public:
  SpdlogSink(SinkPtr target, LogLevel level, bool json, bool timestamps)
      : target_(std::move(target)), level_(level), json_(json), timestamps_(timestamps) {
    target_->set_pattern("%v");
    target_->set_level(spdlog::level::trace);
  }

  void write(LogLevel level, std::string_view sentence, std::span<const LogField> context,
             std::span<const LogField> fields, const std::source_location& where) override {
    using namespace std::chrono;
    const auto now = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
    const std::string time = timestamps_ ? log_timestamp(now) : std::string();
    const std::string line = json_ ? format_log_json(level, sentence, context, fields, where, time)
                                   : format_log_text(level, sentence, context, fields, where, time);
    try {
      target_->log(spdlog::details::log_msg("", to_spdlog(level), line));
      target_->flush();
    } catch (const std::exception&) {  // a full disk must not stop the server
      lost_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  [[nodiscard]] LogLevel level() const override { return level_.load(std::memory_order_relaxed); }
  void set_level(LogLevel level) override { level_.store(level, std::memory_order_relaxed); }
  void flush() override {
    try {
      target_->flush();
    } catch (const std::exception&) {
      lost_.fetch_add(1, std::memory_order_relaxed);
    }
  }

 private:
  SinkPtr target_;
  std::atomic<LogLevel> level_;
  std::atomic<std::uint64_t> lost_{0};
  bool json_;
  bool timestamps_;
};

SinkPtr open_target(const LogConfig& config, const std::string& ident) {
  if (config.file == "console") return std::make_shared<spdlog::sinks::stderr_sink_mt>();
  if (config.file == "syslog") {
    return std::make_shared<spdlog::sinks::syslog_sink_mt>(ident, LOG_PID, LOG_DAEMON, false);
  }
  if (config.disable_rotation || logrotate_knows_us()) {
    return std::make_shared<spdlog::sinks::basic_file_sink_mt>(config.file);
  }
  return std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
      config.file, std::size_t{config.max_size_mb} << 20U, config.backups);
}
}  // namespace

Result<std::shared_ptr<LogSink>> make_log_sink(const LogConfig& config, const std::string& ident) {
  const auto level = parse_log_level(config.level);
  if (!level) return fail(Code::kInvalidArgument, "log level \"{}\" is unknown", config.level);
  if (config.format != "text" && config.format != "json") {
    return fail(Code::kInvalidArgument, "log format \"{}\": must be text or json", config.format);
  }
  try {
    return std::make_shared<SpdlogSink>(open_target(config, ident), *level, config.format == "json",
                                        config.file != "syslog");
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
