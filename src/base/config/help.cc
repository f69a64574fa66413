#include "base/config/cli.h"
#include "base/config/value.h"

#include <fmt/format.h>

#include <algorithm>

namespace nb::config {

namespace {
std::string flag_column(const Setting& setting) {
  std::string out = setting.letter != 0 ? fmt::format("-{}, ", setting.letter) : "    ";
  out += fmt::format("--{}", setting.flag);
  if (const auto type = type_name(setting); !type.empty()) out += fmt::format(" {}", type);
  return out;
}

std::string meaning_column(const Setting& setting) {
  std::string out(setting.help);
  const bool plain = setting.default_text.empty() || setting.default_text == "false" ||
                     setting.default_text == "(not set)";
  if (!plain) out += fmt::format(" (default {})", setting.default_text);
  if (!setting.allowed.empty()) out += fmt::format("; one of {}", allowed_values(setting));
  if (!setting.env.empty()) out += fmt::format(" [{}]", setting.env);
  return out;
}

std::string flag_lines(const Table& table) {
  std::size_t width = 0;
  for (const Setting& setting : table.settings()) {
    if (!setting.flag.empty() && !setting.hidden) {
      width = std::max(width, flag_column(setting).size());
    }
  }
  std::string out;
  for (std::size_t s = 0; s < table.sections().size(); ++s) {
    bool titled = false;
    for (const Setting& setting : table.settings()) {
      if (setting.section != s || setting.hidden || setting.flag.empty()) continue;
      if (!titled) out += fmt::format("\n{}:\n", table.sections()[s].title);
      titled = true;
      out += fmt::format("  {:<{}}   {}\n", flag_column(setting), width, meaning_column(setting));
    }
  }
  return out;
}

constexpr std::string_view kCommonFlags =
    "\nCommon flags:\n"
    "  -h, --help           show this text\n"
    "  -v, --version        show the version\n"
    "      --check-config   read and check all settings, print them without secrets, and exit\n";
}  // namespace

std::string Cli::command_lines(std::span<const Command> commands, std::string_view group) {
  std::size_t width = 0;
  for (const Command& command : commands) width = std::max(width, command.path.size());
  std::string out;
  for (const Command& command : commands) {
    const bool inside = group.empty() || command.path.rfind(std::string(group) + " ", 0) == 0;
    if (command.hidden || !inside) continue;
    out += fmt::format("  {:<{}}   {}\n", command.path, width, command.help);
  }
  return out;
}

std::string Cli::group_help(std::string_view group) const {
  return fmt::format("Usage:\n  {} {} <command> [flags]\n\nCommands:\n{}", program_, group,
                     command_lines(commands_, group));
}

std::string Cli::help_text(const Command* command) const {
  if (command == nullptr) {
    return fmt::format("{}\n\nUsage:\n  {} <command> [flags]\n\nCommands:\n{}{}", about_, program_,
                       command_lines(commands_, {}), kCommonFlags);
  }
  const bool bare = command->path == fallback_;
  std::string usage = bare ? program_ : program_ + " " + command->path;
  if (!command->usage.empty()) usage += " " + command->usage;
  std::string out =
      fmt::format("{}\n\nUsage:\n  {} [flags]\n", bare ? about_ : command->help, usage);
  if (!command->aliases.empty()) {
    out += "\nAliases:\n ";
    for (const std::string& alias : command->aliases) out += " " + alias;
    out += "\n";
  }
  if (command->table != nullptr) out += flag_lines(*command->table);
  out += kCommonFlags;
  if (command->table != nullptr) {
    out +=
        "\nFlags win over variables, variables over the config file. Variables named in brackets; "
        "secrets can\nalso be read from the file that VARIABLE_FILE names. docs/configuration.md "
        "lists all settings.\n";
  }
  return out;
}

}  // namespace nb::config
