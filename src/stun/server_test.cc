#include "stun/server.h"

#include "net/address.h"
#include "stun/message.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace nb::stun {
namespace {

using ::testing::HasSubstr;

struct Stun {
  explicit Stun(Options options, std::size_t loop_count = 2)
      : loops(loop_count), server(loops, std::move(options), metrics, Logger()) {
    loops.start();
    started = static_cast<bool>(server.start());
  }
  ~Stun() {
    server.stop();
    loops.stop();
  }
  MetricRegistry registry;
  StunMetrics metrics{registry};
  net::LoopPool loops;
  Server server;
  bool started = false;
};

/// A UDP socket that talks to one port.
class Client {
 public:
  Client(const std::string& to, std::uint16_t port) : v6_(to.find(':') != std::string::npos) {
    fd_ = socket(v6_ ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
    if (v6_) {
      sockaddr_in6 address{};
      address.sin6_family = AF_INET6;
      address.sin6_port = htons(port);
      inet_pton(AF_INET6, to.c_str(), &address.sin6_addr);
      connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    } else {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(port);
      inet_pton(AF_INET, to.c_str(), &address.sin_addr);
      connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    }
  }
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  [[nodiscard]] bool connected() const { return connected_; }
  void send(std::span<const std::uint8_t> bytes) const {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  [[nodiscard]] std::vector<std::uint8_t> receive(int limit_ms = 5'000) const {
    pollfd wait{fd_, POLLIN, 0};
    if (poll(&wait, 1, limit_ms) <= 0) return {};
    std::vector<std::uint8_t> bytes(2'000);
    const ssize_t size = recv(fd_, bytes.data(), bytes.size(), 0);
    bytes.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return bytes;
  }
  [[nodiscard]] net::PeerAddress own() const {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    return net::PeerAddress::from(address);
  }

 private:
  bool v6_;
  int fd_ = -1;
  bool connected_ = false;
};

/// Counted after the answer has left, so a little later than the client has it.
bool becomes(const FastCounter& counter, std::uint64_t wanted) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (counter.value() != wanted && std::chrono::steady_clock::now() < end)
    std::this_thread::yield();
  return counter.value() == wanted;
}

const TransactionId kId = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

TEST(StunServer, TellsEachClientItsAddressOnEveryPort) {
  Stun stun({.listen_address = "127.0.0.1", .ports = {0, 0}});
  ASSERT_TRUE(stun.started);
  ASSERT_EQ(stun.server.ports().size(), 2U);
  EXPECT_NE(stun.server.ports()[0], stun.server.ports()[1]);
  for (const std::uint16_t port : stun.server.ports()) {
    const Client client("127.0.0.1", port);
    client.send(make_request(kId));
    const auto mapped = parse_response(client.receive(), kId);
    ASSERT_TRUE(mapped);
    EXPECT_EQ(mapped->text(), "127.0.0.1");
    EXPECT_EQ(mapped->port, client.own().port);
  }
  EXPECT_TRUE(becomes(stun.metrics.answered, 2));
}

TEST(StunServer, OneDualStackSocketAnswersFromTheAddressThatWasAsked) {
  Stun stun({.listen_address = "::", .ports = {0}});
  if (!stun.started) GTEST_SKIP() << "no IPv6 here";
  // The clients are connected: an answer from any other address would not reach them.
  for (const std::string to : {"127.0.0.1", "127.0.0.2", "127.9.8.7", "::1"}) {
    const Client client(to, stun.server.ports().front());
    if (!client.connected()) continue;
    client.send(make_request(kId));
    const auto mapped = parse_response(client.receive(), kId);
    ASSERT_TRUE(mapped) << to;
    EXPECT_EQ(mapped->text(), client.own().text()) << to;
  }
}

TEST(StunServer, WhatIsNoRequestGetsNoAnswer) {
  Stun stun({.listen_address = "127.0.0.1", .ports = {0}}, 1);
  ASSERT_TRUE(stun.started);
  const Client client("127.0.0.1", stun.server.ports().front());
  auto response = make_request(kId);
  response[0] = 1;
  client.send(response);
  client.send(std::vector<std::uint8_t>(1'500, 0x21));
  client.send(std::vector<std::uint8_t>(3));
  auto last = kId;
  last[0] = 99;
  client.send(make_request(last));
  EXPECT_TRUE(parse_response(client.receive(), last)) << "the first answer is to the last datagram";
  EXPECT_TRUE(becomes(stun.metrics.ignored, 3));
  EXPECT_TRUE(becomes(stun.metrics.answered, 1));
}

TEST(StunServer, AFloodFromOneAddressIsAnsweredAtItsRate) {
  Stun stun(
      {.listen_address = "127.0.0.1", .ports = {0}, .source_per_second = 1, .source_burst = 5}, 1);
  ASSERT_TRUE(stun.started);
  const Client client("127.0.0.1", stun.server.ports().front());
  for (int i = 0; i < 50; ++i) client.send(make_request(kId));
  int answers = 0;
  while (!client.receive(300).empty()) ++answers;
  EXPECT_GE(answers, 5);
  EXPECT_LE(answers, 8);
  EXPECT_TRUE(becomes(stun.metrics.limited, 50U - static_cast<unsigned>(answers)));
}

TEST(StunServer, APortInUseIsAnError) {
  Stun first({.listen_address = "127.0.0.1", .ports = {0}}, 1);
  ASSERT_TRUE(first.started);
  MetricRegistry registry;
  StunMetrics metrics(registry);
  net::LoopPool loops(1);
  Server second(loops, {.listen_address = "127.0.0.1", .ports = first.server.ports()}, metrics, {});
  const auto result = second.start();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kUnavailable);
  EXPECT_THAT(result.error().text, HasSubstr(std::to_string(first.server.ports().front())));
}

}  // namespace
}  // namespace nb::stun
