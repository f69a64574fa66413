// Tables of header compression of peers, over raw sockets.

#include "net/nghttp2_hpack.h"
#include "net/testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::net {
namespace {
using testing::Deflater;
using testing::frame;
using testing::goaway;
using ::testing::HasSubstr;
using testing::hello;
using testing::RawClient;
using testing::TestServer;

/// The block of a request by a peer that never hears of SETTINGS_HEADER_TABLE_SIZE or, with
/// limit(), obeys it from the next block on.
std::string get(Deflater& peer, const std::string& path, const std::string& key) {
  return peer.block({{":method", "GET"},
                     {":scheme", "http"},
                     {":path", path},
                     {":authority", "x"},
                     {"x-key", key}});
}

void echo_key(GrpcRouter& /*grpc*/, HttpRouter& http) {
  http.exact("/key", [](HttpRequest request) -> boost::asio::awaitable<HttpResponse> {
    co_return HttpResponse::text(200, "key " + std::string(request.header("x-key")));
  });
}

/// The first SETTINGS frame asks for a table of this size.
std::optional<std::uint32_t> table_size_asked_for(const std::string& received) {
  const auto all = testing::frames(received);
  if (all.empty() || all[0].type != 4 || all[0].flags != 0) return std::nullopt;
  const std::string& settings = all[0].payload;
  for (std::size_t at = 0; at + 6 <= settings.size(); at += 6) {
    if (settings[at] != 0 || settings[at + 1] != 1) continue;
    std::uint32_t value = 0;
    for (std::size_t i = 2; i < 6; ++i)
      value = value << 8U | static_cast<unsigned char>(settings[at + i]);
    return value;
  }
  return std::nullopt;
}

/// Forty keys that together are twice as large as the table asked for, then each of them again.
void ask_for_keys(RawClient& client, Deflater& peer) {
  std::uint32_t id = 1;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 40; ++i, id += 2) {
      const std::string key = "number-" + std::to_string(100 + i);
      client.received.clear();
      ASSERT_TRUE(client.send(frame(1, 5, id, get(peer, "/key", key))));
      client.receive_until([&](const std::string& all) {
        return all.find("key " + key) != std::string::npos || goaway(all).has_value();
      });
      ASSERT_THAT(client.received, HasSubstr("key " + key)) << "round " << round;
    }
  }
}

ServerConfig small_tables() {
  ServerConfig config;
  config.limits.peer_table_bytes = 1'024;
  return config;
}

void greet(RawClient& client) {
  client.send(hello());
  client.receive_until([](const std::string& all) { return testing::frames(all).size() >= 2; });
}

TEST(Http2Compression, APeerThatIsToldToKeepItsTableSmallMayDoSo) {
  const TestServer server(echo_key, small_tables());
  RawClient client(server.port());
  greet(client);
  const auto size = table_size_asked_for(client.received);
  ASSERT_EQ(size, 1'024U);
  client.send(frame(4, 1, 0));
  Deflater peer;
  peer.limit(*size);
  ask_for_keys(client, peer);
}

// HAProxy and nginx acknowledge the limit and go on as before.
TEST(Http2Compression, APeerThatKeepsItsTableLargeIsUnderstoodAllTheSame) {
  const TestServer server(echo_key, small_tables());
  RawClient client(server.port());
  greet(client);
  client.send(frame(4, 1, 0));
  Deflater peer;
  ask_for_keys(client, peer);
}

enum class Split : std::uint8_t { kNo, kBytes, kFrames };

/// A request whose header block begins with an update of the table to `size`.
void announce(RawClient& client, std::size_t size, Split split = Split::kNo) {
  Deflater peer;
  peer.limit(size);
  const std::string block = get(peer, "/key", "k");
  std::string bytes = frame(1, 5, 1, block);
  // A priority of five bytes, the first byte of the update, and the rest in a frame of its own.
  if (split == Split::kFrames)
    bytes = frame(1, 0x21, 1, std::string("\0\0\0\0\x10", 5) + block.substr(0, 1)) +
            frame(9, 4, 1, block.substr(1));
  const std::size_t step = split == Split::kBytes ? 1 : bytes.size();
  for (std::size_t at = 0; at < bytes.size(); at += step)
    ASSERT_TRUE(client.send(bytes.substr(at, step)));
  client.receive_until([](const std::string& all) {
    return all.find("key k") != std::string::npos || goaway(all).has_value();
  });
}

constexpr std::uint32_t kCompressionError = 9;  // RFC 9113 §7

TEST(Http2Compression, WhoHasHeardTheLimitAndAnnouncesMoreIsWrong) {  // RFC 7541 §4.2
  const TestServer server(echo_key, small_tables());
  for (const std::size_t size : {1'025, 2'000, 4'096}) {
    for (const Split split : {Split::kNo, Split::kBytes, Split::kFrames}) {
      RawClient client(server.port());
      greet(client);
      client.send(frame(4, 1, 0));
      announce(client, size, split);
      EXPECT_EQ(goaway(client.received), kCompressionError) << size;
    }
  }
}

TEST(Http2Compression, WhoAnnouncesNoMoreThanTheLimitIsRight) {
  const TestServer server(echo_key, small_tables());
  for (const std::size_t size : {0, 30, 31, 158, 159, 1'024}) {  // RFC 7541 §5.1: 1, 2, 3 bytes
    for (const Split split : {Split::kNo, Split::kBytes, Split::kFrames}) {
      RawClient client(server.port());
      greet(client);
      client.send(frame(4, 1, 0));
      announce(client, size, split);
      EXPECT_THAT(client.received, HasSubstr("key k")) << size;
    }
  }
}

TEST(Http2Compression, WhoHasNotHeardTheLimitMayAnnounceMore) {
  const TestServer server(echo_key, small_tables());
  RawClient client(server.port());
  greet(client);
  announce(client, 2'000);
  EXPECT_THAT(client.received, HasSubstr("key k"));
}

TEST(Http2Compression, TheDefaultLimitIsNotAnnouncedAndHeld) {
  const TestServer server(echo_key);
  RawClient client(server.port());
  greet(client);
  EXPECT_EQ(table_size_asked_for(client.received), std::nullopt);
  client.send(frame(4, 1, 0));
  announce(client, 4'096);
  EXPECT_THAT(client.received, HasSubstr("key k"));
  RawClient other(server.port());
  greet(other);
  other.send(frame(4, 1, 0));
  other.send(frame(1, 5, 1, "\x3f\xe2\x1f\x82"));  // 4,097 bytes; then :method GET
  other.receive_until([](const std::string& all) { return goaway(all).has_value(); });
  EXPECT_EQ(goaway(other.received), kCompressionError);
}

}  // namespace
}  // namespace nb::net
