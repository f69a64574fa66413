// HTTP/1.1, HTTP/2 without gRPC, limits and abuse, over raw sockets.
#include "net/server.h"

#include "net/ops.h"
#include "net/testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/counter.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <filesystem>
#include <future>
#include <iterator>
#include <memory>
#include <vector>

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

constexpr std::size_t kHuge = 30'000'000;  // more than sockets hold

void huge(GrpcRouter& grpc, HttpRouter& http) {
  echo(grpc, http);
  http.exact("/huge", [](HttpRequest) -> boost::asio::awaitable<HttpResponse> {
    co_return HttpResponse::text(200, std::string(kHuge, 'x'));
  });
}

TEST(Http1, WhoTakesNothingOfItsAnswerIsGone) {
  ServerConfig config;
  config.limits.idle_timeout = 200ms;
  const TestServer server(huge, config);
  RawClient client(server.port());
  client.send(get("/huge"));
  EXPECT_TRUE(testing::eventually(
      [&] { return server.metric("netbird_net_connections_closed_total", "keepalive") == 1; }));
}

// What was sent of an answer before the request for an upgrade came is not sent again.
TEST(Http1, AnUpgradeMayBeAskedForWhileAnAnswerIsHalfSent) {
  const TestServer server(huge);
  for (const bool right : {true, false}) {
    RawClient client(server.port());
    client.send("GET /huge HTTP/1.1\r\nHost: x\r\n\r\n");
    client.receive_until([](const std::string& all) { return !all.empty(); });
    client.send(
        "GET /echo/exact HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        "Upgrade: h2c\r\nHTTP2-Settings: " +
        std::string(right ? "AAMAAABkAAQAAP__" : "AAAA") + "\r\n\r\n");
    const std::string end = right ? "HTTP/1.1 101 " : "HTTP/1.1 400 ";
    client.receive_until([&](const std::string& all) {
      return all.size() > kHuge && all.find(end, kHuge) != std::string::npos;
    });
    const auto begun = client.received.find("\r\n\r\n") + 4;
    EXPECT_EQ(client.received.find(end), begun + kHuge) << end;
  }
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

std::ptrdiff_t open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

TEST(Limits, AConnectionThatAForkedChildHasAsWellIsForgottenWhenItIsClosed) {
  const TestServer server(echo);
  RawClient client(server.port());
  ASSERT_TRUE(client.send("GET /echo/exact HTTP/1.1\r\nHost: x\r\n\r\n"));
  client.receive_until([](const std::string& got) { return got.ends_with("exact"); });
  const std::ptrdiff_t before = open_descriptors();
  const pid_t child = ::fork();  // until it runs another program it has all our descriptors
  if (child == 0) {
    for (;;) ::pause();
  }
  ASSERT_TRUE(client.send(get("/echo/exact")));
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_TRUE(eventually([&] { return open_descriptors() == before - 1; }));
  client.send("the child's end of it is readable");
  EXPECT_THAT(ask(server, get("/echo/exact")), EndsWith("exact"));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
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

TEST(Drain, WhoWaitsToBeAcceptedIsServed) {
  TestServer server([](GrpcRouter&, HttpRouter&) {}, {}, 1);
  std::promise<void> go;
  server.loops().at(0).post([&] { go.get_future().wait(); });
  constexpr int kClients = 100;  // more than a turn accepts
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port()));
    ASSERT_TRUE(clients.back()->send(hello()));
  }
  auto drained = std::async(std::launch::async, [&] { server.server().drain(10s); });
  go.set_value();
  for (const auto& client : clients) {
    client->receive_until([](const std::string& all) { return goaway(all).has_value(); });
    EXPECT_TRUE(goaway(client->received).has_value());
  }
  clients.clear();
  drained.get();
}

}  // namespace
}  // namespace nb::net
