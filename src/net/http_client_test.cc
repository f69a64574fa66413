// The HTTP client against a real server of ours, with and without TLS, and against bad ones.
#include "net/http_client.h"

#include "net/test_certificate.h"
#include "net/testing.h"
#include "support/home_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nb::net {
namespace {
using testing::TestServer;
using namespace std::chrono_literals;

boost::asio::awaitable<HttpResponse> echo(HttpRequest request) {
  HttpResponse response =
      HttpResponse::text(200, request.method + " " + request.path + "?" + request.query + " " +
                                  request.body + " " + std::string(request.header("x-test")));
  response.headers.emplace_back("X-Answer", "yes");
  co_return response;
}
boost::asio::awaitable<HttpResponse> large(HttpRequest) {
  co_return HttpResponse::text(200, std::string(1000, 'x'));
}
boost::asio::awaitable<HttpResponse> redirect(HttpRequest) {
  HttpResponse response;
  response.status = 302;
  response.headers.emplace_back("Location", "/echo");
  co_return response;
}
void routes(GrpcRouter&, HttpRouter& http) {
  http.exact("/echo", echo);
  http.exact("/large", large);
  http.exact("/redirect", redirect);
}

class HttpClientTest : public ::testing::Test {
 protected:
  Result<HttpClientResponse> send(HttpClientRequest request, HttpClientOptions options = {}) {
    auto client = HttpClient::create(std::move(options));
    if (!client) return client.error();
    return home_.await([&] { return (*client)->send(std::move(request)); });
  }
  test::HomeLoop home_;
};

std::string url(std::uint16_t port, const std::string& path, const std::string& scheme = "http",
                const std::string& host = "127.0.0.1") {
  return scheme + "://" + host + ":" + std::to_string(port) + path;
}

TEST_F(HttpClientTest, SendsMethodPathQueryHeadersAndBody) {
  TestServer server(routes);
  const auto got = send({.method = "POST",
                         .url = url(server.port(), "/echo?a=b%20c"),
                         .headers = {{"X-Test", "t"}},
                         .body = "hello"});
  ASSERT_TRUE(got) << got.error().text;
  EXPECT_EQ(got->status, 200);
  EXPECT_EQ(got->body, "POST /echo?a=b%20c hello t");
  EXPECT_EQ(got->header("x-answer"), "yes");
}

TEST_F(HttpClientTest, HandsARedirectBack) {
  TestServer server(routes);
  const auto got = send({.url = url(server.port(), "/redirect")});
  ASSERT_TRUE(got) << got.error().text;
  EXPECT_EQ(got->status, 302);
  EXPECT_EQ(got->header("location"), "/echo");
}

TEST_F(HttpClientTest, StopsAtTheBodyLimit) {
  TestServer server(routes);
  EXPECT_TRUE(send({.url = url(server.port(), "/large"), .body_bytes_max = 1000}));
  const auto got = send({.url = url(server.port(), "/large"), .body_bytes_max = 999});
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::kResourceExhausted);
}

TEST_F(HttpClientTest, AsksTheRuleBeforeConnecting) {
  TestServer server(routes);
  const auto got =
      send({.url = url(server.port(), "/echo", "http", "localhost"), .allow = is_public_address});
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::kPermissionDenied);
  EXPECT_EQ(server.server().connections(), 0U);
}

TEST_F(HttpClientTest, RefusesUrlsItCannotTrust) {
  for (const auto* bad : {"ftp://x/", "http:///x", "http://user:pw@x/", "http://x/a b",
                          "http://x/\r\nX: y", "nonsense"}) {
    const auto got = send({.url = bad});
    ASSERT_FALSE(got) << bad;
    EXPECT_EQ(got.error().code, Code::kInvalidArgument) << bad;
    EXPECT_EQ(got.error().text.find("pw"), std::string::npos);
  }
  const auto plain = send({.url = "http://127.0.0.1:1/", .https_only = true});
  ASSERT_FALSE(plain);
  EXPECT_EQ(plain.error().code, Code::kInvalidArgument);
  const auto split = send({.url = "http://127.0.0.1:1/", .headers = {{"X", "a\r\nY: b"}}});
  ASSERT_FALSE(split);
  EXPECT_EQ(split.error().code, Code::kInvalidArgument);
}

// Accepts and stays silent.
class SilentServer {
 public:
  SilentServer() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 8), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~SilentServer() { close(fd_); }
  SilentServer(const SilentServer&) = delete;
  SilentServer& operator=(const SilentServer&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

TEST_F(HttpClientTest, GivesUpOnASilentServerInTime) {
  SilentServer server;
  for (const auto* scheme : {"http", "https"}) {
    const auto begin = std::chrono::steady_clock::now();
    const auto got = send({.url = url(server.port(), "/", scheme), .timeout = 200ms});
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, Code::kDeadlineExceeded) << got.error().text;
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  }
}

TEST_F(HttpClientTest, NobodyListeningIsUnavailable) {
  std::uint16_t port = 0;
  { port = SilentServer().port(); }
  const auto got = send({.url = url(port, "/")});
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::kUnavailable);
}

class HttpClientTlsTest : public HttpClientTest {
 protected:
  HttpClientTlsTest() {
    certificate_.issue("localhost");
    ServerConfig config;
    config.listeners = {{.address = "127.0.0.1", .port = 0, .tls = true}};
    config.tls_files = certificate_.pair();
    server_ = std::make_unique<TestServer>(routes, config);
  }
  const testing::TestCertificate certificate_;
  std::unique_ptr<TestServer> server_;
};

TEST_F(HttpClientTlsTest, TrustsTheGivenAuthority) {
  const auto got = send({.url = url(server_->port(), "/echo", "https", "localhost")},
                        {.ca_file = certificate_.pair().cert_file});
  ASSERT_TRUE(got) << got.error().text;
  EXPECT_EQ(got->body, "GET /echo?  ");
}

TEST_F(HttpClientTlsTest, RefusesAnUnknownAuthorityAndAnotherName) {
  const auto unknown = send({.url = url(server_->port(), "/echo", "https", "localhost")});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kPermissionDenied) << unknown.error().text;
  const auto other = send({.url = url(server_->port(), "/echo", "https", "127.0.0.1")},
                          {.ca_file = certificate_.pair().cert_file});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::kPermissionDenied) << other.error().text;
}

TEST(HttpClientAddress, KnowsWhatIsNotPublic) {
  for (const auto* text : {"127.0.0.1", "10.1.2.3", "169.254.169.254", "100.64.0.1", "0.0.0.0",
                           "::1", "::ffff:127.0.0.1", "fe80::1", "fd00:ec2::254", "64:ff9b::a00:1",
                           "224.0.0.1", "255.255.255.255"})
    EXPECT_FALSE(is_public_address(*IpAddress::parse(text))) << text;
  for (const auto* text : {"1.1.1.1", "8.8.8.8", "2606:4700::1111", "172.32.0.1"})
    EXPECT_TRUE(is_public_address(*IpAddress::parse(text))) << text;
}

TEST(HttpClientForm, EncodesEveryReservedByte) {
  EXPECT_EQ(form_encode({{"a b", "c=d&e+f/%"}, {"x", "~-._"}}), "a%20b=c%3Dd%26e%2Bf%2F%25&x=~-._");
}

}  // namespace
}  // namespace nb::net
