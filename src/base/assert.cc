#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace nb {

void assert_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "assertion failed: %s at %s:%d\n", what, file, line);
  std::abort();
}

void bug_found(const char* what, const char* file, int line) {
  std::fprintf(stderr, "bug: %s at %s:%d\n", what, file, line);
#ifdef NB_DEBUG
  std::abort();
#endif
}

}  // namespace nb
