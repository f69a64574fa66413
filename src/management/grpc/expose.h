// Services that a peer exposes through a reverse proxy: requests are checked, and refused, since
// this server manages no proxy.
// Source   contract/management-grpc.md §5.11.
#pragma once

#include "base/result.h"

#include <string>

namespace management {
class ExposeServiceRequest;
}  // namespace management

namespace nb::management::grpc {

/// Errors   kInvalidArgument with upstream's texts.
[[nodiscard]] Result<> check_expose(const ::management::ExposeServiceRequest& request);
/// Of RenewExpose and StopExpose.
[[nodiscard]] Result<> check_expose_domain(const std::string& domain);

}  // namespace nb::management::grpc
