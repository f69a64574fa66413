// Services that a peer exposes through a reverse proxy: requests are checked and translated.
// Source   contract/management-grpc.md §5.11.
#pragma once

#include "base/result.h"
#include "management/domain/service.h"
#include "management/store/edits/exposures.h"

#include <string>

namespace management {
class ExposeServiceRequest;
class ExposeServiceResponse;
}  // namespace management

namespace nb::management::grpc {

/// Errors   kInvalidArgument with upstream's texts.
[[nodiscard]] Result<ExposeService> expose_command(
    const ::management::ExposeServiceRequest& request);
/// Of RenewExpose and StopExpose.
[[nodiscard]] Result<> check_expose_domain(const std::string& domain);

[[nodiscard]] ::management::ExposeServiceResponse expose_answer(
    const ::nb::management::Service& service);
/// What the agent gets: too many is RESOURCE_EXHAUSTED, and infrastructure UNAVAILABLE.
[[nodiscard]] Error expose_error(Error error);

}  // namespace nb::management::grpc
