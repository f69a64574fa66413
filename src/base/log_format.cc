#include "base/log_sinks.h"
#include "base/text.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <array>
#include <ctime>

namespace nb {

namespace {
constexpr std::array<std::string_view, 7> kTags = {"TRAC", "DEBG", "INFO", "WARN",
                                                   "ERRO", "FATL", "PANC"};
constexpr std::array<std::string_view, 7> kNames = {"trace", "debug", "info", "warn",
                                                    "error", "fatal", "panic"};

/// "src/net/server.cc:12": the same on every machine that compiled it.
std::string source_of(const std::source_location& where) {
  std::string_view file = where.file_name();
  const auto src = file.rfind("src/");
  if (src != std::string_view::npos) file.remove_prefix(src);
  return fmt::format("{}:{}", file, where.line());
}
}  // namespace

std::optional<LogLevel> parse_log_level(std::string_view text) {
  const std::string name = lower(text);
  if (name == "warning") return LogLevel::kWarn;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames.at(i)) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

std::string_view log_level_tag(LogLevel level) {
  return kTags.at(static_cast<std::size_t>(level));
}

std::string log_timestamp(std::int64_t unix_ms) {
  const std::int64_t ms = ((unix_ms % 1'000) + 1'000) % 1'000;
  const std::time_t seconds = (unix_ms - ms) / 1'000;
  std::tm local{};
  ::localtime_r(&seconds, &local);
  std::string zone = "Z";
  if (local.tm_gmtoff != 0) {
    const long minutes = std::labs(local.tm_gmtoff) / 60;
    zone =
        fmt::format("{}{:02}:{:02}", local.tm_gmtoff < 0 ? '-' : '+', minutes / 60, minutes % 60);
  }
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}{}", local.tm_year + 1900,
                     local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec, ms,
                     zone);
}

std::string format_log_text(LogLevel level, std::string_view sentence,
                            std::span<const LogField> context, std::span<const LogField> fields,
                            const std::source_location& where, std::string_view timestamp) {
  std::string out(timestamp);
  if (!out.empty()) out += ' ';
  out.append(log_level_tag(level)).append(" ");
  std::string_view before = "[";
  for (const auto& list : {context, fields}) {
    for (const LogField& field : list) {
      out.append(before).append(field.key).append(": ").append(escape_control(field.value));
      before = ", ";
    }
  }
  if (before != "[") out += "] ";
  return out + source_of(where) + ": " + escape_control(sentence);
}

std::string format_log_json(LogLevel level, std::string_view sentence,
                            std::span<const LogField> context, std::span<const LogField> fields,
                            const std::source_location& where, std::string_view timestamp) {
  boost::json::object line;
  line["time"] = timestamp;
  line["level"] = kNames.at(static_cast<std::size_t>(level));
  line["msg"] = escape_control(sentence);
  line["source"] = source_of(where);
  for (const auto& list : {context, fields}) {
    for (const LogField& field : list) {
      const bool taken = line.contains(field.key) && line.find(field.key) - line.begin() < 4;
      const std::string key = (taken ? "field." : "") + std::string(field.key);
      line[key] = escape_control(field.value);
    }
  }
  return boost::json::serialize(line);
}

}  // namespace nb
