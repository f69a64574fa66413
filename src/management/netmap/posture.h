// Whether a peer's machine meets a posture check.
// Source   contract/network-map.md §1.9.
#pragma once

#include "management/domain/peer.h"
#include "management/domain/posture_check.h"

#include <string>
#include <vector>

namespace nb::netmap {

/// All configured kinds pass; what cannot be evaluated does not.
[[nodiscard]] bool passes(const management::PostureChecks& checks, const management::Peer& peer);

/// The files whose processes the agent has to look for; empty: nothing to ask of it.
[[nodiscard]] std::vector<std::string> checked_files(const management::PostureChecks& checks);

}  // namespace nb::netmap
