// Golden files: what a test produced is compared with a committed file.
// `<test> --update-golden` (or NB_UPDATE_GOLDEN=1) rewrites the files; review reads the diff.
#pragma once

#include "support/paths.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace nb::test {

inline bool update_golden() {
  if (std::getenv("NB_UPDATE_GOLDEN") != nullptr) return true;
  std::ifstream file("/proc/self/cmdline");
  const std::string line{std::istreambuf_iterator<char>(file), {}};
  return line.find("--update-golden") != std::string::npos;
}

/// `path` is relative to the source tree.
inline void expect_golden(const std::string& path, const std::string& actual) {
  const std::filesystem::path full = std::filesystem::path(source_dir()) / path;
  if (update_golden()) {
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << actual;
    return;
  }
  std::ifstream file(full);
  const std::string expected{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(actual, expected) << path << " is out of date; run this test with --update-golden";
}

}  // namespace nb::test
