// WebSocket routes: an endpoint that answers each message with its bytes in reverse.
#include "net/testing.h"
#include "net/websocket_endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>

namespace nb::net {
namespace {
using testing::client_frame;
using ::testing::EndsWith;
using testing::eventually;
using ::testing::HasSubstr;
using testing::RawClient;
using ::testing::StartsWith;
using testing::TestServer;

std::atomic<int> alive = 0;

class Reverse final : public WebSocketEndpoint {
 public:
  explicit Reverse(WebSocketChannel& channel) : channel_(channel) { ++alive; }
  ~Reverse() override { --alive; }
  void on_message(const WebSocketMessage& message) override {
    std::string text(message.size(), '\0');
    message.copy(0, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
    if (text == "enough") return channel_.close(websocket::CloseCode::kPolicy);
    if (text == "from") text = channel_.client().ip;
    if (text == "port") text = std::to_string(channel_.client().port);
    std::reverse(text.begin(), text.end());
    waiting_ += text;
    channel_.want_flush();
  }
  void produce(OutputBuffer& out) override {
    if (!waiting_.empty()) websocket::put_frame(out, websocket::Opcode::kBinary, waiting_);
    waiting_.clear();
  }
  [[nodiscard]] bool has_more() const override { return !waiting_.empty(); }
  Instant on_timer(Instant now) override { return now + std::chrono::seconds(1); }
  void drain() override {
    waiting_ += "goodbye";
    channel_.close(websocket::CloseCode::kGoingAway);
  }
  void shut() override { waiting_ += "shut"; }

 private:
  WebSocketChannel& channel_;
  std::string waiting_;
};

void route(GrpcRouter&, HttpRouter& http) {
  http.websocket("/mirror", {.message_bytes_max = 100, .make = [](WebSocketChannel& channel) {
                               return std::make_unique<Reverse>(channel);
                             }});
}

std::string handshake(const std::string& more = "") {
  return "GET /mirror HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + more +
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
}

auto has(const std::string& text) {
  return [text](const std::string& bytes) { return bytes.find(text) != std::string::npos; };
}

TEST(WebSocketRoute, CarriesMessagesBothWaysAndAnswersPings) {
  const TestServer server(route);
  RawClient client(server.port());
  client.send(handshake() + client_frame(2, "one ") + client_frame(2, "ot", false));
  client.receive_until(has(" eno"));
  client.send(client_frame(9, "ping") + client_frame(0, "wt"));
  client.receive_until(has("twto"));
  EXPECT_THAT(client.received, StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(client.received, HasSubstr("\x8a\x04ping"));
  EXPECT_THAT(client.received, EndsWith("\x82\x04"
                                        "twto"));
  client.send(client_frame(8, "\x03\xe8"));
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_THAT(client.received, EndsWith("\x88\x02\x03\xe8"));
  EXPECT_TRUE(eventually([] { return alive == 0; }));
}

TEST(WebSocketRoute, EndsWithTheCodeThatFits) {
  const TestServer server(route);
  const auto tail_after = [&](const std::string& bytes) {
    RawClient client(server.port());
    client.send(handshake() + bytes);
    EXPECT_TRUE(client.closed_by_peer());
    return client.received.substr(client.received.size() - 2);
  };
  EXPECT_EQ(tail_after(client_frame(2, std::string(101, 'x'))), "\x03\xf1");
  EXPECT_EQ(tail_after(client_frame(7, "x")), "\x03\xea");
  EXPECT_EQ(tail_after(client_frame(2, "enough")), "\x03\xf0");
}

TEST(WebSocketRoute, RequestsThatAreNoUpgradeAreTold) {
  const TestServer server(route);
  RawClient client(server.port());
  client.send("GET /mirror HTTP/1.1\r\nHost: x\r\n\r\n");
  client.receive_until(has("\r\n\r\n"));
  EXPECT_THAT(client.received, StartsWith("HTTP/1.1 426 "));
}

TEST(WebSocketRoute, KnowsTheClientBehindATrustedProxy) {
  ServerConfig config;
  config.trusted_proxies = {"127.0.0.1/32"};
  const TestServer server(route, config);
  RawClient client(server.port());
  client.send(handshake("X-Real-Ip: 192.0.2.7\r\n") + client_frame(2, "from"));
  client.receive_until(has("7.2.0.291"));
  EXPECT_THAT(client.received, EndsWith("7.2.0.291"));
}

TEST(WebSocketRoute, TheClientsPortBelongsToTheAddressItStandsBeside) {
  ServerConfig config;
  config.trusted_proxies = {"127.0.0.1/32"};
  const TestServer server(route, config);
  const auto port_for = [&](const std::string& headers) {
    RawClient client(server.port());
    client.send(handshake(headers) + client_frame(2, "port"));
    client.receive_until([](const std::string& all) {
      const auto end = all.find("\r\n\r\n");
      return end != std::string::npos && all.size() > end + 6;
    });
    std::string digits = client.received.substr(client.received.find("\r\n\r\n") + 6);
    std::reverse(digits.begin(), digits.end());
    return digits;
  };
  EXPECT_EQ(port_for("X-Real-Ip: 192.0.2.7\r\nX-Real-Port: 4711\r\n"), "4711");
  EXPECT_EQ(port_for("X-Forwarded-For: 192.0.2.7\r\nX-Real-Ip: 192.0.2.7\r\nX-Real-Port: 4711\r\n"),
            "4711");
  EXPECT_EQ(port_for("X-Forwarded-For: 192.0.2.8\r\nX-Real-Ip: 192.0.2.7\r\nX-Real-Port: 4711\r\n"),
            "0");
  for (const std::string bad : {"", "x", "4711x", "70000", "-1"})
    EXPECT_EQ(port_for("X-Real-Ip: 192.0.2.7\r\nX-Real-Port: " + bad + "\r\n"), "0") << bad;
}

TEST(WebSocketRoute, DrainLetsTheEndpointSayGoodbye) {
  TestServer server(route);
  RawClient client(server.port());
  client.send(handshake() + client_frame(2, "abc"));
  client.receive_until(has("cba"));
  server.server().drain(std::chrono::seconds(5));
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_THAT(client.received, HasSubstr("goodbye"));
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace nb::net
