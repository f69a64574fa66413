// The same log with a level of its own, for a part that has its own setting.
#pragma once

#include "base/log_sinks.h"

#include <atomic>
#include <memory>
#include <string_view>
#include <utility>

namespace nb::cmd {

class LevelSink final : public LogSink {
 public:
  /// `level`: as checked by the configuration; anything else means info.
  LevelSink(std::shared_ptr<LogSink> below, std::string_view level)
      : below_(std::move(below)), level_(parse_log_level(level).value_or(LogLevel::kInfo)) {}
  void write(LogLevel level, std::string_view sentence, std::span<const LogField> context,
             std::span<const LogField> fields, const std::source_location& where) override {
    below_->write(level, sentence, context, fields, where);
  }
  [[nodiscard]] LogLevel level() const override { return level_; }
  void set_level(LogLevel level) override { level_ = level; }
  void flush() override { below_->flush(); }

 private:
  const std::shared_ptr<LogSink> below_;
  std::atomic<LogLevel> level_;
};

}  // namespace nb::cmd
