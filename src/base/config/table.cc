#include "base/config/table.h"

#include "base/assert.h"
#include "base/config/value.h"
#include "base/text.h"

#include <algorithm>

namespace nb::config {

bool Setting::boolean() const {
  return std::holds_alternative<bool*>(slot) || std::holds_alternative<std::optional<bool>*>(slot);
}

bool Setting::list() const {
  return std::holds_alternative<std::vector<std::string>*>(slot) ||
         std::holds_alternative<std::vector<std::uint16_t>*>(slot);
}

std::string Setting::name() const {
  if (!flag.empty()) return "--" + std::string(flag);
  return env.empty() ? key : env;
}

Table& Table::section(std::string title, std::string intro) {
  sections_.push_back({std::move(title), std::move(intro)});
  return *this;
}

void Table::add_setting(Setting setting, std::string_view key_prefix) {
  if (sections_.empty()) section("General");
  if (setting.env == "-") {
    setting.env.clear();
  } else if (setting.env.empty() && !setting.flag.empty()) {
    // contract/signal-relay-ops.md §6.3
    setting.env = "NB_";
    for (const char c : setting.flag) {
      setting.env += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
  }
  std::erase_if(setting.aliases, [](std::string_view alias) { return alias.empty(); });
  if (!setting.key.empty()) setting.key.insert(0, key_prefix);
  if (setting.default_text.empty()) setting.default_text = shown(setting);
  setting.section = sections_.size() - 1;
  NB_ASSERT(setting.flag.empty() || find("--" + std::string(setting.flag)) == nullptr);
  NB_ASSERT(setting.env.empty() || find(setting.env) == nullptr);
  settings_.push_back(std::move(setting));
}

Table& Table::describe_key(std::string_view prefix, std::string_view key, std::string_view help) {
  if (sections_.empty()) section("General");
  std::string path(prefix);
  if (!key.empty()) path.append(".").append(key);
  file_keys_.push_back({std::move(path), help, sections_.size() - 1});
  return *this;
}

Table& Table::without_file() {
  for (Setting& setting : settings_) setting.key.clear();
  file_keys_.clear();
  return *this;
}

Table& Table::with_keys(std::span<const NewKey> keys) {
  std::vector<std::string> fresh(settings_.size());
  for (const NewKey& wanted : keys) {
    const Setting* const setting = find(wanted.name);
    NB_ASSERT(setting != nullptr);
    fresh[static_cast<std::size_t>(setting - settings_.data())] = wanted.key;
  }
  for (std::size_t i = 0; i < fresh.size(); ++i) settings_[i].key = std::move(fresh[i]);
  file_keys_.clear();
  std::erase_if(settings_, [](const Setting& setting) {
    return setting.flag.empty() && setting.env.empty() && setting.key.empty();
  });
  return *this;
}

Table& Table::rule(std::function<Result<>()> check) {
  rules_.push_back(std::move(check));
  return *this;
}

const Setting* Table::find(std::string_view name) const {
  const bool dashes = name.starts_with("--");
  if (dashes) name.remove_prefix(2);
  for (const Setting& setting : settings_) {
    if (name == setting.flag && !name.empty()) return &setting;
    if (!dashes && !name.empty() &&
        (name == setting.env || equals_ignore_case(name, setting.key))) {
      return &setting;
    }
  }
  return nullptr;
}

const Setting* Table::find_letter(char letter) const {
  for (const Setting& setting : settings_) {
    if (setting.letter == letter && letter != 0) return &setting;
  }
  return nullptr;
}

bool Table::is_set(std::string_view name) const {
  const Setting* const setting = find(name);
  NB_ASSERT(setting != nullptr);
  return setting->origin.source != Source::kDefault;
}

Result<> Table::check_rules() const {
  for (const auto& rule : rules_) NB_TRY(rule());
  return {};
}

std::vector<Change> changes(const Table& before, const Table& after) {
  std::vector<Change> out;
  for (const Setting& old : before.settings()) {
    const Setting* const now = after.find(old.name());
    if (now != nullptr && !same_value(old, *now)) out.push_back({old.name(), old.reload});
  }
  return out;
}

Result<> read_setting(const Node& map, Setting& setting, std::string_view path) {
  if (map.null()) return {};
  if (!map.is_map()) return fail(Code::kInvalidArgument, "{}: must be a map", path);
  const Node* const node = map.find_path(setting.key);
  if (node == nullptr || node->null()) return {};
  const std::string given = path.empty() ? setting.key : fmt::format("{}.{}", path, setting.key);
  NB_TRY(set_node(setting, *node, given));
  setting.origin = {Source::kFile, given, {}};
  return {};
}

}  // namespace nb::config
