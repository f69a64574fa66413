#include "management/domain/domain_name.h"

#include <algorithm>

namespace nb::management {
namespace {

constexpr std::size_t kNameBytesMax = 253;
constexpr std::size_t kLabelBytesMax = 63;

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_label(std::string_view label, bool last) {
  if (label.empty() || label.size() > kLabelBytesMax) return false;
  const char first = label.front();
  if (!is_alnum(first) && (last || first != '_')) return false;
  // A single '_' is a label of its own; longer ones end with a letter or digit.
  if (label.size() > 1 && !is_alnum(label.back())) return false;
  return std::all_of(label.begin(), label.end(),
                     [](char c) { return is_alnum(c) || c == '-' || c == '_'; });
}

std::string_view cut_label(std::string_view& rest) {
  const auto dot = rest.find('.');
  const std::string_view label = rest.substr(0, dot);
  rest = dot == rest.npos ? std::string_view{} : rest.substr(dot + 1);
  return label;
}

}  // namespace

bool is_domain_name(std::string_view name, Wildcard wildcard) {
  if (name.starts_with("*.")) {
    if (wildcard == Wildcard::kForbidden) return false;
    name.remove_prefix(2);
  }
  if (name.empty() || name.size() > kNameBytesMax || name.back() == '.') return false;
  while (!name.empty()) {
    const std::string_view label = cut_label(name);
    if (!is_label(label, name.empty())) return false;
  }
  return true;
}

bool is_below(std::string_view domain, std::string_view parent) {
  if (domain == parent) return true;
  return !parent.empty() && domain.size() > parent.size() && domain.ends_with(parent) &&
         domain[domain.size() - parent.size() - 1] == '.';
}

Result<std::string> ascii_domain(std::string_view name, const ToAsciiFn& to_ascii) {
  std::string out;
  bool first = true;
  for (std::string_view rest = name; first || !rest.empty(); first = false) {
    const std::string_view label = cut_label(rest);
    if (!first) out += '.';
    if (std::all_of(label.begin(), label.end(), [](char c) { return c > 0; })) {
      out += label;
    } else {
      NB_LET(const std::string ascii, to_ascii(label));
      out += ascii;
    }
  }
  if (name.ends_with('.') && !out.ends_with('.')) out += '.';
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

}  // namespace nb::management
