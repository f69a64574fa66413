// Services that a peer exposes through a reverse proxy, for as long as it says so.
// Source   contract/management-grpc.md §5.11.
#pragma once

#include "base/secret.h"
#include "management/domain/service.h"
#include "management/store/edits/edit.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace nb::management {

inline constexpr std::size_t kExposuresPerPeer = 10;

/// Fields were checked by the caller; the actor is the peer.
/// Errors   kPermissionDenied: the account's settings do not let the peer; kNotFound: a group;
///          kAlreadyExists: domain or port; kFailedPrecondition: too many, no cluster, no port;
///          kInvalidArgument: what no service may be.
struct ExposeService {
  using Answer = Service;
  PeerId peer{};
  std::string name_prefix{};
  std::string domain{};  // below which it is; empty: any cluster
  std::string mode{};
  std::string target_protocol{};
  std::int64_t port = 0;
  std::int64_t listen_port = 0;  // 0: as port
  std::string pin{};             // plain, as are all
  std::string password{};
  std::vector<std::string> user_groups{};  // by name
};

/// Errors   kNotFound: no such service; kPermissionDenied: not exposed, or by another peer.
struct StopExposing {
  using Answer = Nothing;
  PeerId peer{};
  std::string domain{};
};

}  // namespace nb::management
