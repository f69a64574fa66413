// Services that a peer exposes through a reverse proxy, for as long as it says so.
// Source   contract/management-grpc.md §5.11.
#pragma once

#include "base/secret.h"
#include "management/domain/service.h"
#include "management/store/edits/edit.h"
#include "management/store/token_use.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nb::management {

inline constexpr std::size_t kExposuresPerPeer = 10;

/// Fields were checked by the caller; the actor is the peer.
/// Errors   kPermissionDenied: the account's settings do not let the peer; kNotFound: a group;
///          kAlreadyExists: domain or port; kFailedPrecondition: too many, no cluster, no port;
///          kInvalidArgument: what no service may be, or the request has come before.
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
  std::optional<TokenUse> request{};       // remembered with what it did, and only then
};

/// Errors   kNotFound: no such service; kPermissionDenied: not exposed, or by another peer;
///          kInvalidArgument: the request has come before.
struct StopExposing {
  using Answer = Nothing;
  PeerId peer{};
  std::string domain{};
  std::optional<TokenUse> request{};  // as of ExposeService
};

}  // namespace nb::management
