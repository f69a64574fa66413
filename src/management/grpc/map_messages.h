// Pieces of network maps as messages, for both forms. Private to management/grpc.
#pragma once

#include "management/domain/dns.h"
#include "management/netmap/network_map.h"
#include "management/netmap/rule_kinds.h"
#include "proto/management.pb.h"

namespace nb::management::grpc {

[[nodiscard]] ::management::RuleProtocol to_proto(netmap::Protocol value);
void fill_zone(::management::CustomZone& out, const netmap::MapZone& zone);
void fill_name_server(::management::NameServer& out, const NameServer& server);

}  // namespace nb::management::grpc
