#include "net/proxy_header.h"

#include "net/testing.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::net {
namespace {

using State = ProxyHeader::State;
using ::testing::EndsWith;
using testing::RawClient;
using ::testing::StartsWith;
using testing::TestServer;

std::string header(unsigned command, unsigned family, const std::string& body) {
  std::string out("\r\n\r\n\0\r\nQUIT\n", 12);
  out += static_cast<char>(command);
  out += static_cast<char>(family);
  out += static_cast<char>(body.size() >> 8);
  out += static_cast<char>(body.size() & 0xff);
  return out + body;
}

/// 192.0.2.7:4711 to 198.51.100.1:443.
std::string tcp4(const std::string& extensions = {}) {
  return header(0x21, 0x11,
                std::string("\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x67\x01\xbb", 12) + extensions);
}

std::string tcp6() {
  std::string body("\x20\x01\x0d\xb8", 4);
  body.append(11, '\0').append("\x07").append(16, '\x01').append("\x12\x67\x01\xbb", 4);
  return header(0x21, 0x21, body);
}

TEST(ProxyHeader, NamesTheClient) {
  for (const auto& [bytes, client] :
       {std::pair(tcp4(), "192.0.2.7"), std::pair(tcp4(std::string(200, '\x04')), "192.0.2.7"),
        std::pair(tcp6(), "2001:db8::7")}) {
    const ProxyHeader read = read_proxy_header(bytes + "GET / HTTP/1.1");
    ASSERT_EQ(read.state, State::kWhole);
    EXPECT_EQ(read.size, bytes.size());
    ASSERT_TRUE(read.client);
    EXPECT_EQ(read.client->text(), client);
    EXPECT_EQ(read.client->port, 4711);
    for (std::size_t part = 0; part < bytes.size(); ++part)
      EXPECT_EQ(read_proxy_header(bytes.substr(0, part)).state, State::kPartial) << part;
  }
}

TEST(ProxyHeader, OfTheBalancersOwnNamesNobody) {
  for (const std::string& bytes : {header(0x20, 0x00, ""), header(0x20, 0x11, std::string(12, 'x')),
                                   header(0x21, 0x00, "anything"), header(0x21, 0x31, "/socket")}) {
    const ProxyHeader read = read_proxy_header(bytes);
    EXPECT_EQ(read.state, State::kWhole);
    EXPECT_EQ(read.size, bytes.size());
    EXPECT_FALSE(read.client);
  }
}

TEST(ProxyHeader, OthersAreToldApart) {
  for (const std::string& bytes : {std::string("GET / HTTP/1.1"), std::string("PRI * HTTP/2.0"),
                                   std::string("\x16\x03\x01"), std::string("PROXY TCP4 1.2.3.4")})
    EXPECT_EQ(read_proxy_header(bytes).state, State::kNone);
  EXPECT_EQ(read_proxy_header(header(0x11, 0x11, std::string(12, 'x'))).state, State::kBroken);
  EXPECT_EQ(read_proxy_header(header(0x22, 0x11, std::string(12, 'x'))).state, State::kBroken);
  EXPECT_EQ(read_proxy_header(header(0x21, 0x11, std::string(5'000, 'x'))).state, State::kBroken);
}

/// Tells each client who it is.
TestServer who_am_i(const std::string& trusted) {
  ServerConfig config;
  config.trusted_proxies = {trusted};
  return TestServer(
      [](GrpcRouter&, HttpRouter& http) {
        http.exact("/", [](HttpRequest request) -> boost::asio::awaitable<HttpResponse> {
          co_return HttpResponse::text(
              200, fmt::format("<{} {}>", request.client.ip, request.client.port));
        });
      },
      config);
}

std::string answer(std::uint16_t port, const std::vector<std::string>& parts) {
  RawClient client(port);
  for (const std::string& part : parts) {
    client.send(part);
    // So that the server sees the parts one by one, as far as the kernel lets it.
    client.receive_until([](const std::string&) { return false; }, std::chrono::milliseconds(20));
  }
  client.receive_until([](const std::string& all) { return all.ends_with('>'); },
                       std::chrono::seconds(10));
  return client.received;
}

constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

TEST(ProxiedConnections, AreTheClientsOfTheirHeader) {
  const TestServer server = who_am_i("127.0.0.1/32");
  EXPECT_THAT(answer(server.port(), {tcp4() + kGet}), EndsWith("<192.0.2.7 4711>"));
  EXPECT_THAT(answer(server.port(), {tcp6() + kGet}), EndsWith("<2001:db8::7 4711>"));
  const std::string bytes = tcp4();
  EXPECT_THAT(
      answer(server.port(), {bytes.substr(0, 5), bytes.substr(5, 15), bytes.substr(20), kGet}),
      EndsWith("<192.0.2.7 4711>"));
  // Whom the balancer speaks for is no balancer, and is not believed in its turn.
  const std::string forged = "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n";
  EXPECT_THAT(answer(server.port(), {tcp4() + forged}), EndsWith("<192.0.2.7 4711>"));
}

TEST(ProxiedConnections, NeedNoHeaderAndMayBeTheBalancersOwn) {
  const TestServer server = who_am_i("127.0.0.1/32");
  EXPECT_THAT(answer(server.port(), {kGet}), ::testing::HasSubstr("<127.0.0.1 "));
  EXPECT_THAT(answer(server.port(), {header(0x20, 0, "") + kGet}),
              ::testing::HasSubstr("<127.0.0.1 "));
}

TEST(ProxiedConnections, AreEndedWhenTheHeaderIsBroken) {
  const TestServer server = who_am_i("127.0.0.1/32");
  RawClient client(server.port());
  client.send(header(0x11, 0x11, std::string(12, 'x')) + kGet);
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_EQ(client.received, "");
}

TEST(ProxiedConnections, OfStrangersAreNotBelieved) {
  const TestServer server = who_am_i("10.0.0.0/8");
  RawClient client(server.port());
  client.send(tcp4() + kGet);
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_THAT(client.received, ::testing::Not(::testing::HasSubstr("192.0.2.7")));
}

TEST(ProxiedConnections, LeaveTheirPlaceWhenTheyEnd) {
  ServerConfig config;
  config.trusted_proxies = {"127.0.0.1/32"};
  config.limits.connections_per_address_max = 2;
  const TestServer server([](GrpcRouter&, HttpRouter&) {}, config);
  for (int i = 0; i < 6; ++i)
    EXPECT_THAT(answer(server.port(), {tcp4() + kGet}), StartsWith("HTTP/1.1 404 ")) << i;
}

}  // namespace
}  // namespace nb::net
