#include "management/netmap/version.h"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

namespace nb::netmap {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_suffix_char(char c) {
  return is_digit(c) || is_letter(c) || c == '-' || c == '~';
}

/// Takes a number off the front; nothing when there is none or it is too large.
template <class Number>
std::optional<Number> take_number(std::string_view& text) {
  Number value = 0;
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  return value;
}

/// Dot-separated, none empty, only characters of pre-releases and builds.
bool are_identifiers(std::string_view text) {
  for (;;) {
    const auto dot = text.find('.');
    const std::string_view one = text.substr(0, dot);
    if (one.empty() || !std::ranges::all_of(one, is_suffix_char)) return false;
    if (dot == text.npos) return true;
    text.remove_prefix(dot + 1);
  }
}

std::optional<std::int64_t> as_number(std::string_view text) {
  auto rest = text;
  const auto value = take_number<std::int64_t>(rest);
  return rest.empty() ? value : std::nullopt;
}

/// -1, 0, 1; an empty part counts as missing.
int compare_part(std::string_view left, std::string_view right) {
  if (left == right) return 0;
  const auto left_number = as_number(left);
  const auto right_number = as_number(right);
  if (left.empty()) return right_number ? -1 : 1;
  if (right.empty()) return left_number ? 1 : -1;
  if (left_number && right_number) return *left_number > *right_number ? 1 : -1;
  if (left_number || right_number) return left_number ? -1 : 1;
  return left > right ? 1 : -1;
}

int compare_prerelease(std::string_view left, std::string_view right) {
  while (!left.empty() || !right.empty()) {
    const auto take = [](std::string_view& text) {
      const auto dot = text.find('.');
      const auto part = text.substr(0, dot);
      text.remove_prefix(dot == text.npos ? text.size() : dot + 1);
      return part;
    };
    const auto left_part = take(left);
    const auto right_part = take(right);
    if (const int order = compare_part(left_part, right_part); order != 0) return order;
  }
  return 0;
}

/// The numbers of a semantic version have no leading zeros.
std::optional<std::uint64_t> take_strict(std::string_view& text) {
  if (text.size() > 1 && text[0] == '0' && is_digit(text[1])) return std::nullopt;
  return take_number<std::uint64_t>(text);
}

bool are_strict_identifiers(std::string_view text) {
  if (!are_identifiers(text) || text.find('~') != text.npos) return false;
  while (!text.empty()) {
    const auto dot = text.find('.');
    const std::string_view one = text.substr(0, dot);
    if (one.size() > 1 && one[0] == '0' && std::ranges::all_of(one, is_digit)) return false;
    text.remove_prefix(dot == text.npos ? text.size() : dot + 1);
  }
  return true;
}

}  // namespace

std::string_view without_suffix(std::string_view text) {
  return text.substr(0, text.find('-'));
}

std::optional<Version> Version::parse(std::string_view text) {
  Version version;
  if (text.starts_with('v')) text.remove_prefix(1);
  for (;;) {
    const auto number = take_number<std::int64_t>(text);
    if (!number) return std::nullopt;
    version.numbers.push_back(*number);
    if (!text.starts_with('.')) break;
    text.remove_prefix(1);
  }
  while (version.numbers.size() < 3) version.numbers.push_back(0);
  if (text.ends_with('?')) text.remove_suffix(1);
  if (const auto plus = text.find('+'); plus != text.npos) {
    if (!are_identifiers(text.substr(plus + 1))) return std::nullopt;
    text = text.substr(0, plus);
  }
  if (text.empty()) return version;
  // "1.0-5", "1.0-rc1" and "1.0rc1" are all the same kind of thing.
  if (text.starts_with('-') && text.size() > 1) text.remove_prefix(1);
  if (!are_identifiers(text)) return std::nullopt;
  version.prerelease = std::string(text);
  return version;
}

bool Version::at_least(const Version& minimum) const {
  if (!prerelease.empty() && (minimum.prerelease.empty() || numbers != minimum.numbers))
    return false;
  auto left = numbers;
  auto right = minimum.numbers;
  left.resize(std::max(left.size(), right.size()));
  right.resize(left.size());
  if (left != right) return left > right;
  if (prerelease.empty() || minimum.prerelease.empty()) return prerelease.empty();
  return compare_prerelease(prerelease, minimum.prerelease) >= 0;
}

std::optional<SemanticVersion> SemanticVersion::parse(std::string_view text) {
  SemanticVersion version;
  for (std::size_t part = 0; part < 3; ++part) {
    const auto number = take_strict(text);
    if (!number) return std::nullopt;
    version.numbers[part] = *number;
    if (text.empty()) return version;  // "0.59" is 0.59.0; a suffix needs all three
    if (part == 2) break;
    if (!text.starts_with('.')) return std::nullopt;
    text.remove_prefix(1);
  }
  if (const auto plus = text.find('+'); plus != text.npos) {
    const auto build = text.substr(plus + 1);
    if (!are_identifiers(build) || build.find('~') != build.npos) return std::nullopt;
    text = text.substr(0, plus);
  }
  if (text.empty()) return version;
  if (!text.starts_with('-') || !are_strict_identifiers(text.substr(1))) return std::nullopt;
  version.prerelease = std::string(text.substr(1));
  return version;
}

bool SemanticVersion::at_least(const SemanticVersion& minimum) const {
  const auto mine = std::tie(numbers[0], numbers[1], numbers[2]);
  const auto wanted = std::tie(minimum.numbers[0], minimum.numbers[1], minimum.numbers[2]);
  return mine == wanted ? prerelease.empty() : mine > wanted;
}

}  // namespace nb::netmap
