// Peers that stand in the way of the unique indexes on their addresses and names. Private to
// store/.
#pragma once

#include "base/result.h"
#include "sql/session.h"

#include <cstdint>

namespace nb::management {

/// Later peers of one address get the lowest free one of their account's network; without one they
/// are left as they are. Returns how many were changed.
Result<std::int64_t> repair_addresses(sql::Session& session);
/// Later peers of one DNS label get the label with the last octets of their address, or their id.
Result<std::int64_t> repair_labels(sql::Session& session);

}  // namespace nb::management
