// What a running server exposes: the families of a /metrics page.
#pragma once

#include <set>
#include <sstream>
#include <string>

namespace nb::test {

/// One line per family, "name type", sorted.
inline std::string metric_families(const std::string& page) {
  std::set<std::string> found;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("# TYPE ")) found.insert(line.substr(7));
  std::string out;
  for (const std::string& family : found) out += family + '\n';
  return out;
}

}  // namespace nb::test
