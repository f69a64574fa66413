// The management service as a part of a process: netbird-mgmt, or netbird-server.
#pragma once

#include "base/result.h"
#include "cmd/host.h"
#include "cmd/mgmt_config.h"

#include <cstddef>
#include <memory>

namespace nb::cmd {

/// What the part brings along to be served by the threads of `loops`.
inline constexpr std::size_t kMgmtLoops = 1;

/// Opens the database (waits for it a while) and builds everything. `config` must stay where it
/// is; `host` and `loops`, which carry the connections and have room for kMgmtLoops guests, outlive
/// the part.
Result<std::unique_ptr<Part>> make_mgmt_part(MgmtConfig& config, Host& host, net::LoopPool& loops);

}  // namespace nb::cmd
