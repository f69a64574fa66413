#include "base/config/value.h"

#include "base/duration.h"
#include "base/text.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace nb::config {

namespace {
constexpr std::size_t kValueBytesMax = 64 * 1024;
constexpr std::size_t kListMax = 10'000;

template <class T>
inline constexpr bool kIsDuration = false;
template <class R, class P>
inline constexpr bool kIsDuration<std::chrono::duration<R, P>> = true;

template <class T>
inline constexpr bool kIsNumber = std::is_integral_v<T> && !std::is_same_v<T, bool>;

bool bounded(const Setting& setting) {
  return setting.min != 0 || setting.max != 0;
}

Result<> within(const Setting& setting, std::int64_t value) {
  if (bounded(setting) && (value < setting.min || value > setting.max)) {
    return fail(Code::kInvalidArgument, "out of range");
  }
  return {};
}

template <class T>
Result<T> parse_number(const Setting& setting, std::string_view text) {
  T value{};
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec == std::errc::result_out_of_range) return fail(Code::kInvalidArgument, "out of range");
  if (ec != std::errc{} || end != text.data() + text.size()) {
    return fail(Code::kInvalidArgument, "not a whole number");
  }
  if constexpr (std::is_unsigned_v<T>) {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return fail(Code::kInvalidArgument, "out of range");
    }
  }
  NB_TRY(within(setting, static_cast<std::int64_t>(value)));
  return value;
}

template <class T>
Result<T> to_duration(const Setting& setting, std::chrono::nanoseconds time) {
  using std::chrono::duration_cast;
  const auto value = duration_cast<T>(time);
  if (value != time) return fail(Code::kInvalidArgument, "finer than this setting can be");
  if (time < std::chrono::nanoseconds(0) && setting.min >= 0) {
    return fail(Code::kInvalidArgument, "a negative duration");
  }
  const auto ms = duration_cast<std::chrono::milliseconds>(time);
  // Rounded away from the allowed range, so that 999.9 ms is below one second.
  const bool below = bounded(setting) && time < std::chrono::milliseconds(setting.min);
  if (below || (bounded(setting) && ms.count() >= setting.max &&
                time > std::chrono::milliseconds(setting.max))) {
    return fail(Code::kInvalidArgument, "out of range");
  }
  return value;
}

template <class T>
Result<T> parse_time(const Setting& setting, std::string_view text) {
  if (setting.bare_number && !text.empty() &&
      text.find_first_not_of("0123456789") == std::string_view::npos) {
    std::int64_t count = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), count);
    constexpr auto kMost = std::chrono::duration_cast<T>(std::chrono::nanoseconds::max()).count();
    if (ec != std::errc{} || count > kMost) return fail(Code::kInvalidArgument, "out of range");
    return to_duration<T>(setting, T(count));
  }
  NB_LET(const auto time, parse_duration(text));
  return to_duration<T>(setting, time);
}

/// A text of a closed set in its canonical spelling; any other text as it is.
Result<std::string> parse_text(const Setting& setting, std::string_view text) {
  if (text.size() > kValueBytesMax) return fail(Code::kInvalidArgument, "longer than 64 KiB");
  if (setting.check != nullptr && !text.empty()) NB_TRY(setting.check(text));
  if (setting.allowed.empty()) return std::string(text);
  for (const std::string& choice : split(setting.allowed, '|')) {
    if (equals_ignore_case(choice, text)) return choice;
  }
  return fail(Code::kInvalidArgument, "not one of the allowed values");
}

template <class T>
Result<T> parse_one(const Setting& setting, std::string_view text) {
  if constexpr (std::is_same_v<T, bool>) {
    return parse_bool(text);
  } else if constexpr (kIsNumber<T>) {
    return parse_number<T>(setting, text);
  } else if constexpr (kIsDuration<T>) {
    return parse_time<T>(setting, text);
  } else if constexpr (std::is_same_v<T, Secret>) {
    NB_LET(auto plain, parse_text(setting, text));
    NB_TRY(within(setting, static_cast<std::int64_t>(plain.size())));
    return Secret(std::move(plain));
  } else {
    static_assert(std::is_same_v<T, std::string>);
    NB_LET(auto plain, parse_text(setting, text));
    NB_TRY(within(setting, static_cast<std::int64_t>(plain.size())));
    return plain;
  }
}

template <class T>
Result<> store_text(const Setting& setting, T* member, std::string_view text, ListMode /*mode*/) {
  NB_LET(*member, parse_one<T>(setting, text));
  return {};
}

template <class T>
Result<> store_text(const Setting& setting, std::optional<T>* member, std::string_view text,
                    ListMode /*mode*/) {
  NB_LET(*member, parse_one<T>(setting, text));
  return {};
}

template <class T>
Result<> store_text(const Setting& setting, std::vector<T>* member, std::string_view text,
                    ListMode mode) {
  std::vector<T> values = mode == ListMode::kAppend ? *member : std::vector<T>{};
  Setting element = setting;  // bounds of a list count its elements
  if constexpr (std::is_same_v<T, std::string>) element.min = element.max = 0;
  for (const std::string& piece : split(text, ',')) {
    NB_LET(values.emplace_back(), parse_one<T>(element, piece));
    if (values.size() > kListMax) return fail(Code::kInvalidArgument, "too many elements");
  }
  if constexpr (std::is_same_v<T, std::string>) {
    NB_TRY(within(setting, static_cast<std::int64_t>(values.size())));
  }
  *member = std::move(values);
  return {};
}

template <class T>
Result<> store_node(const Setting& setting, T* member, const Node& node) {
  if (!node.scalar()) return fail(Code::kInvalidArgument, "must be a single value");
  if constexpr (kIsDuration<T>) {
    if (node.kind() == Node::Kind::kNumber) {  // Go writes durations as integer nanoseconds
      Setting unbounded = setting;
      unbounded.min = unbounded.max = 0;
      NB_LET(const auto ns, parse_number<std::int64_t>(unbounded, node.text()));
      NB_LET(*member, to_duration<T>(setting, std::chrono::nanoseconds(ns)));
      return {};
    }
  }
  return store_text(setting, member, node.text(), ListMode::kReplace);
}

template <class T>
Result<> store_node(const Setting& setting, std::vector<T>* member, const Node& node) {
  if (node.scalar()) return store_text(setting, member, node.text(), ListMode::kReplace);
  if (!node.is_list()) return fail(Code::kInvalidArgument, "must be a list");
  if (node.size() > kListMax) return fail(Code::kInvalidArgument, "too many elements");
  Setting element = setting;
  if constexpr (std::is_same_v<T, std::string>) element.min = element.max = 0;
  std::vector<T> values;
  for (std::size_t i = 0; i < node.size(); ++i) {
    if (node.at(i).null()) continue;
    if (!node.at(i).scalar()) return fail(Code::kInvalidArgument, "must be a list of texts");
    NB_LET(values.emplace_back(), parse_one<T>(element, node.at(i).text()));
  }
  if constexpr (std::is_same_v<T, std::string>) {
    NB_TRY(within(setting, static_cast<std::int64_t>(values.size())));
  }
  *member = std::move(values);
  return {};
}

Error explain(const Setting& setting, std::string_view given, std::string_view value,
              const Error& why) {
  const std::string allowed = allowed_values(setting);
  const std::string shown_value =
      setting.secret() ? " (value hidden)" : fmt::format(" \"{}\"", escape_control(value));
  return fail(Code::kInvalidArgument, "{}{}: {}{}", given,
              shown_value.size() > 256 ? " (long value)" : shown_value, why.text,
              allowed.empty() ? "" : "; allowed: " + allowed);
}

std::string show(bool value) {
  return value ? "true" : "false";
}
std::string show(const std::string& value) {
  return value;
}
template <class T>
requires kIsNumber<T> std::string show(T value) {
  return std::to_string(value);
}
template <class T>
requires kIsDuration<T> std::string show(T value) {
  return format_duration(value);
}
template <class T>
std::string show(const std::optional<T>& value) {
  return value ? show(*value) : "";
}
template <class T>
std::string show(const std::vector<T>& value) {
  return fmt::format("{}", fmt::join(value, ","));
}
std::string show(const Secret& value) {
  return value.empty() ? "(not set)" : "(set)";
}

template <class T>
std::string_view type_of(const T*) {
  if constexpr (kIsDuration<T>) return "duration";
  return "string";
}
std::string_view type_of(const bool*) {
  return "";
}
std::string_view type_of(const std::optional<bool>*) {
  return "";
}
std::string_view type_of(const std::uint16_t*) {
  return "uint16";
}
std::string_view type_of(const std::int32_t*) {
  return "int";
}
std::string_view type_of(const std::optional<std::int32_t>*) {
  return "int";
}
std::string_view type_of(const std::uint32_t*) {
  return "uint";
}
std::string_view type_of(const std::int64_t*) {
  return "int";
}
std::string_view type_of(const std::uint64_t*) {
  return "uint";
}
std::string_view type_of(const std::vector<std::string>*) {
  return "strings";
}
std::string_view type_of(const std::vector<std::uint16_t>*) {
  return "uint16s";
}
}  // namespace

Result<bool> parse_bool(std::string_view text) {
  // Go's strconv.ParseBool.
  static constexpr std::array<std::string_view, 6> kTrue = {"1", "t", "T", "true", "TRUE", "True"};
  static constexpr std::array<std::string_view, 6> kFalse = {"0",     "f",     "F",
                                                             "false", "FALSE", "False"};
  if (std::find(kTrue.begin(), kTrue.end(), text) != kTrue.end()) return true;
  if (std::find(kFalse.begin(), kFalse.end(), text) != kFalse.end()) return false;
  return fail(Code::kInvalidArgument, "not a boolean");
}

Result<> set_text(Setting& setting, std::string_view text, std::string_view given, ListMode mode) {
  const auto stored = std::visit(
      [&](auto* member) { return store_text(setting, member, text, mode); }, setting.slot);
  if (!stored) return explain(setting, given, text, stored.error());
  return {};
}

Result<> set_node(Setting& setting, const Node& node, std::string_view given) {
  const auto stored =
      std::visit([&](auto* member) { return store_node(setting, member, node); }, setting.slot);
  if (!stored) return explain(setting, given, node.scalar() ? node.text() : "…", stored.error());
  return {};
}

std::string shown(const Setting& setting) {
  if (setting.secret() && setting.redact != nullptr) {
    const auto& secret = *std::get<Secret*>(setting.slot);
    return secret.empty() ? "(not set)" : setting.redact(secret.reveal());
  }
  return std::visit([](const auto* member) { return show(*member); }, setting.slot);
}

std::string allowed_values(const Setting& setting) {
  if (setting.boolean()) return "true or false";
  if (!setting.allowed.empty()) {
    return fmt::format("{}", fmt::join(split(setting.allowed, '|'), ", "));
  }
  const std::string_view type = type_name(setting);
  if (type == "duration") {
    if (!bounded(setting))
      return setting.bare_number ? "a number or a duration" : "a duration such as 1h30m or 800ms";
    return fmt::format("{}..{}", format_duration(std::chrono::milliseconds(setting.min)),
                       format_duration(std::chrono::milliseconds(setting.max)));
  }
  if (!bounded(setting)) return type == "uint16" ? "0..65535" : "";
  const auto range = fmt::format("{}..{}", setting.min, setting.max);
  if (type == "string") return range + " characters";
  return type == "strings" ? range + " elements" : range;
}

std::string_view type_name(const Setting& setting) {
  return std::visit([](const auto* member) { return type_of(member); }, setting.slot);
}

bool same_value(const Setting& a, const Setting& b) {
  if (a.slot.index() != b.slot.index()) return false;
  return std::visit(
      [&](auto* mine) {
        const auto* theirs = std::get<decltype(mine)>(b.slot);
        if constexpr (std::is_same_v<decltype(mine), Secret*>) {
          return mine->reveal() == theirs->reveal();  // both are ours: time tells nobody anything
        } else {
          return *mine == *theirs;
        }
      },
      a.slot);
}

}  // namespace nb::config
