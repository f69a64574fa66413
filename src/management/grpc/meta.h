// What an agent says about its machine, bounded and checked.
#pragma once

#include "base/result.h"
#include "management/domain/peer.h"
#include "management/domain/peer_meta.h"

namespace management {
class PeerSystemMeta;
}  // namespace management

namespace nb::management::grpc {

/// Limits of one message; an honest agent is far below.
inline constexpr int kMetaTextBytesMax = 1024;
inline constexpr int kMetaAddressesMax = 1024;
inline constexpr int kMetaFilesMax = 512;
inline constexpr int kMetaCapabilitiesMax = 64;

/// contract/management-grpc.md §5.2.4.
/// Errors   kInvalidArgument: a limit; texts are UTF-8 already (protobuf).
[[nodiscard]] Result<PeerMeta> meta_from(const ::management::PeerSystemMeta& sent);

/// The address a call came from; unset when it is no address.
[[nodiscard]] PeerLocation location_of(const std::string& ip);

}  // namespace nb::management::grpc
