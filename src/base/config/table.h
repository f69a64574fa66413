// Table: the settings of one command, bound to the structs they fill.
#pragma once

#include "base/config/node.h"
#include "base/config/option.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace nb::config {

template <class T>
using PointerTo = T*;
using Slot = AnyOf<PointerTo>;

enum class Source : std::uint8_t { kDefault, kFile, kAlias, kEnv, kFlag };

/// Where a value came from: the source and the name under which it was given.
struct Origin {
  Source source = Source::kDefault;
  std::string name{};
  std::string file{};  // path, when the value was read through a *_FILE variable or *File key
};

/// A row of Option<S>, bound to its member and freed of S.
struct Setting {
  std::string_view flag;
  char letter = 0;
  std::string env;                        // canonical, derived when the row names none
  std::vector<std::string_view> aliases;  // best first
  std::string key;                        // with the section's prefix
  Slot slot;
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::string_view allowed;
  ValueCheck check = nullptr;
  Redact redact = nullptr;
  bool bare_number = false;
  bool lenient = false;
  Reload reload = Reload::kRestart;
  bool hidden = false;
  bool file_before_alias = false;
  std::string default_text;  // as declared or formatted when bound
  std::string_view help;
  std::size_t section = 0;
  Origin origin{};

  [[nodiscard]] bool secret() const { return std::holds_alternative<Secret*>(slot); }
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] bool list() const;
  /// Flag, else variable, else key: what a message calls it.
  [[nodiscard]] std::string name() const;
};

struct Section {
  std::string title;
  std::string intro;
};

/// Collects rows; the structs must outlive it and must not move.
class Table {
 public:
  /// Rows added from here on stand under this heading in help and docs.
  Table& section(std::string title, std::string intro = {});

  template <class S, std::size_t N>
  Table& add(const Option<S> (&rows)[N], std::type_identity_t<S>& target,
             std::string_view key_prefix = {}) {
    for (const Option<S>& row : rows) add_row(row, bind(row, target), key_prefix);
    return *this;
  }
  /// Keys of a nested list or map that the file reader fills by itself ("Stuns[]"): for the docs
  /// and for telling unknown keys.
  template <class S, std::size_t N>
  Table& describe(std::string_view prefix, const Option<S> (&rows)[N]) {
    for (const Option<S>& row : rows) describe_key(prefix, row.key, row.help);
    return *this;
  }
  Table& describe_key(std::string_view prefix, std::string_view key, std::string_view help);
  /// For commands without a config file: forgets every key.
  Table& without_file();
  struct NewKey {
    std::string_view name;  // flag, variable or present key
    std::string_view key;
  };
  /// For rows that another kind of file gives: those named here get a new key, all others lose
  /// theirs, and what then has no name at all is gone.
  Table& with_keys(std::span<const NewKey> keys);
  /// A rule over several settings, tested after all are read.
  Table& rule(std::function<Result<>()> check);

  [[nodiscard]] std::span<const Setting> settings() const { return settings_; }
  [[nodiscard]] std::span<Setting> settings() { return settings_; }
  [[nodiscard]] std::span<const Section> sections() const { return sections_; }
  struct FileKey {
    std::string path;
    std::string_view help;
    std::size_t section = 0;
  };
  [[nodiscard]] std::span<const FileKey> file_keys() const { return file_keys_; }

  /// By flag, canonical variable or key; null when unknown.
  [[nodiscard]] const Setting* find(std::string_view name) const;
  [[nodiscard]] const Setting* find_letter(char letter) const;
  /// Given by anyone, or still the default? `name` must exist.
  [[nodiscard]] bool is_set(std::string_view name) const;
  Result<> check_rules() const;

 private:
  template <class S>
  static Slot bind(const Option<S>& row, S& target) {
    return std::visit([&target](auto member) -> Slot { return &(target.*member); }, row.member);
  }
  template <class S>
  void add_row(const Option<S>& row, Slot slot, std::string_view key_prefix) {
    add_setting({.flag = row.flag,
                 .letter = row.letter,
                 .env = std::string(row.env),
                 .aliases = {row.aliases.begin(), row.aliases.end()},
                 .key = std::string(row.key),
                 .slot = slot,
                 .min = row.min,
                 .max = row.max,
                 .allowed = row.allowed,
                 .check = row.check,
                 .redact = row.redact,
                 .bare_number = row.bare_number,
                 .lenient = row.lenient,
                 .reload = row.reload,
                 .hidden = row.hidden,
                 .file_before_alias = row.file_before_alias,
                 .default_text = std::string(row.default_text),
                 .help = row.help},
                key_prefix);
  }
  void add_setting(Setting setting, std::string_view key_prefix);

  std::vector<Setting> settings_;
  std::vector<Section> sections_;
  std::vector<FileKey> file_keys_;
  std::vector<std::function<Result<>()>> rules_;
};

/// Settings whose value differs between two tables of the same command, for reload on SIGHUP.
struct Change {
  std::string name;
  Reload reload = Reload::kRestart;
};
[[nodiscard]] std::vector<Change> changes(const Table& before, const Table& after);

/// Fills `target` from the keys of a map node. `path` names it in errors ("Stuns[1]"). Missing and
/// null keys leave the default.
Result<> read_setting(const Node& map, Setting& setting, std::string_view path);
template <class S, std::size_t N>
Result<> read_fields(const Node& map, const Option<S> (&rows)[N], S& target,
                     std::string_view path) {
  Table table;
  table.add(rows, target);
  for (Setting& setting : table.settings()) NB_TRY(read_setting(map, setting, path));
  return {};
}
/// A list of maps; null reads as empty.
template <class S, std::size_t N>
Result<> read_list(const Node* list, const Option<S> (&rows)[N], std::vector<S>& target,
                   std::string_view path) {
  target.clear();
  if (list == nullptr || list->null()) return {};
  if (!list->is_list()) return fail(Code::kInvalidArgument, "{}: must be a list", path);
  for (std::size_t i = 0; i < list->size(); ++i) {
    NB_TRY(read_fields(list->at(i), rows, target.emplace_back(), fmt::format("{}[{}]", path, i)));
  }
  return {};
}

}  // namespace nb::config
