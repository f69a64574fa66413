// The RPCs with one answer. Private to management/grpc.
#pragma once

#include "management/grpc/service_state.h"

#include <memory>

namespace nb::management::grpc {

/// Adds every unary method of the service to `router`.
void add_unary_calls(net::GrpcRouter& router, std::shared_ptr<ServiceState> service);

}  // namespace nb::management::grpc
