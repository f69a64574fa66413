// What balancers do to connections that no client library does.
#include "net/ops.h"
#include "net/testing.h"
#include "support/certificate.h"
#include "support/servers.h"
#include "tests/conformance/interop.grpc.pb.h"
#include "tests/conformance/interop_service.h"

#include <fmt/format.h>
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

/// A TCP balancer that writes version 2 of the PROXY protocol, also with its checks. Whoever comes
/// to it is 192.0.2.7 from there on.
std::string tcp_balancer(std::uint16_t server, const std::string& options = {}) {
  return fmt::format(R"(defaults
  mode tcp
  timeout connect 2s
  timeout client 1m
  timeout server 1m
frontend main
  bind 127.0.0.1:{{port}}
  tcp-request connection set-src str(192.0.2.7)
  default_backend servers
backend servers
  default-server inter 100ms fastinter 100ms check send-proxy-v2 check-send-proxy {}
  server only 127.0.0.1:{}
)",
                     options, server);
}

void name_client(GrpcRouter& grpc, HttpRouter& http) {
  conformance::add_test_service(grpc);
  http.exact("/", [](HttpRequest request) -> boost::asio::awaitable<HttpResponse> {
    co_return HttpResponse::text(200, fmt::format("<{} {}>", request.client.ip, request.tls));
  });
}

std::string curl(const std::string& url, const std::vector<std::string>& options = {}) {
  std::vector<std::string> argv{"curl", "-sS", "--noproxy", "*", "--max-time", "20"};
  argv.insert(argv.end(), options.begin(), options.end());
  argv.push_back(url);
  return test::run({.argv = argv}).output;
}

TEST(Balancer, HaProxysProxyHeaderNamesTheClient) {
  ServerConfig config;
  config.trusted_proxies = {"127.0.0.1/32"};
  const testing::TestServer server(name_client, config);
  for (const std::string options : {"", "proxy-v2-options crc32c,unique-id"}) {
    test::HaProxy proxy(tcp_balancer(server.port(), options));
    EXPECT_EQ(curl("http://" + proxy.address()), "<192.0.2.7 false>");
    EXPECT_EQ(curl("http://" + proxy.address(), {"--http2-prior-knowledge"}), "<192.0.2.7 false>");
    const auto channel =
        ::grpc::CreateChannel(proxy.address(), ::grpc::InsecureChannelCredentials());
    const auto stub = pb::TestService::NewStub(channel);
    ::grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         test::patient(std::chrono::seconds(10)));
    pb::Empty request;
    pb::Empty response;
    const auto status = stub->EmptyCall(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
}

TEST(Balancer, HaProxysProxyHeaderComesBeforeTls) {
  const test::TempDir dir;
  test::make_certificate(dir / "cert.pem", dir / "key.pem");
  ServerConfig config;
  config.tls_files = {dir / "cert.pem", dir / "key.pem"};
  config.listeners = {{.address = "127.0.0.1", .tls = true}};
  config.trusted_proxies = {"127.0.0.1/32"};
  const testing::TestServer server(name_client, config);
  test::HaProxy proxy(tcp_balancer(server.port()));
  for (const std::string version : {"--http1.1", "--http2"})
    EXPECT_EQ(curl("https://" + proxy.address(), {"--cacert", dir / "cert.pem", version}),
              "<192.0.2.7 true>");
}

}  // namespace
}  // namespace nb::net
