// Values of flags and variables: the first byte chooses the setting, the rest is its value. What
// was accepted is shown, read again and must be the same.
#include "base/text.h"
#include "cmd/mgmt_config.h"
#include "cmd/signal_config.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {
using namespace nb;

Result<> apply(config::Table& table, const config::Setting& setting, const std::string& value) {
  const auto env = [&](std::string_view name) -> std::optional<std::string> {
    if (name == setting.env) return value;
    return std::nullopt;
  };
  std::vector<std::string> warnings;
  NB_TRY(config::apply_flags_and_env(table, {}, env, warnings));
  // Of a lenient setting: what was not accepted is told like an error.
  if (!warnings.empty()) return fail(Code::kInvalidArgument, "{}", warnings.front());
  return {};
}

std::string line_of(const config::Table& table, std::string_view name) {
  const std::string all = config::dump(table);
  const auto at = all.find(std::string(name) + " = ");
  return at == std::string::npos ? "" : all.substr(at, all.find('\n', at) - at);
}

template <class Config, class Add>
void round_trip(std::size_t index, const std::string& value, Add add) {
  Config first;
  config::Table table;
  add(table, first);
  const config::Setting& setting = table.settings()[index % table.settings().size()];
  if (setting.env.empty() || value.find('\0') != std::string::npos) return;
  const auto applied = apply(table, setting, value);
  if (!applied) {
    // Errors are one line, and never show a secret.
    const bool leaks = setting.secret() && value.size() > 8 &&
                       applied.error().text.find(value) != std::string::npos;
    if (leaks || applied.error().text.find('\n') != std::string::npos) std::abort();
    return;
  }
  Config second;
  config::Table again;
  add(again, second);
  if (!apply(again, again.settings()[index % again.settings().size()], value)) std::abort();
  if (line_of(table, setting.name()) != line_of(again, setting.name())) std::abort();
  if (!config::changes(table, again).empty()) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string value(reinterpret_cast<const char*>(data + 2), size - 2);
  if ((data[0] & 1U) == 0) {
    round_trip<cmd::SignalConfig>(data[1], value, cmd::add_signal_rows);
  } else {
    round_trip<cmd::MgmtConfig>(data[1], value, cmd::add_mgmt_rows);
  }
  (void)parse_url(value);
  (void)parse_host_port(value);
  (void)config::parse_flags(config::Table(), std::vector<std::string>{value, value});
  const std::string safe = escape_control(value);
  for (const char c : safe) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) std::abort();
  }
  if (escape_control(safe) != safe) std::abort();
  return 0;
}
