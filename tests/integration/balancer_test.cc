// What balancers do to connections that no client library does.
#include "net/ops.h"
#include "net/testing.h"
#include "support/servers.h"
#include "tests/conformance/interop.grpc.pb.h"
#include "tests/conformance/interop_service.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

namespace nb::net {
namespace {
namespace pb = ::grpc::testing;

// HAProxy 2.6 answers a changed header table with an update to 4096: asking it for a smaller table
// lost every request but the first of a connection, and agents saw REFUSED_STREAM.
TEST(Balancer, HaProxyReusesAConnectionForManyCalls) {
  const testing::TestServer server([](GrpcRouter& grpc, HttpRouter& http) {
    conformance::add_test_service(grpc);
    add_health_routes(http, {});
  });
  test::HaProxy proxy(std::vector<test::Backend>{
      {.name = "only", .port = server.port(), .check_port = server.port()}});
  const auto channel = ::grpc::CreateChannel(proxy.address(), ::grpc::InsecureChannelCredentials());
  const auto stub = pb::TestService::NewStub(channel);
  for (int i = 0; i < 20; ++i) {
    ::grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         test::patient(std::chrono::seconds(10)));
    pb::Empty request;
    pb::Empty response;
    const auto status = stub->EmptyCall(&context, request, &response);
    ASSERT_TRUE(status.ok()) << "call " << i << ": " << status.error_message();
  }
}

}  // namespace
}  // namespace nb::net
