#include "base/assert.h"

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

namespace nb {

namespace {
// Process-wide, because a broken assumption is met where nothing can be passed in.
std::mutex g_mutex;
std::function<void(std::string_view)> g_counter;

/// "src/net/server.cc:12": no path of the machine that compiled it.
std::string site_of(std::string_view file, int line) {
  const auto src = file.rfind("src/");
  if (src != std::string_view::npos) file.remove_prefix(src);
  return std::string(file) + ":" + std::to_string(line);
}
}  // namespace

void assert_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "assertion failed: %s at %s\n", what, site_of(file, line).c_str());
  std::abort();
}

void bug_found(const char* what, const char* file, int line) {
  const std::string site = site_of(file, line);
  std::fprintf(stderr, "bug: %s at %s\n", what, site.c_str());
#ifdef NB_DEBUG
  std::abort();
#else
  const std::lock_guard lock(g_mutex);
  if (g_counter) g_counter(site);
#endif
}

void set_bug_counter(std::function<void(std::string_view site)> counter) {
  const std::lock_guard lock(g_mutex);
  g_counter = std::move(counter);
}

}  // namespace nb
