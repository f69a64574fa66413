// Cli: the command line of a binary, from argv to filled structs.
#pragma once

#include "base/config/node.h"
#include "base/config/table.h"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nb::config {

/// What a command was called with, after all settings are read and checked.
struct Invocation {
  std::vector<std::string> arguments;  // positional, after the command's words
  std::vector<std::string> warnings;   // to be logged once logging runs
};

/// One verb of a binary, "run" or "setup-key create".
struct Command {
  std::string path{};                  // words, separated by one space
  std::vector<std::string> aliases{};  // other names of the last word
  std::string help{};                  // one line
  std::string usage{};                 // after the command, e.g. "<id>"
  Table* table = nullptr;              // its settings, persistent ones included
  std::size_t arguments_max = 0;       // positional arguments accepted
  bool hidden = false;
  /// Called once flags and environment are applied: reads the config file, if the command has one.
  std::function<Result<std::optional<Node>>(std::vector<std::string>& warnings)> read_file{};
  /// Called once the file is applied too: nested parts of the file, derived values. The node is
  /// empty when there is no file.
  std::function<Result<>(const Node& file, std::vector<std::string>& warnings)> finish{};
  std::function<int(const Invocation& invocation)> run{};
};

class Cli {
 public:
  Cli(std::string program, std::string about, std::string version);

  Cli& command(Command command);
  /// Runs the command when argv names none (netbird-relay has no verbs).
  Cli& fallback(std::string path);
  /// Parses, reads, checks, runs. Serves --help, --version, --check-config by itself.
  /// Returns the exit status: 0, 1 for errors (already printed to stderr).
  /// Values of secrets are wiped from argv, so that they leave the process list.
  int main(int argc, char** argv);

  struct Outcome {
    int status = 0;
    bool done = true;   // nothing left to run: help, version, check or error
    std::string out{};  // for stdout
    std::string err{};  // for stderr
    const Command* command = nullptr;
    Invocation invocation{};
  };
  /// The same without process state, for tests.
  Outcome prepare(const std::vector<std::string>& args, const Environment& env);

  /// Null: the program's own page.
  [[nodiscard]] std::string help_text(const Command* command) const;
  [[nodiscard]] const std::string& program() const { return program_; }
  [[nodiscard]] std::span<const Command> commands() const { return commands_; }

 private:
  Outcome without_command(const std::vector<std::string>& args,
                          const std::vector<std::string>& words) const;
  static std::string command_lines(std::span<const Command> commands, std::string_view group);
  [[nodiscard]] std::string group_help(std::string_view group) const;
  Outcome run_command(const Command& command, const std::vector<std::string>& args,
                      const Environment& env);

  std::string program_;
  std::string about_;
  std::string version_;
  std::string fallback_;
  std::vector<Command> commands_;
};

/// Applies flags to the table. Positional arguments are returned in order.
/// Flag rules are Go's (pflag): --name value, --name=value, -n value, -nvalue, -n=value, `--` ends
/// flags, a boolean never takes the next argument.
struct FlagValue {
  const Setting* setting = nullptr;
  std::string value;
  std::string given;  // "--port" or "-p"
};
struct Flags {
  std::vector<FlagValue> values;
  std::vector<std::string> positional;
  bool help = false;
  bool version = false;
  bool check_config = false;
};
Result<Flags> parse_flags(const Table& table, std::span<const std::string> args);

/// flag > canonical variable > alias > file > default; secrets also from NAME_FILE. Bad values of
/// lenient settings become warnings.
Result<> apply_flags_and_env(Table& table, const Flags& flags, const Environment& env,
                             std::vector<std::string>& warnings);
/// Fills what flags and variables left open. Unknown keys become warnings.
Result<> apply_file(Table& table, const Node& file, std::vector<std::string>& warnings);

/// Effective values with their origin; secrets as "(set)" or "(not set)".
[[nodiscard]] std::string dump(const Table& table);
/// The settings of one command as a chapter of docs/configuration.md.
[[nodiscard]] std::string markdown(std::string_view title, const Table& table);
/// The nearest known word, or empty.
[[nodiscard]] std::string suggestion(std::string_view word, std::span<const std::string> known);

}  // namespace nb::config
