// The management service as a part of a process: netbird-mgmt, or netbird-server.
#pragma once

#include "base/result.h"
#include "cmd/host.h"
#include "cmd/mgmt_config.h"

#include <memory>

namespace nb::cmd {

/// Opens the database (waits for it a while) and builds everything. `config` must stay where it
/// is; `host` and `loops`, which carry the connections, outlive the part.
Result<std::unique_ptr<Part>> make_mgmt_part(MgmtConfig& config, Host& host, net::LoopPool& loops);

}  // namespace nb::cmd
