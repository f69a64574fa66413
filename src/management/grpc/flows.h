// How agents let their user log in: answers from configuration.
// Source   contract/management-grpc.md §5.9.
#pragma once

#include "base/result.h"
#include "management/grpc/service.h"

#include <optional>
#include <string>

namespace nb::management::grpc {

/// Encoded DeviceAuthorizationFlow.
/// Errors   kNotFound: none configured; kInvalidArgument: a provider the protocol has no word for.
[[nodiscard]] Result<std::string> encode_device_flow(const std::optional<FlowSettings>& flow);
/// Encoded PKCEAuthorizationFlow.
[[nodiscard]] Result<std::string> encode_pkce_flow(const std::optional<FlowSettings>& flow);

}  // namespace nb::management::grpc
