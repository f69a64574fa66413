// PING and WINDOW_UPDATE of the connection, over raw sockets.
#include "net/testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::net {
namespace {
using testing::Frame;
using testing::frame;
using testing::frames;
using testing::goaway;
using testing::RawClient;
using testing::TestServer;

using namespace testing::h2;

constexpr std::uint8_t kEndOfAll = kEndStream | kEndHeaders;
constexpr std::size_t kFirstWindow = 65'535;  // RFC 9113 §6.9.2
constexpr std::size_t kBodyBytes = 200'000;

void large(GrpcRouter& /*grpc*/, HttpRouter& http) {
  http.exact("/large", [](HttpRequest) -> boost::asio::awaitable<HttpResponse> {
    co_return HttpResponse::text(200, std::string(kBodyBytes, 'x'));
  });
  http.exact("/small", [](HttpRequest) -> boost::asio::awaitable<HttpResponse> {
    co_return HttpResponse::text(200, "small");
  });
}

std::string widen(std::uint32_t bytes, std::uint32_t stream = 0) {
  return frame(kWindowUpdate, 0, stream, number(bytes));
}

std::string get(const std::string& path, std::uint32_t stream) {
  return frame(
      kHeaders, kEndOfAll, stream,
      testing::headers(
          {{":method", "GET"}, {":scheme", "http"}, {":path", path}, {":authority", "x"}}));
}

std::size_t data_bytes(const std::string& received) {
  std::size_t sum = 0;
  for (const Frame& each : frames(received))
    if (each.type == kData) sum += each.payload.size();
  return sum;
}

std::vector<std::string> pongs(const std::string& received) {
  std::vector<std::string> out;
  for (const Frame& each : frames(received))
    if (each.type == kPing && each.flags == 1) out.push_back(each.payload);
  return out;
}

/// Past the exchange of SETTINGS.
void greet(RawClient& client, const std::string& settings = {}) {
  client.send(std::string(testing::kPreface) + frame(kSettings, 0, 0, settings));
  client.receive_until([](const std::string& all) { return frames(all).size() >= 2; });
  client.received.clear();
}

TEST(ControlFrames, PingsAreAnsweredAloneInGroupsAndInPieces) {
  const TestServer server(large);
  RawClient client(server.port());
  greet(client);
  const auto answered = [&](std::size_t count) {
    client.receive_until([&](const std::string& all) { return pongs(all).size() >= count; });
    return pongs(client.received);
  };
  client.send(frame(kPing, 0, 0, "number 1"));
  EXPECT_THAT(answered(1), ::testing::ElementsAre("number 1"));
  client.send(widen(1) + frame(kPing, 0, 0, "number 2") + widen(1) +
              frame(kPing, 0, 0, "number 3"));
  EXPECT_THAT(answered(3), ::testing::UnorderedElementsAre("number 1", "number 2", "number 3"));
  for (const char c : widen(1) + frame(kPing, 0, 0, "number 4")) client.send({&c, 1});
  EXPECT_EQ(answered(4).back(), "number 4");
  client.send(frame(kPing, 0, 0, "number 5") + get("/small", 1));
  client.receive_until(
      [](const std::string& all) { return all.find("small") != std::string::npos; });
  EXPECT_THAT(pongs(client.received), ::testing::Contains("number 5"));
}

TEST(ControlFrames, OneThatAcknowledgesIsNotAnswered) {
  const TestServer server(large);
  RawClient client(server.port());
  greet(client);
  client.send(frame(kPing, 1, 0, "not mine"));
  client.send(frame(kPing, 0, 0, "this one"));
  client.receive_until([](const std::string& all) { return !pongs(all).empty(); });
  EXPECT_THAT(pongs(client.received), ::testing::ElementsAre("this one"));
}

TEST(ControlFrames, ABodyWaitsForTheWindowOfItsConnectionAndEndsWhenItIsWidened) {
  const TestServer server(large);
  RawClient client(server.port());
  greet(client, std::string("\0\4", 2) + number(1'000'000));  // of each stream
  client.send(get("/large", 1));
  std::size_t allowed = kFirstWindow;
  for (const std::uint32_t step : {1U, 100U, 20'000U, 16'384U, 98'000U}) {
    client.receive_until([&](const std::string& all) { return data_bytes(all) >= allowed; });
    ASSERT_EQ(data_bytes(client.received), allowed);
    client.send(widen(step));
    allowed = std::min(kBodyBytes, allowed + step);
  }
  client.receive_until([&](const std::string& all) { return data_bytes(all) >= kBodyBytes; });
  EXPECT_EQ(data_bytes(client.received), kBodyBytes);
}

TEST(ControlFrames, AWindowThatWasWidenedBeforeItWasNeededIsUsed) {
  const TestServer server(large);
  RawClient client(server.port());
  greet(client, std::string("\0\4", 2) + number(1'000'000));
  client.send(widen(10'000));
  client.send(frame(kPing, 0, 0, "received"));
  client.receive_until([](const std::string& all) { return !pongs(all).empty(); });
  client.send(get("/large", 1));
  client.receive_until(
      [](const std::string& all) { return data_bytes(all) >= kFirstWindow + 10'000; });
  EXPECT_EQ(data_bytes(client.received), kFirstWindow + 10'000);
}

// A read may end anywhere.
TEST(ControlFrames, AWindowIsUsedWhileAFrameOfThePeerHasComeInPart) {
  const TestServer server(large);
  for (const bool header_only : {true, false}) {
    RawClient client(server.port());
    greet(client, std::string("\0\4", 2) + number(1'000'000));
    client.send(widen(10'000) + frame(kPing, 0, 0, "received"));
    client.receive_until([](const std::string& all) { return !pongs(all).empty(); });
    const std::string ping = frame(kPing, 0, 0, "in parts");
    const std::size_t part = header_only ? 5 : 12;
    client.send(get("/large", 1) + ping.substr(0, part));
    client.receive_until([](const std::string& all) {
      return data_bytes(all) >= kFirstWindow + 10'000 || goaway(all).has_value();
    });
    EXPECT_EQ(goaway(client.received), std::nullopt) << part;
    EXPECT_EQ(data_bytes(client.received), kFirstWindow + 10'000) << part;
    client.send(ping.substr(part));
    client.receive_until([](const std::string& all) { return pongs(all).size() >= 2; });
    EXPECT_THAT(pongs(client.received), ::testing::ElementsAre("received", "in parts"));
  }
}

TEST(ControlFrames, WrongOnesEndTheConnectionWithTheErrorOfTheRfc) {
  const struct {
    std::string frames;
    std::uint32_t error;
  } kCases[] = {
      {frame(kPing, 0, 0, "short"), kFrameSizeError},
      {frame(kPing, 0, 1, "12345678"), kProtocolError},
      {widen(0), kProtocolError},
      {frame(kWindowUpdate, 0, 0, "abc"), kFrameSizeError},
      {widen(0x7fff'ffff), kFlowControlError},
      {widen(0x4000'0000) + widen(0x4000'0000), kFlowControlError},
      {widen(5'000) + widen(0x7fff'fff0), kFlowControlError},
  };
  const TestServer server(large);
  for (const auto& each : kCases) {
    RawClient client(server.port());
    greet(client);
    client.send(each.frames);
    EXPECT_TRUE(client.closed_by_peer());
    EXPECT_EQ(goaway(client.received), each.error) << testing::frames(each.frames).size();
  }
}

TEST(ControlFrames, NoneMayComeInTheMiddleOfAHeaderBlock) {  // RFC 9113 §4.3
  const TestServer server(large);
  const std::string block = testing::headers(
      {{":method", "GET"}, {":scheme", "http"}, {":path", "/small"}, {":authority", "x"}});
  for (const std::string& between : {frame(kPing, 0, 0, "12345678"), widen(1)}) {
    for (const bool in_pieces : {false, true}) {
      RawClient client(server.port());
      greet(client);
      const std::string first = frame(kHeaders, 1, 1, block.substr(0, 3));
      const std::string rest = between + frame(9, kEndHeaders, 1, block.substr(3));
      if (in_pieces) {
        client.send(frame(kPing, 0, 0, "received") + first);
        client.receive_until([](const std::string& all) { return !pongs(all).empty(); });
        client.send(rest);
      } else {
        client.send(first + rest);
      }
      EXPECT_TRUE(client.closed_by_peer());
      EXPECT_EQ(goaway(client.received), kProtocolError) << in_pieces;
    }
  }
}

TEST(ControlFrames, AFloodOfEitherEndsTheConnection) {
  ServerConfig config;
  config.limits.control_frames_max = 500;
  const TestServer server(large, config);
  for (const std::string& one : {frame(kPing, 0, 0, "12345678"), widen(1)}) {
    RawClient client(server.port());
    greet(client);
    for (int i = 0; i < 1'000 && client.send(one); ++i) {
    }
    EXPECT_TRUE(client.closed_by_peer());
    EXPECT_EQ(goaway(client.received), kEnhanceYourCalm);
  }
  EXPECT_EQ(server.metric("netbird_net_connections_closed_total", "flood"), 2);
}

}  // namespace
}  // namespace nb::net
