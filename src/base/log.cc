#include "base/log.h"

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>

namespace nb {

namespace {
constexpr std::chrono::seconds kLimitedWindow{10};
constexpr std::size_t kBudgets = 512;  // call sites that share one share its budget
}  // namespace

struct LogSink::Budgets {
  struct Budget {
    std::mutex mutex;
    std::chrono::steady_clock::time_point since{};
    unsigned passed = 0;
    std::int64_t dropped = 0;
  };
  std::array<Budget, kBudgets> all;
};

LogSink::LogSink() : budgets_(std::make_unique<Budgets>()) {}
LogSink::~LogSink() = default;

std::int64_t LogSink::admit(const std::source_location& where) {
  const std::size_t site = std::hash<const void*>{}(where.file_name()) * 31 + where.line();
  auto& budget = budgets_->all.at(site % kBudgets);
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(budget.mutex);
  if (now - budget.since >= kLimitedWindow) {
    budget.since = now;
    budget.passed = 0;
  }
  if (budget.passed >= kLimitedLines) {
    ++budget.dropped;
    return -1;
  }
  ++budget.passed;
  return std::exchange(budget.dropped, 0);
}

Logger Logger::limited() const {
  Logger copy = *this;
  copy.limited_ = true;
  return copy;
}

Logger Logger::with(Fields fields) const {
  Logger copy = *this;
  auto context = context_ ? *context_ : std::vector<LogField>{};
  context.insert(context.end(), fields.begin(), fields.end());
  copy.context_ = std::make_shared<const std::vector<LogField>>(std::move(context));
  return copy;
}

void Logger::emit(LogLevel level, std::string_view text, Fields fields, const Where& where) const {
  const std::span<const LogField> own(fields.begin(), fields.size());
  const std::span<const LogField> context =
      context_ ? std::span<const LogField>(*context_) : std::span<const LogField>();
  if (!limited_) return sink_->write(level, text, context, own, where);
  const std::int64_t dropped = sink_->admit(where);
  if (dropped < 0) return;
  if (dropped == 0) return sink_->write(level, text, context, own, where);
  std::vector<LogField> more(own.begin(), own.end());
  more.push_back(log::f("suppressed", dropped));
  sink_->write(level, text, context, more, where);
}

}  // namespace nb
