// `{{ .NAME }}` in config files, and the one edit we make in them.
#include "base/config/node.h"
#include "base/text.h"

#include <algorithm>
#include <optional>

namespace nb::config {

namespace {
constexpr std::size_t kExpandedBytesMax = 4 * kFileBytesMax;

bool name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// " .NAME " between the braces.
Result<std::string_view> action_name(std::string_view action) {
  action = trim(action);
  if (action.starts_with('.'))
    action.remove_prefix(1);
  else
    action = {};
  if (action.empty() || !std::all_of(action.begin(), action.end(), name_char)) {
    return fail(Code::kInvalidArgument, "template: only {{{{ .NAME }}}} is supported");
  }
  return action;
}

/// Walks JSON text whose values may be template actions, far enough to find the members of the
/// outermost object.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  struct Place {
    std::size_t begin = 0;  // of the value, or where a new member goes
    std::size_t end = 0;    // begin == end: the key is absent
    bool first = false;     // absent: the object is empty
  };

  Result<Place> find(std::string_view key) {
    skip_space();
    if (!take('{')) return broken();
    const std::size_t inside = at_;
    skip_space();
    if (peek() == '}') return Place{inside, inside, true};
    std::optional<Place> found;
    for (;;) {
      skip_space();
      NB_LET(const auto name, string());
      skip_space();
      if (!take(':')) return broken();
      skip_space();
      const std::size_t begin = at_;
      NB_TRY(skip_value());
      // Keys match without regard to case; the last one counts, as when reading.
      if (equals_ignore_case(name, key)) found = Place{begin, at_, false};
      skip_space();
      if (take(',')) continue;
      if (!take('}')) return broken();
      return found.value_or(Place{inside, inside, false});
    }
  }

 private:
  static Error broken() {
    return fail(Code::kInvalidArgument, "the file is not the JSON that was read");
  }
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (peek() != c || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }
  void skip_space() {
    while (at_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      ++at_;
  }
  Result<std::string_view> string() {
    if (!take('"')) return broken();
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    if (at_ >= text_.size()) return broken();
    return text_.substr(begin, at_++ - begin);
  }
  Result<> skip_value() {
    std::size_t depth = 0;
    for (;;) {
      skip_space();
      if (text_.substr(at_).starts_with("{{")) {
        const auto end = text_.find("}}", at_);
        if (end == std::string_view::npos) return broken();
        at_ = end + 2;
      } else if (peek() == '"') {
        NB_TRY(string());
      } else if (peek() == '{' || peek() == '[') {
        ++depth;
        ++at_;
      } else if (peek() == '}' || peek() == ']') {
        if (depth == 0) return {};
        --depth;
        ++at_;
      } else if (at_ >= text_.size()) {
        return broken();
      } else if (peek() == ',' && depth == 0) {
        return {};
      } else {
        ++at_;
      }
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}
}  // namespace

Result<std::string> expand_template(std::string_view text, const Environment& env) {
  std::string out;
  for (;;) {
    const auto open = text.find("{{");
    out.append(text.substr(0, open));
    if (out.size() > kExpandedBytesMax) {
      return fail(Code::kInvalidArgument, "template: the result is too large");
    }
    if (open == std::string_view::npos) return out;
    text.remove_prefix(open + 2);
    const auto close = text.find("}}");
    if (close == std::string_view::npos) {
      return fail(Code::kInvalidArgument, "template: '}}}}' is missing");
    }
    NB_LET(const auto name, action_name(text.substr(0, close)));
    const auto value = env(name);
    if (!value) return fail(Code::kInvalidArgument, "template: variable {} is not set", name);
    out.append(*value);
    text.remove_prefix(close + 2);
  }
}

Result<std::string> patch_json_key(std::string_view text, std::string_view key,
                                   std::string_view value) {
  NB_LET(const auto place, Scanner(text).find(key));
  std::string out(text.substr(0, place.begin));
  if (place.begin == place.end) {
    out += "\n    " + quoted(key) + ": " + quoted(value) + (place.first ? "\n" : ",");
  } else {
    const auto old = trim(text.substr(place.begin, place.end - place.begin));
    if (old != "\"\"" && old != "null") {
      return fail(Code::kFailedPrecondition, "{} already has a value", key);
    }
    out += quoted(value);
    // Keep the space between the old value and what follows it.
    const auto tail = text.substr(place.begin + old.size(), place.end - place.begin - old.size());
    out += tail;
  }
  out += text.substr(place.end);
  return out;
}

}  // namespace nb::config
