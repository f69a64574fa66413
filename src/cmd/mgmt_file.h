// management.json: keys that no flag or variable sets. Internal to the configuration of
// netbird-mgmt.
#pragma once

#include "base/config/node.h"
#include "base/config/table.h"
#include "cmd/mgmt_config.h"

namespace nb::cmd {

/// Rows and descriptions of all keys of the file (contract/signal-relay-ops.md §6.1).
void add_mgmt_file_rows(config::Table& table, MgmtConfig& config);
/// Settings of the embedded provider that upstream does not have, under the keys of either file.
struct OwnIdpKeys {
  std::string_view token = "EmbeddedIdP.IdTokenLifetime";
  std::string_view request = "EmbeddedIdP.AuthRequestLifetime";
  std::string_view code = "EmbeddedIdP.AuthCodeLifetime";
  std::string_view device = "EmbeddedIdP.DeviceCodeLifetime";
  std::string_view refresh_idle = "EmbeddedIdP.RefreshTokenIdleTimeout";
  std::string_view refresh_max = "EmbeddedIdP.RefreshTokenMaxLifetime";
  std::string_view signing_key = "EmbeddedIdP.SigningKeyLifetime";
  std::string_view connector_owner = "EmbeddedIdP.ConnectorOwnerAllowed";
};
void add_own_idp_rows(config::Table& table, EmbeddedIdpConfig& config, const OwnIdpKeys& keys);
/// Lists and maps of the file, which rows cannot describe.
Result<> read_mgmt_lists(const config::Node& file, MgmtConfig& config);
/// `key`: a map of account ids to 0 or 1.
Result<> read_sync_versions(const config::Node& file, std::string_view key, MgmtConfig& config);

}  // namespace nb::cmd
