#include "base/config/cli.h"
#include "base/config/value.h"
#include "base/text.h"

#include <algorithm>
#include <set>

namespace nb::config {

namespace {
constexpr std::size_t kSecretBytesMax = 64 * 1024;
constexpr std::size_t kWarningsMax = 50;

Result<> set_from_file(Setting& setting, const std::string& path, std::string_view given) {
  auto content = read_file(path, kSecretBytesMax);
  if (!content) return fail(content.error().code, "{}: {}", given, content.error().text);
  drop_line_ends(*content);
  return set_text(setting, *content, given);
}

/// Whether the variable, or its *_FILE form, was set. An empty variable is not.
Result<bool> take_variable(Setting& setting, std::string_view name, Source source,
                           const Environment& env, std::vector<std::string>& warnings) {
  const auto text = env(name);
  const bool given = text && !text->empty();
  if (setting.secret()) {
    const std::string file_name = std::string(name) + "_FILE";
    if (const auto path = env(file_name); path && !path->empty()) {
      if (given) {
        return fail(Code::kInvalidArgument, "{} and {} are both set; use one", name, file_name);
      }
      NB_TRY(set_from_file(setting, *path, file_name));
      setting.origin = {source, file_name, *path};
      return true;
    }
  }
  if (!given) return false;
  if (const auto set = set_text(setting, *text, name); !set) {
    if (!setting.lenient) return set.error();
    warnings.push_back(
        fmt::format("{}; the default {} stays", set.error().text, setting.default_text));
    return false;
  }
  setting.origin = {source, std::string(name), {}};
  return true;
}

Result<> take_environment(Setting& setting, const Environment& env,
                          std::vector<std::string>& warnings) {
  if (!setting.env.empty()) {
    NB_LET(const bool taken, take_variable(setting, setting.env, Source::kEnv, env, warnings));
    if (taken) return {};
  }
  for (const std::string_view alias : setting.aliases) {
    NB_LET(const bool taken, take_variable(setting, alias, Source::kAlias, env, warnings));
    if (taken) return {};
  }
  return {};
}

bool open_for_file(const Setting& setting) {
  const Source source = setting.origin.source;
  return source == Source::kDefault || (source == Source::kAlias && setting.file_before_alias);
}

/// Collects the keys that nobody reads.
class UnknownKeys {
 public:
  UnknownKeys(const Table& table, std::vector<std::string>& warnings) : warnings_(warnings) {
    for (const Setting& setting : table.settings()) {
      if (setting.key.empty()) continue;
      know(setting.key);
      if (setting.secret()) know(setting.key + "File");
    }
    for (const auto& key : table.file_keys()) know(key.path);
  }

  void walk(const Node& node, const std::string& path) {
    if (node.is_list()) {
      for (std::size_t i = 0; i < node.size(); ++i) walk(node.at(i), path + "[]");
    }
    if (!node.is_map()) return;
    for (std::size_t i = 0; i < node.size(); ++i) {
      const std::string child = path.empty() ? node.key(i) : path + "." + node.key(i);
      const std::string low = lower(child);
      if (leaves_.contains(low) && !parents_.contains(low)) continue;
      if (parents_.contains(low) || parents_.contains(low + "[]")) {
        walk(node.at(i), child);
      } else if (!parents_.contains(lower(path) + ".*")) {
        report(child);
      }
    }
  }

 private:
  void know(const std::string& path) {
    const std::string low = lower(path);
    leaves_.insert(low);
    names_.push_back(path);
    if (low.ends_with(".*")) parents_.insert(low);
    for (auto dot = low.find('.'); dot != std::string::npos; dot = low.find('.', dot + 1)) {
      parents_.insert(low.substr(0, dot));
    }
  }
  void report(const std::string& path) {
    if (warnings_.size() >= kWarningsMax) return;
    const std::string near = suggestion(path, names_);
    warnings_.push_back(
        fmt::format("config file: unknown key \"{}\" is ignored{}", escape_control(path),
                    near.empty() ? "" : fmt::format(" (did you mean \"{}\"?)", near)));
  }

  std::vector<std::string>& warnings_;
  std::set<std::string> leaves_;
  std::set<std::string> parents_;
  std::vector<std::string> names_;
};
}  // namespace

Result<> apply_flags_and_env(Table& table, const Flags& flags, const Environment& env,
                             std::vector<std::string>& warnings) {
  for (Setting& setting : table.settings()) NB_TRY(take_environment(setting, env, warnings));
  std::set<const Setting*> seen;
  for (const FlagValue& value : flags.values) {
    // The parser hands out what it found in this very table.
    Setting& setting = table.settings()[static_cast<std::size_t>(
        value.setting - std::as_const(table).settings().data())];
    // A variable's list is replaced by nothing and grows with each flag; a default is replaced.
    const bool first = seen.insert(&setting).second;
    const bool append = !first || setting.origin.source != Source::kDefault;
    NB_TRY(set_text(setting, value.value, value.given,
                    append ? ListMode::kAppend : ListMode::kReplace));
    setting.origin = {Source::kFlag, value.given, {}};
  }
  return {};
}

Result<> apply_file(Table& table, const Node& file, std::vector<std::string>& warnings) {
  if (file.null()) return {};
  if (!file.is_map()) return fail(Code::kInvalidArgument, "config file: must be a map of keys");
  for (Setting& setting : table.settings()) {
    if (setting.key.empty() || !open_for_file(setting)) continue;
    const Node* const node = file.find_path(setting.key);
    if (node != nullptr && !node->null() && !(node->scalar() && node->text().empty())) {
      NB_TRY(set_node(setting, *node, setting.key));
      setting.origin = {Source::kFile, setting.key, {}};
      continue;
    }
    if (!setting.secret()) continue;
    const std::string file_key = setting.key + "File";
    const Node* const path = file.find_path(file_key);
    if (path == nullptr || !path->scalar() || path->text().empty()) continue;
    NB_TRY(set_from_file(setting, path->text(), file_key));
    setting.origin = {Source::kFile, file_key, path->text()};
  }
  UnknownKeys(table, warnings).walk(file, {});
  return {};
}

std::string dump(const Table& table) {
  std::string out;
  for (std::size_t s = 0; s < table.sections().size(); ++s) {
    bool titled = false;
    for (const Setting& setting : table.settings()) {
      if (setting.section != s || setting.hidden) continue;
      if (!titled)
        out += fmt::format("{}# {}\n", out.empty() ? "" : "\n", table.sections()[s].title);
      titled = true;
      const std::string from =
          setting.origin.source == Source::kDefault ? "default" : setting.origin.name;
      out += fmt::format("{} = {}  [{}]\n", setting.name(), escape_control(shown(setting)), from);
    }
  }
  return out;
}

}  // namespace nb::config
