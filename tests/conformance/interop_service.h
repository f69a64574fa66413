// The public gRPC interop TestService on net/, for the conformance run and the transport's tests.
#pragma once

#include "net/grpc.h"
#include "net/http.h"

namespace nb::conformance {

/// EmptyCall, UnaryCall, the streaming calls, and the two metadata headers they echo.
void add_test_service(net::GrpcRouter& router);

/// GET / and /echo, POST /echo: what h2spec asks for.
void add_echo_routes(net::HttpRouter& router);

}  // namespace nb::conformance
