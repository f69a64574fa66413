// WebSocket tunnels: a gRPC call made by hand inside binary frames.
#include "net/grpc_wire.h"
#include "net/testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::net {
namespace {
using testing::client_frame;
using testing::eventually;
using testing::frame;
using testing::hello;
using testing::RawClient;
using ::testing::StartsWith;
using testing::TestServer;

ServerConfig with_tunnel() {
  ServerConfig config;
  config.grpc_tunnel_paths = {"/ws-proxy/signal"};
  return config;
}

void echo(GrpcRouter& grpc, HttpRouter&) {
  grpc.unary("/s.S/Echo", [](GrpcCall& call, std::string_view request) {
    call.write(request);
    call.finish({});
  });
}

std::string handshake(const std::string& path = "/ws-proxy/signal",
                      const std::string& version = "13") {
  return "GET " + path +
         " HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
         "Origin: https://anywhere.example\r\nSec-WebSocket-Version: " +
         version + "\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
}

/// Payload of the server's binary frames after the handshake; `close` gets the close code.
std::string tunnelled(const std::string& bytes, int* close = nullptr,
                      std::size_t* largest = nullptr) {
  std::string out;
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string::npos) return out;
  std::string_view rest = std::string_view(bytes).substr(end + 4);
  while (rest.size() >= 2) {
    const auto opcode = static_cast<unsigned char>(rest[0]) & 0x0f;
    std::size_t size = static_cast<unsigned char>(rest[1]) & 0x7f;
    std::size_t head = 2;
    const std::size_t extra = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (rest.size() < head + extra) break;
    if (extra > 0) size = 0;
    for (std::size_t i = 0; i < extra; ++i) {
      size = size << 8 | static_cast<unsigned char>(rest[head + i]);
    }
    head += extra;
    if (rest.size() < head + size) break;
    const std::string_view payload = rest.substr(head, size);
    if (opcode == 2) out += payload;
    if (opcode == 2 && largest != nullptr) *largest = std::max(*largest, size);
    if (opcode == 8 && close != nullptr && size >= 2) {
      *close = static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]);
    }
    rest.remove_prefix(head + size);
  }
  return out;
}

std::string call(std::string_view message) {
  std::string body(5, '\0');
  grpc_wire::put_prefix(reinterpret_cast<std::uint8_t*>(body.data()), false, message.size());
  body += message;
  return hello() +
         frame(1, 4, 1,
               testing::headers({{":method", "POST"},
                                 {":scheme", "http"},
                                 {":path", "/s.S/Echo"},
                                 {":authority", "x"},
                                 {"content-type", "application/grpc"}})) +
         frame(0, 1, 1, body);
}

std::string answer(const std::string& bytes) {
  std::string data;
  bool ended = false;
  for (const auto& each : testing::frames(tunnelled(bytes))) {
    if (each.type == 0 && each.stream == 1) data += each.payload;
    if (each.stream == 1 && (each.flags & 1) != 0) ended = true;
  }
  return ended && data.size() >= 5 ? data.substr(5) : "";
}

TEST(Tunnel, CarriesAGrpcCallInChunksOfAnySize) {
  const TestServer server(echo, with_tunnel());
  for (const std::size_t step : {1UL, 13UL, 1'000'000UL}) {
    RawClient client(server.port());
    std::string bytes = handshake() + client_frame(1, "text is ignored");
    const std::string inner = call("through the tunnel");
    for (std::size_t at = 0; at < inner.size(); at += step) {
      bytes += client_frame(2, inner.substr(at, step));
    }
    client.send(bytes);
    client.receive_until([](const std::string& b) { return !answer(b).empty(); });
    EXPECT_THAT(client.received, StartsWith("HTTP/1.1 101 "));
    EXPECT_EQ(answer(client.received), "through the tunnel");
    EXPECT_EQ(server.metric("wsproxy_active_connections"), 1);
    client.send(client_frame(8, "\x03\xe8"));
    EXPECT_TRUE(client.closed_by_peer());
    int code = 0;
    tunnelled(client.received, &code);
    EXPECT_EQ(code, 1000);
    EXPECT_TRUE(eventually([&] { return server.metric("wsproxy_active_connections") == 0; }));
  }
  EXPECT_GT(server.metric("wsproxy_bytes_transferred_total", "ws_to_grpc"), 0);
  EXPECT_GT(server.metric("wsproxy_bytes_transferred_total", "grpc_to_ws"), 0);
}

TEST(Tunnel, SplitsWhatItSendsAt32KiB) {
  const TestServer server(echo, with_tunnel());
  RawClient client(server.port());
  const std::string message(60'000, 'm');  // within the 64 KiB windows
  std::string inner = call("");
  inner = hello() + frame(1, 4, 1,
                          testing::headers({{":method", "POST"},
                                            {":scheme", "http"},
                                            {":path", "/s.S/Echo"},
                                            {":authority", "x"},
                                            {"content-type", "application/grpc"}}));
  std::string body(5, '\0');
  grpc_wire::put_prefix(reinterpret_cast<std::uint8_t*>(body.data()), false, message.size());
  body += message;
  for (std::size_t at = 0; at < body.size(); at += 16'384) {
    inner += frame(0, at + 16'384 >= body.size() ? 1 : 0, 1, body.substr(at, 16'384));
  }
  client.send(handshake() + client_frame(2, inner));
  client.receive_until([](const std::string& b) { return !answer(b).empty(); });
  EXPECT_EQ(answer(client.received), message);
  std::size_t largest = 0;
  tunnelled(client.received, nullptr, &largest);
  EXPECT_LE(largest, 32'768U);
  EXPECT_GT(largest, 16'384U);
}

TEST(Tunnel, HandshakesThatAreNoneAreRefused) {
  const TestServer server(echo, with_tunnel());
  const auto ask = [&](const std::string& request) {
    RawClient client(server.port());
    client.send(request);
    client.receive_until(
        [](const std::string& b) { return b.find("\r\n\r\n") != std::string::npos; });
    return client.received.substr(0, 13);
  };
  EXPECT_EQ(ask(handshake("/ws-proxy/signal", "12")), "HTTP/1.1 426 ");
  EXPECT_EQ(ask(handshake("/ws-proxy/other")), "HTTP/1.1 404 ");
  std::string without_key = handshake();
  without_key.replace(without_key.find("dGhl"), 4, "====");
  EXPECT_EQ(ask(without_key), "HTTP/1.1 400 ");
  EXPECT_EQ(server.metric("wsproxy_errors_total", "websocket_accept_failed"), 2);
}

TEST(Tunnel, BrokenFramesAndTooLargeMessagesCloseIt) {
  const TestServer server(echo, with_tunnel());
  const auto code_after = [&](const std::string& bytes) {
    RawClient client(server.port());
    client.send(handshake() + bytes);
    EXPECT_TRUE(client.closed_by_peer());
    int code = 0;
    tunnelled(client.received, &code);
    return code;
  };
  EXPECT_EQ(code_after(client_frame(5, "x")), 1002);
  EXPECT_EQ(code_after(client_frame(2, std::string(1'048'577, 'x')).substr(0, 100)), 1009);
  EXPECT_EQ(server.metric("wsproxy_errors_total", "websocket_read_error"), 2);
}

}  // namespace
}  // namespace nb::net
