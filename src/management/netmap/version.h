// Version texts as the agents' own library reads and compares them, and as the Go module tools do.
// Source   contract/network-map.md §1.9, §2.5, §2.9, §2.12.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::netmap {

/// "1", "v0.60.1", "10.0.19045.3803", "0.60.0-rc1", "6.1.0rc2+build": any number of numeric parts,
/// an optional pre-release, an optional build text that does not count.
struct Version {
  std::vector<std::int64_t> numbers;  // at least three; missing ones are zero
  std::string prerelease;

  static std::optional<Version> parse(std::string_view text);
  /// The constraint ">= minimum": a pre-release satisfies only a minimum that is a pre-release of
  /// the same numbers.
  [[nodiscard]] bool at_least(const Version& minimum) const;
};

/// Semantic versioning without leading "v", where a pre-release sorts before its release. Nothing
/// when the text is none: more than three numbers, leading zeros, a "v".
struct SemanticVersion {
  std::uint64_t numbers[3] = {0, 0, 0};
  std::string prerelease;

  static std::optional<SemanticVersion> parse(std::string_view text);
  /// `minimum` is a release.
  [[nodiscard]] bool at_least(const SemanticVersion& minimum) const;
};

/// What stands before the first '-'.
[[nodiscard]] std::string_view without_suffix(std::string_view text);

}  // namespace nb::netmap
