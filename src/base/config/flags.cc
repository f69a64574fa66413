#include "base/config/cli.h"
#include "base/config/value.h"

#include <algorithm>

namespace nb::config {

namespace {
/// Flags that every command has.
bool* built_in(Flags& flags, std::string_view name) {
  if (name == "help" || name == "h") return &flags.help;
  if (name == "version" || name == "v") return &flags.version;
  if (name == "check-config") return &flags.check_config;
  return nullptr;
}

Error unknown_flag(const Table& table, std::string_view given, std::string_view name) {
  std::vector<std::string> known = {"help", "version", "check-config"};
  for (const Setting& setting : table.settings()) {
    if (!setting.flag.empty() && !setting.hidden) known.emplace_back(setting.flag);
  }
  const std::string near = suggestion(name, known);
  return fail(Code::kInvalidArgument, "unknown flag {}{}", given,
              near.empty() ? "" : fmt::format(" (did you mean --{}?)", near));
}

class Parser {
 public:
  Parser(const Table& table, std::span<const std::string> args) : table_(table), args_(args) {}

  Result<Flags> run() {
    while (at_ < args_.size()) {
      const std::string_view arg = args_[at_++];
      if (arg == "--") {
        out_.positional.insert(out_.positional.end(), args_.begin() + static_cast<long>(at_),
                               args_.end());
        break;
      }
      if (arg.starts_with("--")) {
        NB_TRY(long_flag(arg.substr(2)));
      } else if (arg.size() > 1 && arg.starts_with('-')) {
        NB_TRY(letters(arg.substr(1)));
      } else {
        out_.positional.emplace_back(arg);
      }
    }
    return std::move(out_);
  }

 private:
  Result<> long_flag(std::string_view text) {
    const auto equals = text.find('=');
    const std::string_view name = text.substr(0, equals);
    std::optional<std::string_view> value;
    if (equals != std::string_view::npos) value = text.substr(equals + 1);
    const std::string given = "--" + std::string(name);
    const Setting* const setting = table_.find(given);
    if (setting == nullptr) {
      bool* const own = name.size() > 1 ? built_in(out_, name) : nullptr;
      if (own == nullptr) return unknown_flag(table_, given, name);
      return set_own(*own, given, value);
    }
    return take(*setting, given, value);
  }

  /// "-p80", "-p=80", "-p 80", "-abc" for booleans.
  Result<> letters(std::string_view text) {
    while (!text.empty()) {
      const std::string given = std::string("-") + text.front();
      const Setting* const setting = table_.find_letter(text.front());
      text.remove_prefix(1);
      const bool equals = text.starts_with('=');
      if (setting == nullptr) {
        bool* const own = built_in(out_, std::string_view(given).substr(1));
        if (own == nullptr) return unknown_flag(table_, given, given.substr(1));
        *own = true;
        continue;
      }
      if (setting->boolean() && !equals) {
        NB_TRY(take(*setting, given, std::nullopt));
        continue;
      }
      std::optional<std::string_view> value;
      if (!text.empty()) value = equals ? text.substr(1) : text;
      return take(*setting, given, value);
    }
    return {};
  }

  Result<> take(const Setting& setting, const std::string& given,
                std::optional<std::string_view> value) {
    if (!value && setting.boolean()) value = "true";  // never the next argument
    if (!value) {
      if (at_ == args_.size()) {
        return fail(Code::kInvalidArgument, "flag {} needs a value", given);
      }
      value = args_[at_++];
    }
    out_.values.push_back({&setting, std::string(*value), given});
    return {};
  }

  static Result<> set_own(bool& own, const std::string& given,
                          std::optional<std::string_view> value) {
    if (!value) {
      own = true;
      return {};
    }
    const auto parsed = parse_bool(*value);
    if (!parsed) return fail(Code::kInvalidArgument, "{}: must be true or false", given);
    own = *parsed;
    return {};
  }

  const Table& table_;
  std::span<const std::string> args_;
  std::size_t at_ = 0;
  Flags out_;
};
}  // namespace

Result<Flags> parse_flags(const Table& table, std::span<const std::string> args) {
  return Parser(table, args).run();
}

std::string suggestion(std::string_view word, std::span<const std::string> known) {
  std::string best;
  if (word.empty() || word.size() > 64) return best;
  // Two edits, so that swapped letters count; more in long words, never a whole word.
  std::size_t best_distance =
      std::min(std::max<std::size_t>(word.size() / 3, 2), word.size() - 1) + 1;
  for (const std::string& candidate : known) {
    if (candidate.size() > 64) continue;
    // Levenshtein, one row at a time.
    std::vector<std::size_t> row(candidate.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = std::exchange(row[0], i);
      for (std::size_t j = 1; j < row.size(); ++j) {
        const std::size_t replace = diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace nb::config
