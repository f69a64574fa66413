// What RFC 9113 wants of a server, frame by frame, over raw sockets. h2spec (`./dev conformance`)
// asks for much of it again; here stand the cases that it leaves out or that once were wrong.
#include "net/testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::net {
namespace {
using namespace std::chrono_literals;
using testing::Frame;
using testing::frame;
using testing::frames;
using testing::goaway;
using testing::hello;
using testing::RawClient;
using testing::TestServer;

using namespace testing::h2;

using Fields = std::vector<std::pair<std::string, std::string>>;

std::string setting(std::uint16_t id, std::uint32_t value) {
  return std::string{static_cast<char>(id >> 8), static_cast<char>(id)} + number(value);
}

std::string post_fields(Fields more = {}) {
  Fields fields{{":method", "POST"}, {":scheme", "http"}, {":path", "/echo"}, {":authority", "x"}};
  for (auto& field : more) fields.push_back(std::move(field));
  return testing::headers(fields);
}

std::string post(std::uint32_t stream, std::uint8_t flags = kEndHeaders, Fields more = {}) {
  return frame(kHeaders, flags, stream, post_fields(std::move(more)));
}

std::string get(std::uint32_t stream, const std::string& path, Fields more = {}) {
  Fields fields{{":method", "GET"}, {":scheme", "http"}, {":path", path}, {":authority", "x"}};
  for (auto& field : more) fields.push_back(std::move(field));
  return frame(kHeaders, kEndHeaders | kEndStream, stream, testing::headers(fields));
}

/// /echo answers the body, /cookies the header, /large 200,000 bytes; /s.S/Quiet is a stream that
/// says nothing, /s.S/Echo a unary call.
void routes(GrpcRouter& grpc, HttpRouter& http) {
  struct Quiet final : GrpcStreamHandler {
    void on_start(GrpcCall&) override {}
    void on_message(GrpcCall&, std::string_view) override {}
    void on_end(GrpcCall&) override {}
  };
  grpc.stream("/s.S/Quiet", [](GrpcCall&) { return std::make_unique<Quiet>(); });
  http.exact("/echo", [](HttpRequest request) -> boost::asio::awaitable<HttpResponse> {
    co_return HttpResponse::text(200, "echo " + request.body + ".");
  });
  grpc.unary("/s.S/Echo", [](GrpcCall& call, std::string_view message) {
    call.write(message);
    call.finish({});
  });
  http.exact("/cookies", [](HttpRequest request) -> boost::asio::awaitable<HttpResponse> {
    co_return HttpResponse::text(200, "cookies " + std::string(request.header("cookie")) + ".");
  });
  http.exact("/large", [](HttpRequest) -> boost::asio::awaitable<HttpResponse> {
    co_return HttpResponse::text(200, std::string(200'000, 'x'));
  });
}

/// The headers of a gRPC call.
std::string call(std::uint32_t stream, const std::string& path) {
  return frame(kHeaders, kEndHeaders, stream,
               testing::headers({{":method", "POST"},
                                 {":scheme", "http"},
                                 {":path", path},
                                 {":authority", "x"},
                                 {"content-type", "application/grpc"}}));
}

std::string quiet(std::uint32_t stream) {
  return call(stream, "/s.S/Quiet");
}

std::string unary(std::uint32_t stream) {
  return call(stream, "/s.S/Echo");
}

/// Error code of the RST_STREAM of a stream, if it has come.
std::optional<std::uint32_t> reset_of(const std::string& received, std::uint32_t stream) {
  for (const Frame& each : frames(received)) {
    if (each.type != kRstStream || each.stream != stream) continue;
    std::uint32_t code = 0;
    for (const char c : each.payload) code = code << 8U | static_cast<unsigned char>(c);
    return code;
  }
  return std::nullopt;
}

std::string body_of(const std::string& received, std::uint32_t stream) {
  std::string out;
  for (const Frame& each : frames(received))
    if (each.type == kData && each.stream == stream) out += each.payload;
  return out;
}

bool ended(const std::string& received, std::uint32_t stream) {
  for (const Frame& each : frames(received)) {
    const bool of_it = each.stream == stream && (each.type == kData || each.type == kHeaders);
    if (of_it && (each.flags & kEndStream) != 0) return true;
  }
  return false;
}

std::string answer_to(RawClient& client, std::uint32_t stream) {
  client.receive_until([&](const std::string& all) {
    return ended(all, stream) || goaway(all).has_value() || reset_of(all, stream).has_value();
  });
  return body_of(client.received, stream);
}

std::optional<std::uint32_t> error_after(const std::string& bytes) {
  const TestServer server(routes);
  RawClient client(server.port());
  client.send(hello() + bytes);
  EXPECT_TRUE(client.closed_by_peer());
  return goaway(client.received);
}

std::optional<std::uint32_t> stream_error_after(const std::string& bytes,
                                                std::uint32_t stream = 1) {
  const TestServer server(routes);
  RawClient client(server.port());
  client.send(hello() + bytes);
  client.receive_until([&](const std::string& all) {
    return reset_of(all, stream).has_value() || goaway(all).has_value();
  });
  EXPECT_EQ(goaway(client.received), std::nullopt);
  return reset_of(client.received, stream);
}

// --- frames ------------------------------------------------------------------------------------

TEST(Http2Frames, MayComeByteByByte) {
  const TestServer server(routes);
  RawClient client(server.port());
  const std::string bytes = hello() + post(1, kEndHeaders, {{"x-long", std::string(300, 'v')}}) +
                            frame(kData, kPadded, 1, std::string("\3ab\0\0\0", 6)) +
                            frame(kPing, 0, 0, "12345678") + frame(kData, kEndStream, 1, "c");
  for (const char c : bytes) ASSERT_TRUE(client.send({&c, 1}));
  EXPECT_EQ(answer_to(client, 1), "echo abc.");
}

TEST(Http2Frames, AHeaderBlockMayBeCutAnywhere) {
  const TestServer server(routes);
  const std::string block = post_fields({{"x-long", std::string(300, 'v')}});
  RawClient client(server.port());
  client.send(hello());
  std::uint32_t stream = 1;
  for (std::size_t at = 0; at <= block.size(); at += 7, stream += 2) {
    client.received.clear();
    const std::string priority("\0\0\0\0\x10", 5);
    client.send(frame(kHeaders, kEndStream | kPriority | kPadded, stream,
                      std::string("\2", 1) + priority + block.substr(0, at) + "zz") +
                frame(kContinuation, 0, stream) +
                frame(kContinuation, kEndHeaders, stream, block.substr(at)));
    ASSERT_EQ(answer_to(client, stream), "echo .") << at;
  }
}

TEST(Http2Frames, OfUnknownTypesAreIgnored) {  // RFC 9113 §5.5
  const TestServer server(routes);
  RawClient client(server.port());
  client.send(hello() + frame(0x42, 0xff, 0, "what") + frame(0x42, 0, 1, "is it") +
              get(1, "/echo"));
  EXPECT_EQ(answer_to(client, 1), "echo .");
}

TEST(Http2Frames, ThatMakeNoSenseEndTheConnection) {
  const std::string request = get(1, "/echo");
  EXPECT_EQ(error_after(frame(kData, 0, 0, "x")), kProtocolError);
  EXPECT_EQ(error_after(frame(kData, 0, 1, "x")), kProtocolError) << "an idle stream";
  EXPECT_EQ(error_after(frame(kData, 0, 2, "x")), kProtocolError) << "a stream of the server's";
  EXPECT_EQ(error_after(post(1) + frame(kData, kPadded, 1)), kFrameSizeError);
  EXPECT_EQ(error_after(post(1) + frame(kData, kPadded, 1, "\3ab")), kProtocolError);
  EXPECT_EQ(error_after(get(0, "/echo")), kProtocolError);
  EXPECT_EQ(error_after(get(2, "/echo")), kProtocolError);
  EXPECT_EQ(error_after(frame(kHeaders, kPadded, 1)), kFrameSizeError);
  EXPECT_EQ(error_after(frame(kHeaders, kPadded | kEndHeaders, 1, "\x05zz")), kProtocolError);
  EXPECT_EQ(error_after(frame(kHeaders, kPriority, 1, "abcd")), kFrameSizeError);
  EXPECT_EQ(error_after(frame(kHeaders, kEndHeaders, 1, "\x80")), kCompressionError);
  EXPECT_EQ(error_after(frame(kContinuation, kEndHeaders, 1)), kProtocolError);
  EXPECT_EQ(error_after(frame(2, 0, 1, "abcd")), kFrameSizeError) << "PRIORITY";
  EXPECT_EQ(error_after(frame(2, 0, 0, "abcde")), kProtocolError);
  EXPECT_EQ(error_after(frame(kRstStream, 0, 1, number(8))), kProtocolError) << "an idle stream";
  EXPECT_EQ(error_after(request + frame(kRstStream, 0, 1, "abc")), kFrameSizeError);
  EXPECT_EQ(error_after(frame(kSettings, 0, 1)), kProtocolError);
  EXPECT_EQ(error_after(frame(kSettings, 0, 0, "abc")), kFrameSizeError);
  EXPECT_EQ(error_after(frame(kSettings, 1, 0, setting(1, 1))), kFrameSizeError);
  EXPECT_EQ(error_after(frame(kSettings, 0, 0, setting(2, 2))), kProtocolError);
  EXPECT_EQ(error_after(frame(kSettings, 0, 0, setting(4, 0x8000'0000))), kFlowControlError);
  EXPECT_EQ(error_after(frame(kSettings, 0, 0, setting(5, 16'383))), kProtocolError);
  EXPECT_EQ(error_after(frame(kSettings, 0, 0, setting(5, 1U << 24U))), kProtocolError);
  EXPECT_EQ(error_after(frame(5, 0, 1, "pushed")), kProtocolError) << "PUSH_PROMISE";
  EXPECT_EQ(error_after(frame(kGoaway, 0, 1, "12345678")), kProtocolError);
  EXPECT_EQ(error_after(frame(kGoaway, 0, 0, "1234567")), kFrameSizeError);
  EXPECT_EQ(error_after(frame(kWindowUpdate, 0, 1, number(1))), kProtocolError) << "idle";
  EXPECT_EQ(error_after(post(1) + std::string("\0\x40\x01\0\0\0\0\0\1", 9)), kFrameSizeError);
}

TEST(Http2Frames, TheFirstOneMustBeSettings) {  // RFC 9113 §3.4
  const TestServer server(routes);
  for (const std::string& first :
       {frame(kPing, 0, 0, "12345678"), frame(kSettings, 1, 0), get(1, "/echo")}) {
    RawClient client(server.port());
    client.send(std::string(testing::kPreface) + first);
    EXPECT_TRUE(client.closed_by_peer());
    EXPECT_EQ(goaway(client.received), kProtocolError);
  }
}

TEST(Slowloris, AnyFrameThatDoesNotGoOnIsCutOff) {
  ServerConfig config;
  config.limits.header_timeout = 100ms;
  const TestServer server(routes, config);
  RawClient client(server.port());
  client.send(hello() + frame(kPing, 0, 0, "12345678").substr(0, 12));
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_EQ(goaway(client.received), kEnhanceYourCalm);
}

// A read may always end in the middle of a frame: of somebody who sends all the time, too.
TEST(Slowloris, WhoGoesOnIsNotCutOffThoughEachReadEndsInAFrame) {
  ServerConfig config;
  config.limits.header_timeout = 1s;  // so long nobody stands still on a busy machine
  const TestServer server(routes, config);
  RawClient client(server.port());
  const std::string ping = frame(kPing, 0, 0, "12345678");
  client.send(hello() + ping.substr(0, 12));
  const auto pongs = [](const std::string& all) {
    std::size_t count = 0;
    for (const Frame& each : frames(all)) count += each.type == kPing ? 1 : 0;
    return count;
  };
  const auto until = std::chrono::steady_clock::now() + 2'500ms;
  for (std::size_t sent = 1; std::chrono::steady_clock::now() < until; ++sent) {
    ASSERT_TRUE(client.send(ping.substr(12) + ping.substr(0, 12)));
    client.receive_until([&](const std::string& all) { return pongs(all) >= sent; });
    ASSERT_EQ(pongs(client.received), sent);
  }
}

// --- streams -----------------------------------------------------------------------------------

TEST(Http2Streams, AMalformedRequestIsResetAndTheConnectionGoesOn) {  // RFC 9113 §8.1.1
  const auto of = [](Fields fields) {
    return stream_error_after(
        frame(kHeaders, kEndHeaders | kEndStream, 1, testing::headers(fields)));
  };
  const Fields good{{":method", "GET"}, {":scheme", "http"}, {":path", "/echo"}};
  const auto with = [&](std::string name, std::string value) {
    Fields fields = good;
    fields.emplace_back(std::move(name), std::move(value));
    return of(fields);
  };
  EXPECT_EQ(of({{":method", "GET"}, {":scheme", "http"}}), kProtocolError);
  EXPECT_EQ(of({{":method", "GET"}, {":path", "/echo"}}), kProtocolError);
  EXPECT_EQ(of({{":method", "GET"}, {":scheme", "http"}, {":path", ""}}), kProtocolError);
  EXPECT_EQ(of({{":method", "GET"}, {":scheme", "http"}, {":path", "echo"}}), kProtocolError);
  EXPECT_EQ(with(":path", "/echo"), kProtocolError) << "twice";
  EXPECT_EQ(with(":status", "200"), kProtocolError);
  EXPECT_EQ(with("Upper", "x"), kProtocolError);
  EXPECT_EQ(with("x", "a\nb"), kProtocolError);
  EXPECT_EQ(with("connection", "close"), kProtocolError);
  EXPECT_EQ(with("transfer-encoding", "chunked"), kProtocolError);
  EXPECT_EQ(with("te", "gzip"), kProtocolError);
  EXPECT_EQ(with("content-length", "5"), kProtocolError) << "and no body";
  EXPECT_EQ(with("content-length", "-1"), kProtocolError);
  EXPECT_EQ(of({{"x", "y"}, {":method", "GET"}, {":scheme", "http"}, {":path", "/"}}),
            kProtocolError);
  EXPECT_EQ(of({{":method", "CONNECT"}, {":scheme", "http"}, {":path", "/"}}), kProtocolError);
}

TEST(Http2Streams, ABodyIsAsLongAsItsContentLength) {
  const Fields four{{"content-length", "4"}};
  EXPECT_EQ(stream_error_after(post(1, kEndHeaders, four) + frame(kData, kEndStream, 1, "abc")),
            kProtocolError);
  EXPECT_EQ(stream_error_after(post(1, kEndHeaders, four) + frame(kData, 0, 1, "abcde")),
            kProtocolError);
  const std::string trailers =
      frame(kHeaders, kEndHeaders | kEndStream, 1, testing::headers({{"x", "y"}}));
  EXPECT_EQ(stream_error_after(post(1, kEndHeaders, four) + frame(kData, 0, 1, "abc") + trailers),
            kProtocolError);
  const TestServer server(routes);
  RawClient client(server.port());
  client.send(hello() + post(1, kEndHeaders, four) + frame(kData, 0, 1, "abcd") + trailers);
  EXPECT_EQ(answer_to(client, 1), "echo abcd.");
}

// Go's net/http, as in Traefik, ends a stream with an empty frame of its own, so that whole
// messages wait for it: in memory which the next read of any connection overwrites.
TEST(Http2Streams, MessagesOfManyInOneReadStayTheirOwn) {
  const TestServer server(routes, {}, 1);
  RawClient client(server.port());
  client.send(hello());
  client.receive_until([](const std::string& all) { return frames(all).size() >= 2; });
  std::string first;
  std::string ends;
  const auto message = [](std::uint32_t stream) {
    return std::string("\0\0\0\0\x0a", 5) + std::string(10, static_cast<char>('a' + stream));
  };
  for (std::uint32_t stream = 1; stream <= 5; stream += 2) {
    first += unary(stream) + frame(kData, 0, stream, message(stream));
    ends += frame(kData, kEndStream, stream);
  }
  client.send(first + frame(kPing, 0, 0, "received"));
  client.receive_until([](const std::string& all) { return all.find("received") != all.npos; });
  RawClient other(server.port());  // of the same loop
  other.send(hello() + get(1, "/echo", {{"x-long", std::string(9'000, '#')}}));
  EXPECT_EQ(answer_to(other, 1), "echo .");
  client.send(ends);
  for (std::uint32_t stream = 1; stream <= 5; stream += 2)
    EXPECT_EQ(answer_to(client, stream), message(stream));
}

TEST(Http2Streams, CookiesInFieldsOfTheirOwnAreOneHeader) {  // RFC 9113 §8.2.3
  const TestServer server(routes);
  RawClient client(server.port());
  client.send(hello() + get(1, "/cookies", {{"cookie", "a=1"}, {"cookie", "b=2"}}));
  EXPECT_EQ(answer_to(client, 1), "cookies a=1; b=2.");
}

TEST(Http2Streams, ConnectIsNoMistakeButNothingWeServe) {
  const TestServer server(routes);
  RawClient client(server.port());
  client.send(hello() + frame(kHeaders, kEndHeaders | kEndStream, 1,
                              testing::headers({{":method", "CONNECT"}, {":authority", "x:1"}})));
  answer_to(client, 1);
  EXPECT_TRUE(ended(client.received, 1));
  EXPECT_EQ(reset_of(client.received, 1), std::nullopt);
}

std::size_t goaways(const std::string& received) {
  std::size_t count = 0;
  for (const Frame& each : frames(received)) count += each.type == kGoaway ? 1 : 0;
  return count;
}

// The second GOAWAY has told the client that it may ask somebody else.
TEST(Http2Streams, ARequestThatIsWholeOnlyAfterGoawayIsNotServed) {
  ServerConfig config;
  config.limits.age_max = 100ms;
  const TestServer server(routes, config);
  RawClient client(server.port());
  const std::string block = testing::headers(
      {{":method", "GET"}, {":scheme", "http"}, {":path", "/echo"}, {":authority", "x"}});
  client.send(hello() + quiet(1) + frame(kHeaders, kEndStream, 3, block.substr(0, 9)));
  client.receive_until([](const std::string& all) { return goaways(all) >= 2; });
  client.send(frame(kContinuation, kEndHeaders, 3, block.substr(9)) +
              frame(kWindowUpdate, 0, 3, number(1)) + get(5, "/echo") +
              frame(kPing, 0, 0, "received"));
  client.receive_until([](const std::string& all) { return all.find("received") != all.npos; });
  EXPECT_FALSE(ended(client.received, 3));
  EXPECT_EQ(goaways(client.received), 2U);
  client.send(frame(kRstStream, 0, 1, number(8)));
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_FALSE(ended(client.received, 3) || ended(client.received, 5));
}

TEST(Http2Streams, AnAnswerForAWindowThatStaysClosedDoesNotOutliveTheConnectionsAge) {
  ServerConfig config;
  config.limits.age_max = 50ms;
  config.limits.age_grace = 100ms;
  const TestServer server(routes, config);
  RawClient client(server.port());
  client.send(std::string(testing::kPreface) + frame(kSettings, 0, 0, setting(4, 0)) +
              get(1, "/large"));
  EXPECT_TRUE(client.closed_by_peer());
}

TEST(Http2Streams, TrailersMustEndTheStreamAndHaveNoPseudoFields) {
  const std::string plain = testing::headers({{"x", "y"}});
  const std::string pseudo = testing::headers({{":path", "/"}});
  EXPECT_EQ(stream_error_after(post(1) + frame(kHeaders, kEndHeaders, 1, plain)), kProtocolError);
  EXPECT_EQ(stream_error_after(post(1) + frame(kHeaders, kEndHeaders | kEndStream, 1, pseudo)),
            kProtocolError);
}

TEST(Http2Streams, WhatThePeerHasEndedItMayNotGoOnWith) {  // RFC 9113 §5.1
  EXPECT_EQ(stream_error_after(quiet(1) + frame(kData, kEndStream, 1) + frame(kData, 0, 1, "x")),
            kStreamClosed);
  EXPECT_EQ(error_after(quiet(1) + frame(kRstStream, 0, 1, number(8)) + frame(kData, 0, 1, "x")),
            kStreamClosed);
  EXPECT_EQ(error_after(quiet(1) + frame(kRstStream, 0, 1, number(8)) + quiet(1)), kStreamClosed);
  EXPECT_EQ(error_after(quiet(5) + quiet(3)), kProtocolError) << "a lower number";
}

TEST(Http2Streams, AfterOurResetFramesOnTheirWayAreIgnored) {
  const TestServer server(routes);
  RawClient client(server.port());
  client.send(hello() + post(1, kEndHeaders, {{"te", "gzip"}}));
  client.receive_until([](const std::string& all) { return reset_of(all, 1).has_value(); });
  client.send(frame(kData, 0, 1, "abc") + frame(kWindowUpdate, 0, 1, number(1)) +
              frame(kHeaders, kEndHeaders | kEndStream, 1, testing::headers({{"x", "y"}})) +
              frame(kRstStream, 0, 1, number(8)) + get(3, "/echo"));
  EXPECT_EQ(answer_to(client, 3), "echo .");
}

TEST(Http2Streams, TooManyAreRefusedAndMayBeTriedAgain) {
  ServerConfig config;
  config.limits.streams_per_connection_max = 2;
  const TestServer server(routes, config);
  RawClient client(server.port());
  client.send(hello() + quiet(1) + quiet(3) + get(5, "/echo"));
  client.receive_until([](const std::string& all) { return reset_of(all, 5).has_value(); });
  EXPECT_EQ(reset_of(client.received, 5), kRefusedStream);
  client.send(frame(kRstStream, 0, 3, number(8)) + get(7, "/echo"));
  EXPECT_EQ(answer_to(client, 7), "echo .");
}

TEST(Flood, OfRequestsThatWeMustResetEndsTheConnection) {
  ServerConfig config;
  config.limits.resets_max = 100;
  const TestServer server(routes, config);
  RawClient client(server.port());
  client.send(hello());
  for (std::uint32_t id = 1; id < 2'001; id += 2)
    if (!client.send(post(id, kEndHeaders, {{"te", "gzip"}}))) break;
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_EQ(server.metric("netbird_net_connections_closed_total", "flood"), 1);
}

TEST(Flood, OfSettingsInOneFrameEndsTheConnection) {
  std::string many;
  for (std::uint32_t i = 0; i < 33; ++i) many += setting(4, 1'000 + i);
  EXPECT_EQ(error_after(frame(kSettings, 0, 0, many)), kEnhanceYourCalm);
}

TEST(Flood, OfDataThatNobodyWantsEndsTheConnection) {
  ServerConfig config;
  config.limits.control_frames_max = 500;
  const TestServer server(routes, config);
  RawClient client(server.port());
  std::string bytes = hello() + post(1, kEndHeaders, {{"te", "gzip"}});  // which is reset
  for (int i = 0; i < 1'000; ++i) bytes += frame(kData, 0, 1, "x");
  client.send(bytes);
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_EQ(goaway(client.received), kEnhanceYourCalm);
}

// Each answer is headers only and its stream is gone at once, so no limit of streams or of queued
// bodies holds.
TEST(Flood, OfRequestsWhoseAnswersAreNotReadEndsTheConnection) {
  ServerConfig config;
  config.limits.resets_max = 1'000'000;
  const TestServer server(
      [](GrpcRouter& grpc, HttpRouter&) {
        grpc.unary("/s.S/Echo", [](GrpcCall& call, std::string_view) {
          call.finish({Code::kInternal, std::string(8'000, 't')});
        });
      },
      config);
  RawClient client(server.port());
  client.send(hello());
  for (std::uint32_t id = 1; id < 20'001; id += 2)
    client.send(unary(id) + frame(kData, kEndStream, id, std::string("\0\0\0\0\0", 5)) +
                frame(kRstStream, 0, id, number(8)));
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_EQ(server.metric("netbird_net_connections_closed_total", "flood"), 1);
}

TEST(Http2Streams, AfterAGoawayOfThePeerItsRequestsAreAnsweredThenTheConnectionEnds) {
  const TestServer server(routes);
  RawClient client(server.port());
  client.send(hello() + post(1) + frame(kGoaway, 0, 0, number(0) + number(0)));
  client.send(frame(kData, kEndStream, 1, "late"));
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_EQ(body_of(client.received, 1), "echo late.");
  EXPECT_EQ(goaway(client.received), std::nullopt);
}

// --- windows -----------------------------------------------------------------------------------

std::size_t data_bytes(const std::string& received) {
  std::size_t sum = 0;
  for (const Frame& each : frames(received)) sum += each.type == kData ? each.payload.size() : 0;
  return sum;
}

TEST(Http2Windows, OfAStreamHoldItBackAndNobodyElse) {
  const TestServer server(routes);
  RawClient client(server.port());
  client.send(std::string(testing::kPreface) + frame(kSettings, 0, 0, setting(4, 10)) +
              get(1, "/large") + get(3, "/echo"));
  EXPECT_EQ(answer_to(client, 3), "echo .");
  client.receive_until([](const std::string& all) { return body_of(all, 1).size() >= 10; });
  EXPECT_EQ(body_of(client.received, 1).size(), 10U);
  client.send(frame(kWindowUpdate, 0, 1, number(90)));
  client.receive_until([](const std::string& all) { return body_of(all, 1).size() >= 100; });
  EXPECT_EQ(body_of(client.received, 1).size(), 100U);
  client.send(frame(kSettings, 0, 0, setting(4, 1'010)));  // 1,000 more for each stream
  client.receive_until([](const std::string& all) { return body_of(all, 1).size() >= 1'100; });
  EXPECT_EQ(body_of(client.received, 1).size(), 1'100U);
}

TEST(Http2Windows, MayBeMadeSmallerThanWhatWasUsed) {  // RFC 9113 §6.9.2
  const TestServer server(routes);
  RawClient client(server.port());
  client.send(std::string(testing::kPreface) + frame(kSettings, 0, 0, setting(4, 1'000)) +
              get(1, "/large"));
  client.receive_until([](const std::string& all) { return data_bytes(all) >= 1'000; });
  client.send(frame(kSettings, 0, 0, setting(4, 0)) +  // now at -1,000
              frame(kWindowUpdate, 0, 1, number(1'000)) + frame(kPing, 0, 0, "12345678"));
  client.receive_until([](const std::string& all) {
    const auto got = frames(all);
    return !got.empty() && got.back().type == kPing;
  });
  EXPECT_EQ(data_bytes(client.received), 1'000U);
  client.send(frame(kWindowUpdate, 0, 1, number(5)));
  client.receive_until([](const std::string& all) { return data_bytes(all) >= 1'005; });
  EXPECT_EQ(data_bytes(client.received), 1'005U);
}

TEST(Http2Windows, AnEmptyAnswerNeedsNone) {
  const TestServer server([](GrpcRouter& grpc, HttpRouter&) {
    grpc.unary("/s.S/M", [](GrpcCall& call, std::string_view) {
      call.send_headers({});
      call.finish({});
    });
  });
  RawClient client(server.port());
  client.send(std::string(testing::kPreface) + frame(kSettings, 0, 0, setting(4, 0)) +
              call(1, "/s.S/M") + frame(kData, kEndStream, 1, std::string("\0\0\0\0\0", 5)));
  answer_to(client, 1);
  EXPECT_TRUE(ended(client.received, 1));
}

TEST(Http2Windows, ThatGrowTooLargeAreAnError) {
  EXPECT_EQ(stream_error_after(quiet(1) + frame(kWindowUpdate, 0, 1, number(0x7fff'ffff))),
            kFlowControlError);
  EXPECT_EQ(stream_error_after(quiet(1) + frame(kWindowUpdate, 0, 1, number(0))), kProtocolError);
  EXPECT_EQ(error_after(quiet(1) + frame(kWindowUpdate, 0, 1, number(0x7fff'0000)) +
                        frame(kSettings, 0, 0, setting(4, 0x7fff'ffff))),
            kFlowControlError);
}

std::size_t window_updates(const std::string& received, std::uint32_t stream) {
  std::size_t count = 0;
  for (const Frame& each : frames(received))
    count += each.type == kWindowUpdate && each.stream == stream ? 1 : 0;
  return count;
}

TEST(Http2Windows, AreGivenBackWhileABodyIsRead) {
  const TestServer server(routes);
  RawClient client(server.port());
  std::string bytes = post(1);
  for (int i = 0; i < 5; ++i) bytes += frame(kData, 0, 1, std::string(16'000, 'x'));
  // 80,000 bytes, of which 65,535 are allowed at once; as many will come back.
  client.send(std::string(testing::kPreface) + frame(kSettings, 0, 0, setting(4, 100'000)) +
              frame(kWindowUpdate, 0, 0, number(100'000)) + bytes);
  client.receive_until([](const std::string& all) {
    return (window_updates(all, 0) > 0 && window_updates(all, 1) > 0) || goaway(all).has_value();
  });
  EXPECT_EQ(goaway(client.received), std::nullopt);
  client.send(frame(kData, kEndStream, 1));
  EXPECT_EQ(answer_to(client, 1).size(), 80'000 + std::string_view("echo .").size());
}

// Who does not read what a stream says gets no window of it; and may not send without one.
TEST(Http2Windows, OfACongestedStreamStaysClosedAndIsHeld) {
  const TestServer server([](GrpcRouter& grpc, HttpRouter&) {
    struct Talker final : GrpcStreamHandler {
      void on_start(GrpcCall& call) override { call.write(std::string(300'000, 't')); }
      void on_message(GrpcCall&, std::string_view) override {}
      void on_end(GrpcCall&) override {}
    };
    grpc.stream("/s.S/Quiet", [](GrpcCall&) { return std::make_unique<Talker>(); });
  });
  RawClient client(server.port());
  client.send(std::string(testing::kPreface) + frame(kSettings, 0, 0, setting(4, 0)) + quiet(1));
  std::string messages;  // of 100 bytes each
  for (int i = 0; i < 700; ++i) messages += std::string("\0\0\0\0\x5f", 5) + std::string(95, 'm');
  for (std::size_t at = 0; at < messages.size(); at += 10'000)
    client.send(frame(kData, 0, 1, messages.substr(at, 10'000)));
  client.receive_until([](const std::string& all) {
    return reset_of(all, 1).has_value() || goaway(all).has_value();
  });
  EXPECT_EQ(reset_of(client.received, 1), kFlowControlError);
  EXPECT_EQ(window_updates(client.received, 1), 0U);
}

}  // namespace
}  // namespace nb::net
