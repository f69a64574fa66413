// Pieces of network maps as messages, for both forms, and their bytes. Private to management/grpc.
#pragma once

#include "management/domain/dns.h"
#include "management/netmap/network_map.h"
#include "management/netmap/rule_kinds.h"

#include <string>

namespace management {
class CustomZone;
class NameServer;
enum RuleProtocol : int;
}  // namespace management
namespace google::protobuf {
class MessageLite;
}  // namespace google::protobuf

namespace nb::management::grpc {

[[nodiscard]] ::management::RuleProtocol to_proto(netmap::Protocol value);
void fill_zone(::management::CustomZone& out, const netmap::MapZone& zone);
void fill_name_server(::management::NameServer& out, const NameServer& server);

/// Maps inside (SSHAuth.machine_users) would come in hash order; these bytes have them sorted, so
/// that equal messages have equal digests.
[[nodiscard]] std::string deterministic_bytes(const google::protobuf::MessageLite& message);

}  // namespace nb::management::grpc
