// HTTP/1.1, HTTP/2 without gRPC, limits and abuse, over raw sockets.
#include "net/server.h"

#include "base/assert.h"
#include "net/ops.h"
#include "net/testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>
#include <prometheus/counter.h>

namespace nb::net {
namespace {
using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::EndsWith;
using testing::eventually;
using testing::frame;
using testing::goaway;
using ::testing::HasSubstr;
using testing::hello;
using testing::RawClient;
using ::testing::StartsWith;
using testing::TestServer;

void echo(GrpcRouter& grpc, HttpRouter& http) {
  http.prefix("/echo", [](HttpRequest request) -> boost::asio::awaitable<HttpResponse> {
    co_return HttpResponse::text(
        200, request.method + " " + request.path + "?" + request.query + " " + request.body);
  });
  http.exact("/echo/exact", [](HttpRequest) -> boost::asio::awaitable<HttpResponse> {
    co_return HttpResponse::text(200, "exact");
  });
  grpc.unary("/s.S/M", [](GrpcCall& call, std::string_view request) {
    call.write(request);
    call.finish({});
  });
}

/// One request on a connection of its own, closed by the server.
std::string ask(const TestServer& server, const std::string& request) {
  RawClient client(server.port());
  client.send(request);
  EXPECT_TRUE(client.closed_by_peer()) << request;
  return client.received;
}

std::string get(const std::string& path, const std::string& more = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + more + "\r\n";
}

TEST(Http1, RoutesExactFirstThenTheLongestPrefixThen404) {
  const TestServer server(echo);
  EXPECT_THAT(ask(server, get("/echo/exact")), EndsWith("\r\n\r\nexact"));
  EXPECT_THAT(ask(server, get("/echo/other?a=b")), EndsWith("GET /echo/other?a=b "));
  EXPECT_THAT(ask(server, get("/nothing")), StartsWith("HTTP/1.1 404 "));
}

TEST(Http1, HeadHasTheLengthButNoBody) {
  const TestServer server(echo);
  const std::string answer =
      ask(server, "HEAD /echo/exact HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("content-length: 5\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST(Http1, PipelinedRequestsAreAnsweredInOrder) {
  const TestServer server(echo);
  const std::string one = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
  const std::string two =
      "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
      "chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n";
  const std::string answers = ask(server, one + two + get("/echo/exact"));
  const auto first = answers.find("POST /echo? abc");
  const auto second = answers.find("POST /echo? def");
  EXPECT_NE(first, std::string::npos);
  EXPECT_NE(second, std::string::npos);
  EXPECT_LT(first, second);
  EXPECT_THAT(answers, EndsWith("exact"));
}

TEST(Http1, BytesMayArriveOneByOne) {
  const TestServer server(echo);
  RawClient client(server.port());
  for (const char c :
       "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc") {
    if (c == '\0') break;
    ASSERT_TRUE(client.send({&c, 1}));
  }
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_THAT(client.received, EndsWith("POST /echo? abc"));
}

TEST(Http1, AnEmptyChunkedBodyMayArriveByteByByte) {
  const TestServer server(echo);
  RawClient client(server.port());
  const std::string request =
      "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
      "0\r\n\r\n";
  for (std::size_t i = 0; i < request.size(); ++i) ASSERT_TRUE(client.send(request.substr(i, 1)));
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_THAT(client.received, EndsWith("POST /echo? "));
}

TEST(Http1, MalformedAndOversizedRequestsGetTheirStatus) {
  ServerConfig config;
  config.limits.header_bytes_max = 1'000;
  config.limits.body_bytes_max = 100;
  const TestServer server(echo, config);
  const auto post = [](const std::string& more) {
    return "POST /echo HTTP/1.1\r\nHost: x\r\n" + more;
  };
  EXPECT_THAT(ask(server, get("/echo", "X: " + std::string(2'000, 'x') + "\r\n")),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(ask(server, post("Content-Length: 101\r\n\r\n")),
              AllOf(StartsWith("HTTP/1.1 413 "), HasSubstr("access-control-allow-origin: *\r\n")));
  EXPECT_THAT(ask(server, post("Transfer-Encoding: chunked\r\n\r\n65\r\n" + std::string(101, 'x') +
                               "\r\n0\r\n\r\n")),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(ask(server, post("Content-Length: x\r\n\r\n")), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask(server, post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask(server, "GET /echo HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask(server, "GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask(server, "GET /echo HTTP/1.1\r\nHost: a\r\nB ad: b\r\n\r\n"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(ask(server, "INVALID CONNECTION PREFACE\r\n\r\n"), "");
}

TEST(Http1, AnExceptionOfAHandlerIs500AndTheConnectionStays) {
  const TestServer server([](GrpcRouter&, HttpRouter& http) {
    http.exact("/throws", [](HttpRequest) -> boost::asio::awaitable<HttpResponse> {
      throw std::runtime_error("secret");
      co_return HttpResponse{};
    });
    http.exact("/fine", [](HttpRequest) -> boost::asio::awaitable<HttpResponse> {
      co_return HttpResponse::text(200, "fine");
    });
  });
  const std::string answers = ask(server, "GET /throws HTTP/1.1\r\nHost: x\r\n\r\n" + get("/fine"));
  EXPECT_THAT(answers, StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(answers, ::testing::Not(HasSubstr("secret")));
  EXPECT_THAT(answers, EndsWith("fine"));
}

TEST(Http1, ASlowRequestIs408AndASilentConnectionIsClosed) {
  ServerConfig config;
  config.limits.header_timeout = 100ms;
  const TestServer server(echo, config);
  EXPECT_THAT(ask(server, "GET /echo HTTP/1.1\r\nHos"), StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(ask(server, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"),
              StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(ask(server, ""), "");
  EXPECT_EQ(ask(server, "PRI * HTT"), "");  // half a preface
  EXPECT_EQ(server.metric("netbird_net_connections_closed_total", "header_timeout"), 4);
}

TEST(Http1, HeadersOfAResponseCannotBeForgedByAValue) {
  const TestServer server([](GrpcRouter&, HttpRouter& http) {
    http.exact("/", [](HttpRequest) -> boost::asio::awaitable<HttpResponse> {
      auto response = HttpResponse::text(200, "body");
      response.headers.emplace_back("location", "x\r\nset-cookie: stolen");
      co_return response;
    });
  });
  EXPECT_THAT(ask(server, get("/")), ::testing::Not(HasSubstr("set-cookie")));
}

TEST(GrpcMadeWrongly, GetsTheStatusOfItsMistake) {
  ServerConfig config;
  config.unmatched_is_grpc = true;
  const TestServer server(echo, config);
  EXPECT_THAT(ask(server, get("/s.S/M")), StartsWith("HTTP/1.1 505 "));
  // Over HTTP/2 the refusal is told by its body, which is plain text.
  const auto refusal = [&](const std::string& method, const std::string& type) {
    RawClient client(server.port());
    client.send(hello() + frame(1, 5, 1,
                                testing::headers({{":method", method},
                                                  {":scheme", "http"},
                                                  {":path", "/s.S/M"},
                                                  {":authority", "x"},
                                                  {"content-type", type}})));
    const auto body = [](const std::string& bytes) {
      for (const auto& each : testing::frames(bytes)) {
        if (each.type == 0) return each.payload;
      }
      return std::string();
    };
    client.receive_until([&](const std::string& bytes) { return !body(bytes).empty(); });
    return body(client.received);
  };
  EXPECT_EQ(refusal("GET", "application/grpc"), "invalid gRPC request method \"GET\"\n");
  EXPECT_EQ(refusal("POST", "application/json"),
            "invalid gRPC request content-type \"application/json\"\n");
}

TEST(Http2, ATooLargeBodyIsRefusedWhileItArrives) {
  ServerConfig config;
  config.limits.body_bytes_max = 100;
  const TestServer server(echo, config);
  RawClient client(server.port());
  client.send(hello() +
              frame(1, 4, 1,
                    testing::headers({{":method", "POST"},
                                      {":scheme", "http"},
                                      {":path", "/echo"},
                                      {":authority", "x"}})) +
              frame(0, 0, 1, std::string(101, 'x')));
  // The answer is complete although the request is not: HEADERS, DATA, RST_STREAM(NO_ERROR).
  const auto reset = [](const std::string& bytes) {
    for (const auto& each : testing::frames(bytes)) {
      if (each.type == 3) return each.payload == std::string("\0\0\0\0", 4);
    }
    return false;
  };
  client.receive_until(reset);
  EXPECT_TRUE(reset(client.received));
  EXPECT_EQ(server.metric("netbird_net_requests_refused_total", "body"), 1);
}

TEST(Flood, OfPingsEndsTheConnectionWithEnhanceYourCalm) {
  ServerConfig config;
  config.limits.control_frames_max = 500;
  const TestServer server(echo, config);
  RawClient client(server.port());
  std::string pings = hello();
  for (int i = 0; i < 1'000; ++i) pings += frame(6, 0, 0, "12345678");
  client.send(pings);
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_EQ(goaway(client.received), 11U);
  EXPECT_EQ(server.metric("netbird_net_connections_closed_total", "flood"), 1);
}

/// Fields in compressed form, as by a peer that never hears of SETTINGS_HEADER_TABLE_SIZE or, with
/// `limit`, obeys it from the next block on.
class Compressor {
 public:
  Compressor() { NB_ASSERT(nghttp2_hd_deflate_new(&deflater_, 4'096) == 0); }
  ~Compressor() { nghttp2_hd_deflate_del(deflater_); }
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;
  void limit(std::size_t bytes) {
    NB_ASSERT(nghttp2_hd_deflate_change_table_size(deflater_, bytes) == 0);
  }
  std::string get(const std::string& path, std::string key) {
    std::vector<std::pair<std::string, std::string>> fields{{":method", "GET"},
                                                            {":scheme", "http"},
                                                            {":path", path},
                                                            {":authority", "x"},
                                                            {"x-key", std::move(key)}};
    std::vector<nghttp2_nv> pairs;
    for (auto& [name, value] : fields)
      pairs.push_back({reinterpret_cast<std::uint8_t*>(name.data()),
                       reinterpret_cast<std::uint8_t*>(value.data()), name.size(), value.size(),
                       NGHTTP2_NV_FLAG_NONE});
    std::string out(1'024, '\0');
    const auto size = nghttp2_hd_deflate_hd(deflater_, reinterpret_cast<std::uint8_t*>(out.data()),
                                            out.size(), pairs.data(), pairs.size());
    NB_ASSERT(size > 0);
    out.resize(static_cast<std::size_t>(size));
    return out;
  }

 private:
  nghttp2_hd_deflater* deflater_ = nullptr;
};

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
void ask_for_keys(RawClient& client, Compressor& compressor) {
  std::uint32_t id = 1;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 40; ++i, id += 2) {
      const std::string key = "number-" + std::to_string(100 + i);
      client.received.clear();
      ASSERT_TRUE(client.send(frame(1, 5, id, compressor.get("/key", key))));
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
  Compressor compressor;
  compressor.limit(*size);
  ask_for_keys(client, compressor);
}

// HAProxy and nginx acknowledge the limit and go on as before.
TEST(Http2Compression, APeerThatKeepsItsTableLargeIsUnderstoodAllTheSame) {
  const TestServer server(echo_key, small_tables());
  RawClient client(server.port());
  greet(client);
  client.send(frame(4, 1, 0));
  Compressor compressor;
  ask_for_keys(client, compressor);
}

enum class Split : std::uint8_t { kNo, kBytes, kFrames };

/// A request whose header block begins with an update of the table to `size`.
void announce(RawClient& client, std::size_t size, Split split = Split::kNo) {
  Compressor compressor;
  compressor.limit(size);
  const std::string block = compressor.get("/key", "k");
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

TEST(Flood, OfSettingsAndOfEmptyDataEndsTheConnection) {
  ServerConfig config;
  config.limits.control_frames_max = 500;
  const TestServer server(echo, config);
  for (const bool settings : {true, false}) {
    RawClient client(server.port());
    std::string bytes = hello() + frame(1, 4, 1,
                                        testing::headers({{":method", "POST"},
                                                          {":scheme", "http"},
                                                          {":path", "/echo"},
                                                          {":authority", "x"}}));
    for (int i = 0; i < 2'000; ++i) bytes += settings ? frame(4, 0, 0) : frame(0, 0, 1);
    client.send(bytes);
    EXPECT_TRUE(client.closed_by_peer());
    EXPECT_EQ(goaway(client.received), 11U) << settings;
  }
}

TEST(Flood, OfResetsEndsTheConnection) {
  ServerConfig config;
  config.limits.resets_max = 100;
  const TestServer server(echo, config);
  RawClient client(server.port());
  client.send(hello());
  for (std::uint32_t id = 1; id < 2'001; id += 2) {
    if (!client.send(frame(1, 4, id,
                           testing::headers({{":method", "POST"},
                                             {":scheme", "http"},
                                             {":path", "/s.S/M"},
                                             {":authority", "x"},
                                             {"content-type", "application/grpc"}})) +
                     frame(3, 0, id, std::string("\0\0\0\x8", 4)))) {
      break;
    }
  }
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_EQ(server.metric("netbird_net_connections_closed_total", "flood"), 1);
}

TEST(Flood, OfHeaderBytesEndsTheConnection) {
  const TestServer server(echo);
  RawClient client(server.port());
  std::vector<std::pair<std::string, std::string>> fields{
      {":method", "POST"}, {":scheme", "http"}, {":path", "/s.S/M"}, {":authority", "x"}};
  const std::string block = testing::headers(fields);
  std::string bytes = hello() + frame(1, 0, 1, block);
  for (int i = 0; i < 7; ++i) {
    bytes += frame(9, 0, 1, testing::headers({{"x-filler", std::string(16'000, 'x')}}));
  }
  client.send(bytes);
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_TRUE(goaway(client.received).has_value());
}

TEST(Slowloris, AHeaderBlockWithoutEndIsCutOff) {
  ServerConfig config;
  config.limits.header_timeout = 100ms;
  const TestServer server(echo, config);
  RawClient client(server.port());
  client.send(hello() + frame(1, 0, 1, testing::headers({{":method", "POST"}})));
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_EQ(server.metric("netbird_net_connections_closed_total", "header_timeout"), 1);
}

TEST(Idle, AConnectionWithoutStreamsIsEndedOneWithAStreamIsPinged) {
  ServerConfig config;
  config.limits.idle_timeout = 200ms;
  config.limits.keepalive_time = 100ms;
  config.limits.keepalive_timeout = 200ms;
  const TestServer server(
      [](GrpcRouter& grpc, HttpRouter&) {
        struct Quiet final : GrpcStreamHandler {
          void on_start(GrpcCall&) override {}
          void on_message(GrpcCall&, std::string_view) override {}
          void on_end(GrpcCall&) override {}
        };
        grpc.stream("/s.S/Quiet", [](GrpcCall&) { return std::make_unique<Quiet>(); });
      },
      config);
  RawClient idle(server.port());
  idle.send(hello());
  EXPECT_TRUE(idle.closed_by_peer());
  EXPECT_EQ(goaway(idle.received), 0U);

  RawClient busy(server.port());
  busy.send(hello() + frame(1, 4, 1,
                            testing::headers({{":method", "POST"},
                                              {":scheme", "http"},
                                              {":path", "/s.S/Quiet"},
                                              {":authority", "x"},
                                              {"content-type", "application/grpc"}})));
  const auto pings = [&] {
    int count = 0;
    for (const auto& each : testing::frames(busy.received))
      count += each.type == 6 && each.flags == 0;
    return count;
  };
  for (int answered = 0; answered < 3; ++answered) {
    busy.receive_until([&](const std::string&) { return pings() > answered; });
    ASSERT_EQ(pings(), answered + 1);
    busy.send(frame(6, 1, 0, std::string(8, '\0')));
  }
  EXPECT_TRUE(busy.closed_by_peer());  // the fourth goes without an answer
  EXPECT_EQ(server.metric("netbird_net_connections_closed_total", "keepalive"), 1);
}

TEST(Limits, ConnectionsAreCountedInAllAndPerAddress) {
  for (const bool per_address : {true, false}) {
    ServerConfig config;
    (per_address ? config.limits.connections_per_address_max : config.limits.connections_max) = 3;
    const TestServer server(echo, config);
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 3; ++i) {
      clients.push_back(std::make_unique<RawClient>(server.port()));
      clients.back()->send("GET /echo/exact HTTP/1.1\r\nHost: x\r\n\r\n");
      clients.back()->receive_until([](const std::string& b) { return b.ends_with("exact"); });
    }
    RawClient extra(server.port());
    EXPECT_TRUE(extra.closed_by_peer());
    EXPECT_EQ(server.metric("netbird_net_connections_refused_total",
                            per_address ? "address_limit" : "limit"),
              1);
    clients.pop_back();
    EXPECT_TRUE(eventually([&] { return server.metric("netbird_net_connections") == 2; }));
    EXPECT_THAT(ask(server, get("/echo/exact")), EndsWith("exact"));
  }
}

TEST(Upgrade, ToH2cAnswersTheRequestOnStreamOne) {
  const TestServer server(echo);
  RawClient client(server.port());
  client.send(
      "POST /echo/up HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
      "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nContent-Length: 4\r\n\r\nbody" +
      hello());
  const auto data = [](const std::string& bytes) {
    const auto end = bytes.find("\r\n\r\n");
    if (end == std::string::npos) return std::string();
    std::string text;
    for (const auto& each : testing::frames(std::string_view(bytes).substr(end + 4))) {
      if (each.type == 0 && each.stream == 1) text += each.payload;
    }
    return text;
  };
  client.receive_until([&](const std::string& bytes) { return !data(bytes).empty(); });
  EXPECT_THAT(client.received, StartsWith("HTTP/1.1 101 "));
  EXPECT_EQ(data(client.received), "POST /echo/up? body");
}

TEST(Upgrade, WithBrokenSettingsIsRefused) {
  const TestServer server(echo);
  EXPECT_THAT(ask(server,
                  "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                  "Upgrade: h2c\r\nHTTP2-Settings: AAMAAAA\r\n\r\n"),
              StartsWith("HTTP/1.1 400 "));
}

TEST(Listener, APortInUseIsAnErrorEvenWithAnotherOfOurServers) {
  const TestServer server(echo);
  LoopPool loops(1);
  loops.start();
  prometheus::Registry registry;
  Server second(loops, nullptr, nullptr,
                {.listeners = {{.address = "127.0.0.1", .port = server.port()}}}, registry, {});
  const auto started = second.start();
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().code, Code::kUnavailable);
  Server bad(loops, nullptr, nullptr, {.listeners = {{.address = "localhost"}}}, registry, {});
  EXPECT_EQ(bad.start().error().code, Code::kInvalidArgument);
}

TEST(Ops, MetricsHealthAndReadinessAreServed) {
  auto registry = std::make_shared<prometheus::Registry>();
  prometheus::BuildCounter()
      .Name("apples_total")
      .Help("Apples")
      .Register(*registry)
      .Add({})
      .Increment(3);
  std::atomic<bool> ready = true;
  const TestServer server([&](GrpcRouter&, HttpRouter& http) {
    add_ops_routes(http, {.metrics = {registry}, .ready = [&] {
                            return Readiness{.ready = ready, .json = R"({"store":"ok"})"};
                          }});
  });
  EXPECT_THAT(ask(server, get("/metrics")), HasSubstr("apples_total 3"));
  const std::string open =
      ask(server, get("/metrics", "Accept: application/openmetrics-text; version=1.0.0\r\n"));
  EXPECT_THAT(open, HasSubstr("# TYPE apples counter"));
  EXPECT_THAT(open, EndsWith("# EOF\n"));
  EXPECT_THAT(ask(server, get("/healthz")), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(ask(server, get("/readyz")), EndsWith(R"({"store":"ok"})"));
  ready = false;
  EXPECT_THAT(ask(server, get("/readyz")), StartsWith("HTTP/1.1 503 "));
}

TEST(Loops, ManyPostsFromManyThreadsAllRunOnTheirLoop) {
  LoopPool loops(2);
  loops.start();
  std::atomic<int> ran = 0;
  std::atomic<int> astray = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2'000; ++i) {
        Loop& loop = loops.at(static_cast<std::size_t>(i) % 2);
        loop.post([&] {
          if (!loop.running_here()) ++astray;
          ++ran;
        });
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(eventually([&] { return ran == 8'000; }));
  EXPECT_EQ(astray, 0);
}

}  // namespace
}  // namespace nb::net
