// config.yaml as operators may write it: parse, apply, derive, show.
#include "cmd/server_config.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {
using namespace nb;

// What stands in the key of a secret must not be found in what --check-config prints.
constexpr std::string_view kSecret = "0therwise-unheard-of";

void check(bool condition) {
  if (!condition) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto node = config::parse_yaml(text);
  if (!node) return 0;
  cmd::ServerConfig settings;
  config::Table table;
  cmd::add_server_rows(table, settings);
  std::vector<std::string> warnings;
  const auto applied = config::apply_file(table, *node, warnings);
  if (!applied) return 0;
  const auto finished = cmd::finish_server(settings, table, *node, warnings);
  check(warnings.size() < 100);
  if (finished && table.check_rules()) {
    // A server that starts has somewhere to listen and tells agents where everything is.
    check(!settings.listener.address.empty());
    check(!settings.mgmt.signal.uri.empty());
    check(!settings.mgmt.relay.addresses.empty() && !settings.mgmt.relay.secret.empty());
    check(!settings.mgmt.stuns.empty());
    check(!settings.mgmt.embedded_idp.issuer.empty());
  }
  const std::string shown = config::dump(table);
  if (settings.relay.auth_secret.reveal() == kSecret) check(shown.find(kSecret) == shown.npos);
  return 0;
}
