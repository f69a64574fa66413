// docs/idp.md against the tree: each threat of the contract has a row, and each row names tests
// that are there.
#include "support/paths.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {
namespace fs = std::filesystem;

constexpr int kThreats = 32;

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> matches(const std::string& text, const std::string& pattern) {
  const std::regex wanted(pattern);
  std::vector<std::string> out;
  for (std::sregex_iterator it(text.begin(), text.end(), wanted), end; it != end; ++it)
    out.push_back((*it)[1].str());
  return out;
}

std::set<std::string> tests_of_the_tree() {
  std::set<std::string> out;
  for (const char* folder : {"/src", "/tests"})
    for (const auto& entry :
         fs::recursive_directory_iterator(nb::test::source_dir() + std::string(folder))) {
      if (!entry.path().string().ends_with("_test.cc")) continue;
      for (std::string& name : matches(text_of(entry.path()), R"(TEST(?:_F|_P)?\(\w+,\s*(\w+)\))"))
        out.insert(std::move(name));
    }
  return out;
}

bool exists(const std::set<std::string>& tests, const std::string& name) {
  const auto at = tests.lower_bound(name);
  return at != tests.end() && at->starts_with(name);
}

/// The last column of the row, or nothing.
std::string tests_against(const std::string& page, int threat) {
  const auto rows =
      matches(page, R"(\| T)" + std::to_string(threat) + R"( \|[^\n|]*\|[^\n|]*\|([^\n]*)\|\n)");
  return rows.size() == 1 ? rows.front() : std::string();
}

TEST(Threats, EachRowNamesTestsThatAreThere) {
  const std::string tree = nb::test::source_dir();
  const std::string page = text_of(tree + "/docs/idp.md");
  const std::set<std::string> tests = tests_of_the_tree();
  ASSERT_FALSE(exists(tests, "NoTestHasThisName"));
  for (int threat = 1; threat <= kThreats; ++threat) {
    const std::string named = tests_against(page, threat);
    std::size_t found = 0;
    // Names of tests are sentences: three capitals or more. They may be cut with an ellipsis.
    for (const std::string& name : matches(named, R"(\b((?:[A-Z][a-z0-9]+|A(?=[A-Z])){3,}))")) {
      EXPECT_TRUE(exists(tests, name)) << "T" << threat << ": " << name;
      ++found;
    }
    for (const std::string& file : matches(named, R"((\w+\.mjs))")) {
      EXPECT_TRUE(fs::exists(tree + "/tests/browser/" + file)) << "T" << threat << ": " << file;
      ++found;
    }
    for (const std::string& fuzzer : matches(named, R"(fuzz\.(\w+))"))
      EXPECT_TRUE(fs::exists(tree + "/tests/fuzz/" + fuzzer + ".cc")) << fuzzer;
    EXPECT_GT(found, 0U) << "T" << threat << " has no row with a test: " << named;
  }
}

}  // namespace
