// Peers with what the API shows of them, and nothing that only maps need. Private to store/.
#pragma once

#include "management/domain/peer.h"
#include "management/store/json_columns.h"
#include "sql/types.h"

#include <string>

namespace nb::management::rows {

const std::string& shown_peer_columns();  // p.
/// No addresses of network cards, environment, files, keys of SSH. Never fails, as read_peer().
Peer read_shown_peer(sql::RowReader& row, columns::Damage& damage);

}  // namespace nb::management::rows
