#include "base/config/cli.h"

#include "base/config/value.h"
#include "base/text.h"

#include <algorithm>
#include <cstdio>

namespace nb::config {

namespace {
/// Whether "--name" or "-n" takes the next argument, in any command.
bool takes_next(std::span<const Command> commands, std::string_view arg) {
  for (const Command& command : commands) {
    if (command.table == nullptr) continue;
    const Setting* const setting =
        arg.starts_with("--") ? command.table->find(arg) : command.table->find_letter(arg[1]);
    if (setting == nullptr) continue;
    return !setting->boolean() && (arg.starts_with("--") || arg.size() == 2);
  }
  return false;
}

/// Indexes of the positional arguments, as far as they can be told without knowing the command.
std::vector<std::size_t> positional(std::span<const Command> commands,
                                    const std::vector<std::string>& args) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "--") break;
    if (arg.size() > 1 && arg.front() == '-') {
      if (arg.find('=') == std::string::npos && takes_next(commands, arg)) ++i;
      continue;
    }
    out.push_back(i);
  }
  return out;
}

/// How many words of `words` name the command; 0: it is another one.
std::size_t match(const Command& command, std::span<const std::string> words) {
  const auto path = split(command.path, ' ');
  if (path.size() > words.size()) return 0;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    if (path[i] != words[i]) return 0;
  }
  const std::string& last = words[path.size() - 1];
  const bool alias =
      std::find(command.aliases.begin(), command.aliases.end(), last) != command.aliases.end();
  return path.back() == last || alias ? path.size() : 0;
}

bool in_group(const Command& command, std::string_view group) {
  return std::string_view(command.path).starts_with(std::string(group) + " ");
}

void wipe(char* text) {
  for (; *text != '\0'; ++text) *text = '*';
}

/// The process list shows argv; secrets leave it as soon as they are read.
void wipe_secrets(std::span<const Command> commands, std::span<char*> args) {
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string_view arg = args[i];
    if (!arg.starts_with("--")) continue;
    const auto equals = arg.find('=');
    const bool secret = std::any_of(commands.begin(), commands.end(), [&](const Command& c) {
      const Setting* const s = c.table == nullptr ? nullptr : c.table->find(arg.substr(0, equals));
      return s != nullptr && s->secret();
    });
    if (!secret) continue;
    if (equals != std::string_view::npos) {
      wipe(args[i] + equals + 1);
    } else if (i + 1 < args.size()) {
      wipe(args[++i]);
    }
  }
}

Cli::Outcome failure(std::string_view program, std::string_view text) {
  return {.status = 1,
          .done = true,
          .err = fmt::format("Error: {}\nSee {} --help.\n", escape_control(text), program)};
}
}  // namespace

Cli::Cli(std::string program, std::string about, std::string version)
    : program_(std::move(program)), about_(std::move(about)), version_(std::move(version)) {}

Cli& Cli::command(Command command) {
  commands_.push_back(std::move(command));
  return *this;
}

Cli& Cli::fallback(std::string path) {
  fallback_ = std::move(path);
  return *this;
}

Cli::Outcome Cli::prepare(const std::vector<std::string>& args, const Environment& env) {
  const auto places = positional(commands_, args);
  std::vector<std::string> words;
  for (const std::size_t i : places) words.push_back(args[i]);

  const Command* command = nullptr;
  std::size_t used = 0;
  for (const Command& candidate : commands_) {
    if (const std::size_t n = match(candidate, words); n > used) {
      command = &candidate;
      used = n;
    }
  }
  if (command == nullptr && !fallback_.empty()) {
    for (const Command& candidate : commands_) {
      if (candidate.path == fallback_) command = &candidate;
    }
  }
  if (command == nullptr) return without_command(args, words);

  std::vector<std::string> rest;
  for (std::size_t i = 0, taken = 0; i < args.size(); ++i) {
    if (taken < used && places[taken] == i) {
      ++taken;
    } else {
      rest.push_back(args[i]);
    }
  }
  Outcome out = run_command(*command, rest, env);
  out.command = command;
  return out;
}

Cli::Outcome Cli::without_command(const std::vector<std::string>& args,
                                  const std::vector<std::string>& words) const {
  const auto given = [&](std::initializer_list<std::string_view> names) {
    return std::any_of(args.begin(), args.end(), [&](const std::string& arg) {
      return std::find(names.begin(), names.end(), arg) != names.end();
    });
  };
  if (words.empty() || words.front() == "help") {
    if (given({"--version", "-v"})) return {.out = version_ + "\n"};
    for (const std::string& arg : args) {
      const bool known = arg == "help" || arg == "--help" || arg == "-h" || arg.front() != '-';
      if (!known) return failure(program_, "a command is missing before " + arg);
    }
    return {.out = help_text(nullptr)};
  }
  std::string group;
  for (const std::string& word : words) {
    const std::string longer = group.empty() ? word : group + " " + word;
    const bool exists = std::any_of(commands_.begin(), commands_.end(),
                                    [&](const Command& c) { return in_group(c, longer); });
    if (!exists) {
      std::vector<std::string> known;
      for (const Command& c : commands_) {
        if (!c.hidden) known.push_back(c.path);
      }
      const std::string near = suggestion(longer, known);
      return failure(program_,
                     fmt::format("unknown command \"{}\"{}", longer,
                                 near.empty() ? "" : fmt::format(" (did you mean {}?)", near)));
    }
    group = longer;
  }
  return {.out = group_help(group)};
}

Cli::Outcome Cli::run_command(const Command& command, const std::vector<std::string>& args,
                              const Environment& env) {
  Table none;
  Table& table = command.table == nullptr ? none : *command.table;
  Outcome out;
  const auto load = [&]() -> Result<> {
    NB_LET(auto flags, parse_flags(table, args));
    if (flags.help || flags.version) {
      out.out = flags.help ? help_text(&command) : version_ + "\n";
      return {};
    }
    if (flags.positional.size() > command.arguments_max) {
      return fail(Code::kInvalidArgument, "unexpected argument \"{}\"",
                  flags.positional[command.arguments_max]);
    }
    out.invocation.arguments = flags.positional;
    auto& warnings = out.invocation.warnings;
    NB_TRY(apply_flags_and_env(table, flags, env, warnings));
    for (const FlagValue& value : flags.values) {
      const Setting& setting = *value.setting;
      // An address without a password is shown as it is, and nothing to warn about.
      if (!setting.secret() || setting.env.empty() || shown(setting) == value.value) continue;
      warnings.push_back(
          fmt::format("{}: a secret on the command line is seen by other users; use {}_FILE",
                      value.given, setting.env));
    }
    std::optional<Node> file;
    if (command.read_file) {
      NB_LET(file, command.read_file(warnings));
    }
    if (file) NB_TRY(apply_file(table, *file, warnings));
    if (command.finish) NB_TRY(command.finish(file ? *file : Node(), warnings));
    NB_TRY(table.check_rules());
    if (flags.check_config) {
      out.out = dump(table);
      for (const std::string& warning : warnings) out.err += "Warning: " + warning + "\n";
      return {};
    }
    out.done = false;
    return {};
  };
  const auto loaded = load();
  return loaded ? std::move(out) : failure(program_, loaded.error().text);
}

int Cli::main(int argc, char** argv) {
  const std::vector<std::string> args(argv + std::min(argc, 1), argv + argc);
  const Outcome outcome = prepare(args, process_environment());
  if (argc > 1) {
    wipe_secrets(commands_, std::span<char*>(argv, static_cast<std::size_t>(argc)).subspan(1));
  }
  std::fputs(outcome.out.c_str(), stdout);
  std::fputs(outcome.err.c_str(), stderr);
  if (outcome.done || !outcome.command->run) return outcome.status;
  return outcome.command->run(outcome.invocation);
}

}  // namespace nb::config
