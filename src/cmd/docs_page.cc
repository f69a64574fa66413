#include "cmd/docs_page.h"

#include "cmd/mgmt_config.h"
#include "cmd/relay_config.h"
#include "cmd/server_config.h"
#include "cmd/signal_config.h"
#include "cmd/upload_config.h"

namespace nb::cmd {

namespace {
constexpr std::string_view kIntro =
    R"(# Configuration

This page is made from the tables that the binaries read (`cmd_docs_test --update-golden`); a test
fails when it is out of date.

A value is taken from the first of these that gives one: **flag**, the **variable** named first, the
**other variables** in order, the **config file**, the default. What stands out is marked in the row.

- Flags are written `--name value`, `--name=value`, `-n value` or `-nvalue`. A boolean never takes the
  next argument: `--name`, `--name=false`. Booleans are `1 t T true TRUE True 0 f F false FALSE False`.
- An empty variable counts as not set. A value that cannot be read stops the start with the name, the
  value and what is allowed, unless its row says otherwise.
- Lists are separated by commas. A variable replaces the default list; repeated flags add to it.
- Durations are written `1h30m`, `15s`, `800ms`.
- Every secret can be read from a file: `NAME_FILE` holds the path, and so does `<key>File` in the
  config file. Secrets given as flags are wiped from the process list, but avoid them.
- `live` settings change on SIGHUP, all others at the next start.
- `--check-config` reads and checks everything, prints the effective values with their origin, without
  secrets, and exits.

)";
}  // namespace

std::string configuration_page() {
  std::string out(kIntro);
  {
    SignalConfig config;
    config::Table table;
    add_signal_rows(table, config);
    out += config::markdown("netbird-signal run", table);
  }
  {
    RelayServerConfig config;
    config::Table table;
    add_relay_rows(table, config);
    out += config::markdown("netbird-relay", table);
  }
  {
    MgmtConfig config;
    config::Table table;
    add_mgmt_rows(table, config);
    out += config::markdown("netbird-mgmt management", table);
  }
  {
    ServerConfig config;
    config::Table table;
    add_server_rows(table, config);
    out += config::markdown("netbird-server", table);
  }
  UploadServerConfig config;
  config::Table table;
  add_upload_rows(table, config);
  out += config::markdown("netbird-upload", table);
  while (out.ends_with("\n\n")) out.pop_back();
  return out;
}

}  // namespace nb::cmd
