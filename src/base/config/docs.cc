#include "base/config/cli.h"
#include "base/config/value.h"

#include <fmt/format.h>

namespace nb::config {

namespace {
std::string code(std::string_view text) {
  if (text.empty()) return "";
  std::string out = "`";
  for (const char c : text) {
    if (c == '|') out += '\\';  // would end the cell
    out += c;
  }
  return out + "`";
}

std::string names(const Setting& setting) {
  std::string out;
  const auto add = [&out](const std::string& text) { out += (out.empty() ? "" : "<br>") + text; };
  if (!setting.flag.empty()) {
    add(code("--" + std::string(setting.flag)) +
        (setting.letter != 0 ? " " + code(std::string("-") + setting.letter) : ""));
  }
  if (!setting.env.empty()) add(code(setting.env));
  for (const std::string_view alias : setting.aliases) add(code(alias));
  return out;
}

std::string notes(const Setting& setting) {
  std::string out(setting.help);
  if (setting.hidden) out += " (accepted, no effect)";
  if (setting.secret()) out += " *(secret)*";
  if (setting.lenient) out += " (a value that is not allowed is a warning, the default stays)";
  if (setting.file_before_alias) out += " (the file wins over the aliases)";
  return out;
}

void setting_rows(const Table& table, std::size_t section, std::string& out) {
  bool titled = false;
  for (const Setting& setting : table.settings()) {
    if (setting.section != section) continue;
    if (!titled) {
      out += "| flag, variable, aliases | file key | default | allowed | reload | meaning |\n";
      out += "|---|---|---|---|---|---|\n";
    }
    titled = true;
    const std::string type(setting.boolean() ? "bool" : type_name(setting));
    std::string allowed = allowed_values(setting);
    if (allowed.empty()) allowed = type;
    out +=
        fmt::format("| {} | {} | {} | {} | {} | {} |\n", names(setting), code(setting.key),
                    code(setting.default_text == "(not set)" ? "" : setting.default_text), allowed,
                    setting.reload == Reload::kLive ? "live" : "restart", notes(setting));
  }
  if (titled) out += "\n";
}

void file_rows(const Table& table, std::size_t section, std::string& out) {
  bool titled = false;
  for (const auto& key : table.file_keys()) {
    if (key.section != section) continue;
    if (!titled) out += "| file key | meaning |\n|---|---|\n";
    titled = true;
    out += fmt::format("| {} | {} |\n", code(key.path), key.help);
  }
  if (titled) out += "\n";
}
}  // namespace

std::string markdown(std::string_view title, const Table& table) {
  std::string out = fmt::format("## {}\n\n", title);
  for (std::size_t s = 0; s < table.sections().size(); ++s) {
    const Section& section = table.sections()[s];
    out += fmt::format("### {}\n\n", section.title);
    if (!section.intro.empty()) out += section.intro + "\n\n";
    setting_rows(table, s, out);
    file_rows(table, s, out);
  }
  return out;
}

}  // namespace nb::config
