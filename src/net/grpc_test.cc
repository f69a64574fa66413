// The gRPC mapping, seen by the official client library.
#include "net/grpc_wire.h"
#include "net/health.h"
#include "net/testing.h"
#include "proto/health.grpc.pb.h"
#include "tests/conformance/interop.grpc.pb.h"
#include "tests/conformance/interop_service.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

namespace nb::net {
namespace {
using namespace std::chrono_literals;
namespace pb = ::grpc::testing;
using testing::eventually;
using testing::TestServer;

std::chrono::system_clock::time_point in(std::chrono::milliseconds time) {
  return std::chrono::system_clock::now() + time;
}

struct Client {
  explicit Client(const TestServer& server, ::grpc::ChannelArguments arguments = {})
      : channel(::grpc::CreateCustomChannel(server.target(), ::grpc::InsecureChannelCredentials(),
                                            arguments)),
        stub(pb::TestService::NewStub(channel)) {}
  std::shared_ptr<::grpc::Channel> channel;
  std::unique_ptr<pb::TestService::Stub> stub;
};

/// A stream that never ends by itself and tells what happened to it.
struct Silent final : GrpcStreamHandler {
  struct Log {
    std::atomic<int> started = 0;
    std::atomic<int> ended = 0;
    std::atomic<int> messages = 0;
  };
  explicit Silent(Log& to) : log(to) {}
  void on_start(GrpcCall& call) override {
    ++log.started;
    call.send_headers({});
  }
  void on_message(GrpcCall&, std::string_view) override { ++log.messages; }
  void on_end(GrpcCall&) override { ++log.ended; }
  Log& log;
};

void interop(GrpcRouter& grpc, HttpRouter& http) {
  conformance::add_test_service(grpc);
  conformance::add_echo_routes(http);
}

TEST(Grpc, UnaryCallsOfEverySizeComeBack) {
  const TestServer server(interop);
  const Client client(server);
  for (const int size : {0, 1, 1000, 65'535, 65'536, 1'000'000, 4'000'000}) {
    ::grpc::ClientContext context;
    pb::SimpleRequest request;
    pb::SimpleResponse response;
    request.mutable_payload()->set_body(std::string(static_cast<std::size_t>(size), 'x'));
    request.set_response_size(size);
    const auto status = client.stub->UnaryCall(&context, request, &response);
    ASSERT_TRUE(status.ok()) << size << ": " << status.error_message();
    EXPECT_EQ(response.payload().body().size(), static_cast<std::size_t>(size));
  }
}

TEST(Grpc, MetadataIsEchoedInHeadersAndTrailersAlsoBinary) {
  const TestServer server(interop);
  const Client client(server);
  ::grpc::ClientContext context;
  context.AddMetadata("x-grpc-test-echo-initial", "initial value");
  const std::string bytes("\0\xff\x10,", 4);
  context.AddMetadata("x-grpc-test-echo-trailing-bin", bytes);
  pb::Empty request;
  pb::Empty response;
  ASSERT_TRUE(client.stub->EmptyCall(&context, request, &response).ok());
  const auto& initial = context.GetServerInitialMetadata();
  ASSERT_EQ(initial.count("x-grpc-test-echo-initial"), 1U);
  EXPECT_EQ(initial.find("x-grpc-test-echo-initial")->second, "initial value");
  const auto& trailing = context.GetServerTrailingMetadata();
  ASSERT_EQ(trailing.count("x-grpc-test-echo-trailing-bin"), 1U);
  const auto value = trailing.find("x-grpc-test-echo-trailing-bin")->second;
  EXPECT_EQ(std::string(value.data(), value.size()), bytes);
}

TEST(Grpc, GzipRequestsAreUnderstoodAndAnswersAreCompressedOnRequest) {
  const TestServer server(interop);
  const Client client(server);
  for (const bool compressed : {true, false}) {
    ::grpc::ClientContext context;
    context.set_compression_algorithm(compressed ? GRPC_COMPRESS_GZIP : GRPC_COMPRESS_NONE);
    pb::SimpleRequest request;
    pb::SimpleResponse response;
    request.mutable_expect_compressed()->set_value(compressed);
    request.mutable_response_compressed()->set_value(compressed);
    request.mutable_payload()->set_body(std::string(271'828, '\0'));
    request.set_response_size(314'159);
    const auto status = client.stub->UnaryCall(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.payload().body().size(), 314'159U);
  }
}

TEST(Grpc, OnlyAnswersThatShouldBeAreCompressedOnTheWire) {
  const TestServer server(interop);
  for (const bool compressed : {true, false}) {
    pb::SimpleRequest request;
    request.mutable_response_compressed()->set_value(compressed);
    request.set_response_size(10'000);
    std::string body(5, '\0');
    const std::string message = request.SerializeAsString();
    grpc_wire::put_prefix(reinterpret_cast<std::uint8_t*>(body.data()), false, message.size());
    testing::RawClient client(server.port());
    client.send(testing::hello() +
                testing::frame(1, 4, 1,
                               testing::headers({{":method", "POST"},
                                                 {":scheme", "http"},
                                                 {":path", "/grpc.testing.TestService/UnaryCall"},
                                                 {":authority", "x"},
                                                 {"content-type", "application/grpc"},
                                                 {"grpc-accept-encoding", "identity,gzip"}})) +
                testing::frame(0, 1, 1, body + message));
    const auto data = [](const std::string& bytes) {
      for (const auto& each : testing::frames(bytes)) {
        if (each.type == 0) return each.payload;
      }
      return std::string();
    };
    client.receive_until([&](const std::string& bytes) { return !data(bytes).empty(); });
    ASSERT_FALSE(data(client.received).empty());
    EXPECT_EQ(data(client.received)[0], compressed ? 1 : 0);
    EXPECT_EQ(data(client.received).size() < 1'000, compressed);
  }
}

TEST(Grpc, AnUncompressedProbeIsToldApart) {
  const TestServer server(interop);
  const Client client(server);
  ::grpc::ClientContext context;
  pb::SimpleRequest request;
  pb::SimpleResponse response;
  request.mutable_expect_compressed()->set_value(true);
  EXPECT_EQ(client.stub->UnaryCall(&context, request, &response).error_code(),
            ::grpc::StatusCode::INVALID_ARGUMENT);
}

TEST(Grpc, StreamsMixCompressedAndPlainMessages) {
  const TestServer server(interop);
  const Client client(server);
  ::grpc::ClientContext context;
  pb::StreamingOutputCallRequest request;
  for (const auto& [size, compressed] : {std::pair{31'415, true}, {92'653, false}}) {
    auto* parameters = request.add_response_parameters();
    parameters->set_size(size);
    parameters->mutable_compressed()->set_value(compressed);
  }
  const auto reader = client.stub->StreamingOutputCall(&context, request);
  pb::StreamingOutputCallResponse response;
  std::vector<std::size_t> sizes;
  while (reader->Read(&response)) sizes.push_back(response.payload().body().size());
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_THAT(sizes, ::testing::ElementsAre(31'415U, 92'653U));
}

TEST(Grpc, TheDeadlineOfTheCallerEndsTheCallAtTheServerToo) {
  Silent::Log log;
  const TestServer server([&](GrpcRouter& grpc, HttpRouter&) {
    grpc.stream("/grpc.testing.TestService/FullDuplexCall",
                [&](GrpcCall&) { return std::make_unique<Silent>(log); });
  });
  const Client client(server);
  ::grpc::ClientContext context;
  context.set_deadline(in(100ms));
  const auto stream = client.stub->FullDuplexCall(&context);
  EXPECT_EQ(stream->Finish().error_code(), ::grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(eventually([&] { return log.ended == 1; }));
}

TEST(Grpc, CancellationByTheClientEndsTheHandlerOnce) {
  Silent::Log log;
  const TestServer server([&](GrpcRouter& grpc, HttpRouter&) {
    grpc.stream("/grpc.testing.TestService/FullDuplexCall",
                [&](GrpcCall&) { return std::make_unique<Silent>(log); });
  });
  const Client client(server);
  ::grpc::ClientContext context;
  const auto stream = client.stub->FullDuplexCall(&context);
  stream->WaitForInitialMetadata();
  EXPECT_EQ(log.ended, 0);
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), ::grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(eventually([&] { return log.ended == 1; }));
  EXPECT_EQ(log.started, 1);
}

TEST(Grpc, ALostConnectionEndsTheHandlerOnce) {
  Silent::Log log;
  const TestServer server([&](GrpcRouter& grpc, HttpRouter&) {
    grpc.stream("/s.S/M", [&](GrpcCall&) { return std::make_unique<Silent>(log); });
  });
  {
    testing::RawClient client(server.port());
    client.send(testing::hello() +
                testing::frame(1, 4, 1,
                               testing::headers({{":method", "POST"},
                                                 {":scheme", "http"},
                                                 {":path", "/s.S/M"},
                                                 {":authority", "x"},
                                                 {"content-type", "application/grpc"}})));
    ASSERT_TRUE(eventually([&] { return log.started == 1; }));
  }
  EXPECT_TRUE(eventually([&] { return log.ended == 1; }));
}

TEST(Grpc, ACoroutineAnswersLaterAndIsCancelledWithItsCall) {
  struct Witness {
    std::atomic<int> begun = 0;
    std::atomic<int> cancelled = 0;
  };
  Witness witness;
  const TestServer server([&](GrpcRouter& grpc, HttpRouter&) {
    grpc.async_unary("/grpc.testing.TestService/EmptyCall",
                     [](GrpcRequest request) -> boost::asio::awaitable<Result<std::string>> {
                       boost::asio::steady_timer timer(request.loop->executor(), 5ms);
                       co_await timer.async_wait(boost::asio::use_awaitable);
                       co_return std::string();
                     });
    grpc.async_unary(
        "/grpc.testing.TestService/UnaryCall",
        [&witness](GrpcRequest request) -> boost::asio::awaitable<Result<std::string>> {
          ++witness.begun;
          boost::asio::steady_timer timer(request.loop->executor(), 1h);
          try {
            co_await timer.async_wait(boost::asio::use_awaitable);
          } catch (const boost::system::system_error&) {
            ++witness.cancelled;
          }
          co_return fail(Code::kAborted, "never seen");
        });
  });
  const Client client(server);
  {
    ::grpc::ClientContext context;
    pb::Empty request;
    pb::Empty response;
    EXPECT_TRUE(client.stub->EmptyCall(&context, request, &response).ok());
  }
  ::grpc::ClientContext context;
  context.set_deadline(in(50ms));
  pb::SimpleRequest request;
  pb::SimpleResponse response;
  EXPECT_EQ(client.stub->UnaryCall(&context, request, &response).error_code(),
            ::grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(eventually([&] { return witness.cancelled == 1; }));
  EXPECT_EQ(witness.begun, 1);
}

TEST(Grpc, AStatusAndItsTextArriveAsTheyWereGiven) {
  const TestServer server(interop);
  const Client client(server);
  ::grpc::ClientContext context;
  pb::SimpleRequest request;
  pb::SimpleResponse response;
  request.mutable_response_status()->set_code(7);
  request.mutable_response_status()->set_message("100% ☺\r\n");
  const auto status = client.stub->UnaryCall(&context, request, &response);
  EXPECT_EQ(status.error_code(), ::grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(status.error_message(), "100% ☺\r\n");
}

TEST(Grpc, UnknownMethodsAndServicesAreUnimplemented) {
  const TestServer server(interop);
  const Client client(server);
  pb::Empty request;
  pb::Empty response;
  {
    ::grpc::ClientContext context;
    const auto status = client.stub->UnimplementedCall(&context, request, &response);
    EXPECT_EQ(status.error_code(), ::grpc::StatusCode::UNIMPLEMENTED);
    EXPECT_EQ(status.error_message(),
              "unknown method UnimplementedCall for service grpc.testing.TestService");
  }
  ::grpc::ClientContext context;
  const auto other = pb::UnimplementedService::NewStub(client.channel);
  const auto status = other->UnimplementedCall(&context, request, &response);
  EXPECT_EQ(status.error_code(), ::grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(status.error_message(), "unknown service grpc.testing.UnimplementedService");
}

TEST(Grpc, AMessageOverTheLimitIsResourceExhausted) {
  ServerConfig config;
  config.limits.message_bytes_max = 1000;
  const TestServer server(interop, config);
  const Client client(server);
  for (const bool packed : {false, true}) {
    ::grpc::ClientContext context;
    if (packed) context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    pb::SimpleRequest request;
    pb::SimpleResponse response;
    request.mutable_payload()->set_body(std::string(100'000, '\0'));
    EXPECT_EQ(client.stub->UnaryCall(&context, request, &response).error_code(),
              ::grpc::StatusCode::RESOURCE_EXHAUSTED);
  }
  ::grpc::ClientContext context;
  pb::SimpleRequest request;
  pb::SimpleResponse response;
  request.mutable_payload()->set_body(std::string(900, 'x'));
  EXPECT_TRUE(client.stub->UnaryCall(&context, request, &response).ok());
}

TEST(Grpc, HeadersOverTheLimitAreResourceExhausted) {
  const TestServer server(interop);
  ::grpc::ChannelArguments arguments;
  const Client client(server, arguments);
  ::grpc::ClientContext context;
  context.AddMetadata("x-big", std::string(20'000, 'x'));
  pb::Empty request;
  pb::Empty response;
  EXPECT_EQ(client.stub->EmptyCall(&context, request, &response).error_code(),
            ::grpc::StatusCode::RESOURCE_EXHAUSTED);
}

/// Writes as fast as back-pressure lets it, until it is told how much it got rid of.
struct Hose final : GrpcStreamHandler {
  explicit Hose(std::atomic<std::size_t>& written) : total(written) {}
  void on_start(GrpcCall& call) override { pump(call); }
  void on_message(GrpcCall&, std::string_view) override {}
  void on_writable(GrpcCall& call) override { pump(call); }
  void on_end(GrpcCall&) override {}
  void pump(GrpcCall& call) {
    while (call.queued_bytes() < 100'000 && left > 0) {
      pb::StreamingOutputCallResponse response;
      response.mutable_payload()->mutable_body()->resize(10'000);
      call.write(response.SerializeAsString());
      total += 10'000;
      --left;
    }
    if (left == 0) call.finish({});
  }
  std::atomic<std::size_t>& total;
  int left = 2'000;
};

TEST(Grpc, ASlowReaderHoldsTheWriterBackAndLosesNothing) {
  std::atomic<std::size_t> written = 0;
  const TestServer server([&](GrpcRouter& grpc, HttpRouter&) {
    grpc.stream("/grpc.testing.TestService/FullDuplexCall",
                [&](GrpcCall&) { return std::make_unique<Hose>(written); });
  });
  const Client client(server);
  ::grpc::ClientContext context;
  const auto stream = client.stub->FullDuplexCall(&context);
  ASSERT_TRUE(eventually([&] { return written >= 100'000; }));
  // Nobody reads: the writer stops long before its 20 MB.
  std::size_t before = 0;
  ASSERT_TRUE(eventually([&] {
    const std::size_t now = written;
    const bool still = now == before;
    before = now;
    std::this_thread::sleep_for(50ms);
    return still;
  }));
  EXPECT_LT(written, 10'000'000U);
  pb::StreamingOutputCallResponse response;
  std::size_t received = 0;
  while (stream->Read(&response)) received += response.payload().body().size();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(received, 20'000'000U);
}

TEST(Grpc, AnEchoWithoutReaderStopsTakingRequests) {
  // Each message is answered with one of the same size, regardless of the queue.
  struct Echo final : GrpcStreamHandler {
    explicit Echo(std::atomic<std::size_t>& to) : taken(to) {}
    void on_start(GrpcCall&) override {}
    void on_message(GrpcCall& call, std::string_view message) override {
      taken += message.size();
      call.write(message);
    }
    void on_end(GrpcCall&) override {}
    std::atomic<std::size_t>& taken;
  };
  std::atomic<std::size_t> taken = 0;
  ServerConfig config;
  config.limits.write_buffer_bytes_max = 1'000'000;
  const TestServer server(
      [&](GrpcRouter& grpc, HttpRouter&) {
        grpc.stream("/s.S/Echo", [&](GrpcCall&) { return std::make_unique<Echo>(taken); });
      },
      config);
  testing::RawClient client(server.port());
  client.send(testing::hello() +
              testing::frame(1, 4, 1,
                             testing::headers({{":method", "POST"},
                                               {":scheme", "http"},
                                               {":path", "/s.S/Echo"},
                                               {":authority", "x"},
                                               {"content-type", "application/grpc"}})));
  // A peer that keeps to the windows it is given: 64 KiB, then what WINDOW_UPDATE adds.
  std::string message(5 + 10'000, 'x');
  grpc_wire::put_prefix(reinterpret_cast<std::uint8_t*>(message.data()), false, 10'000);
  const auto window = [&] {
    std::size_t stream = 65'535;
    std::size_t connection = 65'535;
    for (const auto& each : testing::frames(client.received)) {
      if (each.type != 8) continue;
      std::size_t add = 0;
      for (const char c : each.payload) add = add << 8 | static_cast<unsigned char>(c);
      (each.stream == 0 ? connection : stream) += add;
    }
    return std::min(stream, connection);
  };
  std::size_t sent = 0;
  for (;;) {
    while (sent + message.size() <= window()) {
      client.send(testing::frame(0, 0, 1, message));
      sent += message.size();
    }
    const std::size_t before = window();
    client.receive_until([&](const std::string&) { return window() != before; }, 300ms);
    if (window() == before) break;
    ASSERT_LT(sent, 5'000'000U) << "the server never stopped taking requests";
  }
  EXPECT_GT(taken, 65'535U);
  EXPECT_LT(taken, 1'000'000U);
  EXPECT_EQ(server.metric("netbird_net_requests_refused_total", "write_buffer"), 0);
}

TEST(Grpc, AWriterThatIgnoresBackPressureLosesItsCall) {
  struct Rude final : GrpcStreamHandler {
    void on_start(GrpcCall& call) override {
      for (int i = 0; i < 100; ++i) call.write(std::string(100'000, 'x'));
    }
    void on_message(GrpcCall&, std::string_view) override {}
    void on_end(GrpcCall&) override {}
  };
  ServerConfig config;
  config.limits.write_buffer_bytes_max = 1'000'000;
  const TestServer server(
      [](GrpcRouter& grpc, HttpRouter&) {
        grpc.stream("/grpc.testing.TestService/FullDuplexCall",
                    [](GrpcCall&) { return std::make_unique<Rude>(); });
      },
      config);
  const Client client(server);
  ::grpc::ClientContext context;
  const auto stream = client.stub->FullDuplexCall(&context);
  EXPECT_EQ(stream->Finish().error_code(), ::grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(server.metric("netbird_net_requests_refused_total", "write_buffer"), 1);
}

TEST(Grpc, DrainLetsCallsEndAndRefusesNone) {
  TestServer server(interop);
  const Client client(server);
  ::grpc::ClientContext context;
  const auto stream = client.stub->FullDuplexCall(&context);
  pb::StreamingOutputCallRequest request;
  request.add_response_parameters()->set_size(10);
  pb::StreamingOutputCallResponse response;
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  auto drained = std::async(std::launch::async, [&] { server.server().drain(10s); });
  // The open call goes on after GOAWAY, and ends when it wants to.
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(drained.wait_for(0s), std::future_status::timeout);
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(drained.wait_for(10s), std::future_status::ready);
}

TEST(Grpc, ADrainThatRunsOutOfTimeEndsCallsUnavailableNotCancelled) {
  Silent::Log log;
  TestServer server([&](GrpcRouter& grpc, HttpRouter&) {
    grpc.stream("/grpc.testing.TestService/FullDuplexCall",
                [&](GrpcCall&) { return std::make_unique<Silent>(log); });
  });
  const Client client(server);
  ::grpc::ClientContext context;
  const auto stream = client.stub->FullDuplexCall(&context);
  stream->WaitForInitialMetadata();
  server.server().drain(100ms);
  EXPECT_EQ(stream->Finish().error_code(), ::grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(log.ended, 1);
  EXPECT_EQ(server.server().connections(), 0U);
}

TEST(Grpc, AnOldConnectionIsReplacedWithoutAnyCallFailing) {
  ServerConfig config;
  config.limits.age_max = 100ms;
  const TestServer server(interop, config);
  const Client client(server);
  const auto end = std::chrono::steady_clock::now() + 2s;
  int calls = 0;
  while (std::chrono::steady_clock::now() < end &&
         server.metric("netbird_net_connections_closed_total", "age") < 3) {
    ::grpc::ClientContext context;
    context.set_wait_for_ready(true);
    pb::Empty request;
    pb::Empty response;
    ASSERT_TRUE(client.stub->EmptyCall(&context, request, &response).ok());
    ++calls;
  }
  EXPECT_GE(server.metric("netbird_net_connections_closed_total", "age"), 3);
  EXPECT_GE(calls, 3);
}

TEST(Grpc, ClientsMayPingAsOftenAsTheyLike) {
  Silent::Log log;
  const TestServer server([&](GrpcRouter& grpc, HttpRouter&) {
    grpc.stream("/s.S/M", [&](GrpcCall&) { return std::make_unique<Silent>(log); });
  });
  testing::RawClient client(server.port());
  client.send(testing::hello());
  for (int i = 0; i < 1'000; ++i) client.send(testing::frame(6, 0, 0, "12345678"));
  const auto acks = [](const std::string& bytes) {
    int count = 0;
    for (const auto& each : testing::frames(bytes)) count += each.type == 6 && each.flags == 1;
    return count;
  };
  client.receive_until([&](const std::string& bytes) { return acks(bytes) == 1'000; });
  EXPECT_EQ(acks(client.received), 1'000);
  EXPECT_EQ(testing::goaway(client.received), std::nullopt);
}

TEST(Grpc, HealthIsCheckedAndWatched) {
  auto health = Health::make({"some.Service"});
  const TestServer server([&](GrpcRouter& grpc, HttpRouter&) { health->add_routes(grpc); });
  const auto channel = ::grpc::CreateChannel(server.target(), ::grpc::InsecureChannelCredentials());
  const auto stub = ::grpc::health::v1::Health::NewStub(channel);
  const auto check = [&](const std::string& service) {
    ::grpc::ClientContext context;
    ::grpc::health::v1::HealthCheckRequest request;
    ::grpc::health::v1::HealthCheckResponse response;
    request.set_service(service);
    const auto status = stub->Check(&context, request, &response);
    return status.ok() ? static_cast<int>(response.status())
                       : -static_cast<int>(status.error_code());
  };
  EXPECT_EQ(check(""), 1);
  EXPECT_EQ(check("some.Service"), 1);
  EXPECT_EQ(check("other.Service"), -5);

  ::grpc::ClientContext context;
  ::grpc::health::v1::HealthCheckRequest request;
  request.set_service("some.Service");
  const auto watch = stub->Watch(&context, request);
  ::grpc::health::v1::HealthCheckResponse seen;
  ASSERT_TRUE(watch->Read(&seen));
  EXPECT_EQ(seen.status(), ::grpc::health::v1::HealthCheckResponse::SERVING);
  health->set_serving(false);
  ASSERT_TRUE(watch->Read(&seen));
  EXPECT_EQ(seen.status(), ::grpc::health::v1::HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(check(""), 2);
  context.TryCancel();
  EXPECT_FALSE(watch->Finish().ok());
}

TEST(Grpc, TheClientBehindATrustedProxyIsNamed) {
  std::promise<std::string> seen;
  ServerConfig config;
  config.trusted_proxies = {"127.0.0.0/8"};
  const TestServer server(
      [&](GrpcRouter& grpc, HttpRouter&) {
        grpc.unary("/grpc.testing.TestService/EmptyCall", [&](GrpcCall& call, std::string_view) {
          seen.set_value(call.client().ip);
          call.write({});
          call.finish({});
        });
      },
      config);
  const Client client(server);
  ::grpc::ClientContext context;
  context.AddMetadata("x-forwarded-for", "198.51.100.77, 127.0.0.9");
  pb::Empty request;
  pb::Empty response;
  ASSERT_TRUE(client.stub->EmptyCall(&context, request, &response).ok());
  EXPECT_EQ(seen.get_future().get(), "198.51.100.77");
}

}  // namespace
}  // namespace nb::net
