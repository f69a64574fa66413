// Our own mistakes, as opposed to input: see NB_ASSERT (always on) and NB_BUG (fails tests only).
#pragma once

#include <functional>
#include <string_view>

namespace nb {
[[noreturn]] void assert_failed(const char* what, const char* file, int line);
/// Aborts in debug builds; in release counts `netbird_bugs_total{site}` and returns.
void bug_found(const char* what, const char* file, int line);
/// Who counts bugs in release builds; one per process, null: nobody. See MetricRegistry.
void set_bug_counter(std::function<void(std::string_view site)> counter);
}  // namespace nb

#define NB_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::nb::assert_failed(#condition, __FILE__, __LINE__))
#define NB_BUG(text) ::nb::bug_found(text, __FILE__, __LINE__)
