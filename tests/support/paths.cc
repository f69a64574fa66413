#include "support/paths.h"

#include <cstdlib>

namespace nb::test {

std::string source_dir() {
  return NB_SOURCE_DIR;
}

std::string program_dir() {
  const char* other = std::getenv("NB_TEST_BIN_DIR");
  return other != nullptr ? other : NB_BINARY_DIR;
}

}  // namespace nb::test
