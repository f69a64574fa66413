// management.json and config.yaml as operators may write them: expand, parse, apply, patch.
#include "cmd/mgmt_config.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {
using namespace nb;

std::optional<std::string> variable(std::string_view name) {
  if (name == "A") return "x";
  if (name == "Q") return "\"";
  return std::nullopt;
}

void check(bool condition) {
  if (!condition) std::abort();
}

void patch(std::string_view text, const config::Node& before) {
  constexpr std::string_view kKey = "DataStoreEncryptionKey";
  const auto patched = config::patch_json_key(text, kKey, "new");
  if (!patched) return;
  const auto expanded = config::expand_template(*patched, variable);
  if (!expanded) return;
  const auto after = config::parse_json(*expanded);
  // A template may stand where the scanner sees another structure; then the write is refused by
  // whoever reads the file next. Without templates the result must be what was asked for.
  if (text.find("{{") != std::string_view::npos) return;
  check(after.has_value());
  check(after->find(kKey) != nullptr);
  check(after->size() == before.size() || after->size() == before.size() + 1);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)config::parse_yaml(text);
  const auto expanded = config::expand_template(text, variable);
  if (!expanded) return 0;
  const auto node = config::parse_json(*expanded);
  if (!node) return 0;
  cmd::MgmtConfig settings;
  config::Table table;
  cmd::add_mgmt_rows(table, settings);
  std::vector<std::string> warnings;
  const auto applied = config::apply_file(table, *node, warnings);
  if (applied) (void)cmd::finish_mgmt(settings, table, *node, warnings);
  check(warnings.size() < 100);
  (void)config::dump(table);
  if (node->is_map()) patch(text, *node);
  return 0;
}
