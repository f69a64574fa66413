// Bodies that go to a sink piece by piece, over both versions of HTTP.
#include "net/testing.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

namespace nb::net {
namespace {

using ::testing::EndsWith;
using testing::eventually;
using testing::frame;
using ::testing::HasSubstr;
using testing::hello;
using testing::RawClient;
using ::testing::StartsWith;
using testing::TestServer;

constexpr std::size_t kTiny = 100;
constexpr std::size_t kSmall = 1'000;      // of other routes
constexpr std::size_t kLarge = 1'000'000;  // of uploads

/// What became of the uploads of one server.
struct Seen {
  std::atomic<int> finished{0};
  std::atomic<int> broken_off{0};
  std::atomic<std::size_t> bytes{0};
  std::atomic<std::size_t> largest_piece{0};
};

class Sink final : public BodySink {
 public:
  explicit Sink(Seen& seen) : seen_(seen) {}
  ~Sink() override {
    if (!finished_) ++seen_.broken_off;
  }
  bool write(std::span<const std::uint8_t> bytes) override {
    seen_.bytes += bytes.size();
    seen_.largest_piece = std::max(seen_.largest_piece.load(), bytes.size());
    sum_ += bytes.size();
    enough_ = std::find(bytes.begin(), bytes.end(), '!') != bytes.end();
    return !enough_;
  }
  HttpResponse finish() override {
    finished_ = true;
    ++seen_.finished;
    return HttpResponse::text(enough_ ? 418 : 200, fmt::format("<{}>", sum_));
  }

 private:
  Seen& seen_;
  std::size_t sum_ = 0;
  bool enough_ = false;
  bool finished_ = false;
};

class Uploads : public ::testing::Test {
 protected:
  void routes(HttpRouter& http) {
    http.upload("/upload/",
                {.body_bytes_max = kLarge, .open = [this](const HttpRequest& head) -> UploadStart {
                   if (head.path == "/upload/no") return HttpResponse::text(409, "<no>");
                   return std::make_unique<Sink>(seen);
                 }});
    http.upload("/small/", {.body_bytes_max = kTiny, .open = [this](const HttpRequest&) {
                              return UploadStart(std::make_unique<Sink>(seen));
                            }});
    http.exact("/echo", [](HttpRequest request) -> boost::asio::awaitable<HttpResponse> {
      co_return HttpResponse::text(200, fmt::format("<{}>", request.body.size()));
    });
  }
  static ServerConfig config() {
    ServerConfig out;
    out.limits.body_bytes_max = kSmall;
    return out;
  }
  std::string send(const std::string& bytes) {
    RawClient client(server.port());
    client.send(bytes);
    return client.receive_until([](const std::string& all) { return all.ends_with('>'); });
  }
  static std::string head(const std::string& path, const std::string& more) {
    return "PUT " + path + " HTTP/1.1\r\nHost: x\r\n" + more + "\r\n\r\n";
  }
  static std::string chunks(int count, std::size_t size) {
    std::string out;
    for (int i = 0; i < count; ++i)
      out += fmt::format("{:x}\r\n", size) + std::string(size, 'c') + "\r\n";
    return out;
  }
  static std::string begin(std::uint32_t stream, const std::string& path,
                           const std::string& length = {}) {
    std::vector<std::pair<std::string, std::string>> fields{
        {":method", "PUT"}, {":scheme", "http"}, {":path", path}, {":authority", "x"}};
    if (!length.empty()) fields.emplace_back("content-length", length);
    return frame(1, 4, stream, testing::headers(fields));
  }
  /// The payload of the stream's DATA, once it is there.
  static std::string answer(RawClient& client, std::uint32_t stream) {
    const auto data = [stream](const std::string& bytes) {
      for (const auto& each : testing::frames(bytes))
        if (each.type == 0 && each.stream == stream) return each.payload;
      return std::string();
    };
    client.receive_until([&](const std::string& bytes) { return !data(bytes).empty(); });
    return data(client.received);
  }

  Seen seen;
  TestServer server{[this](GrpcRouter&, HttpRouter& http) { routes(http); }, config()};
};

TEST_F(Uploads, AreNotHeldInMemory) {
  const std::string body(kLarge, 'x');
  EXPECT_THAT(send(head("/upload/a", fmt::format("Content-Length: {}", kLarge)) + body),
              EndsWith("<1000000>"));
  EXPECT_THAT(
      send(head("/upload/a", "Transfer-Encoding: chunked") + chunks(10, 50'000) + "0\r\n\r\n"),
      EndsWith("<500000>"));
  EXPECT_EQ(seen.finished, 2);
  EXPECT_LE(seen.largest_piece, 256 * 1024) << "a turn's worth of bytes at most";
}

TEST_F(Uploads, LeaveTheConnectionToTheNextRequest) {
  RawClient client(server.port());
  client.send(head("/upload/a", "Content-Length: 5") + "12345" +
              head("/echo", "Content-Length: 3") + "abc" + head("/upload/b", "Content-Length: 0"));
  const std::string all = client.receive_until(
      [](const std::string& bytes) { return bytes.find("<0>") != std::string::npos; });
  EXPECT_THAT(all, HasSubstr("<5>"));
  EXPECT_THAT(all, HasSubstr("<3>"));
  EXPECT_THAT(all, EndsWith("<0>"));
}

TEST_F(Uploads, HaveALimitOfTheirOwn) {
  EXPECT_THAT(send(head("/upload/a", fmt::format("Content-Length: {}", kLarge + 1))),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_EQ(seen.broken_off, 0) << "nobody was asked";
  RawClient client(server.port());
  client.send(head("/upload/a", "Transfer-Encoding: chunked") + chunks(21, 50'000));
  EXPECT_THAT(
      client.receive_until([](const std::string& all) { return all.find("\r\n\r\n") != all.npos; }),
      StartsWith("HTTP/1.1 413 "));
  EXPECT_TRUE(eventually([&] { return seen.broken_off == 1; }));
  // Other routes keep theirs, however the body comes.
  for (const std::string& request :
       {head("/echo", "Content-Length: 1001"),
        head("/echo", "Transfer-Encoding: chunked") + chunks(1, 1'001) + "0\r\n\r\n"}) {
    RawClient other(server.port());
    other.send(request);
    EXPECT_THAT(other.receive_until(
                    [](const std::string& all) { return all.find("\r\n\r\n") != all.npos; }),
                StartsWith("HTTP/1.1 413 "));
  }
  EXPECT_THAT(send(head("/echo", "Content-Length: 1000") + std::string(1'000, 'x')),
              EndsWith("<1000>"));
}

TEST_F(Uploads, MayHaveALimitBelowThatOfOtherRoutes) {
  RawClient client(server.port());
  client.send(head("/small/a", "Transfer-Encoding: chunked") + chunks(3, 50));
  EXPECT_THAT(
      client.receive_until([](const std::string& all) { return all.find("\r\n\r\n") != all.npos; }),
      StartsWith("HTTP/1.1 413 "));
  EXPECT_TRUE(eventually([&] { return seen.broken_off == 1; }));
}

TEST_F(Uploads, AreRefusedBeforeTheirBody) {
  const std::string all = send(head("/upload/no", "Content-Length: 5\r\nExpect: 100-continue"));
  EXPECT_THAT(all, StartsWith("HTTP/1.1 409 "));
  EXPECT_THAT(all, HasSubstr("connection: close"));
  RawClient client(server.port());
  client.send(head("/upload/a", "Content-Length: 3\r\nExpect: 100-continue"));
  client.receive_until([](const std::string& got) { return got.ends_with("\r\n\r\n"); });
  EXPECT_EQ(client.received, "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("123");
  EXPECT_THAT(client.receive_until([](const std::string& got) { return got.ends_with('>'); }),
              EndsWith("<3>"));
}

TEST_F(Uploads, EndWhenTheSinkHasEnough) {
  const std::string all = send(head("/upload/a", "Content-Length: 500000") + "stop!");
  EXPECT_THAT(all, StartsWith("HTTP/1.1 418 "));
  EXPECT_THAT(all, EndsWith("<5>"));
  EXPECT_EQ(seen.broken_off, 0);
}

TEST_F(Uploads, ThatAreBrokenOffAreTold) {
  {
    RawClient client(server.port());
    client.send(head("/upload/a", "Content-Length: 100") + "half");
    ASSERT_TRUE(eventually([&] { return seen.bytes == 4; }));
    RawClient http2(server.port());
    http2.send(hello() + begin(1, "/upload/a") + frame(0, 0, 1, "half"));
    ASSERT_TRUE(eventually([&] { return seen.bytes == 8; }));
    http2.send(frame(3, 0, 1, std::string("\0\0\0\x08", 4)));  // RST_STREAM(CANCEL)
    ASSERT_TRUE(eventually([&] { return seen.broken_off == 1; }));
  }
  EXPECT_TRUE(eventually([&] { return seen.broken_off == 2; }));
  EXPECT_EQ(seen.finished, 0);
}

TEST_F(Uploads, WorkOverHttp2) {
  RawClient client(server.port());
  client.send(hello() + begin(1, "/upload/a", "30") + frame(0, 0, 1, std::string(20, 'x')) +
              begin(3, "/echo") + frame(0, 1, 3, "abc") + frame(0, 1, 1, std::string(10, 'x')));
  EXPECT_EQ(answer(client, 1), "<30>");
  EXPECT_EQ(answer(client, 3), "<3>");
  client.send(begin(5, "/upload/no", "30"));
  EXPECT_EQ(answer(client, 5), "<no>");
  client.send(begin(7, "/upload/a", "1000001"));
  EXPECT_THAT(answer(client, 7), HasSubstr("large"));
  client.send(begin(9, "/upload/a") + frame(0, 0, 9, "now!"));
  EXPECT_EQ(answer(client, 9), "<4>");
  EXPECT_EQ(seen.finished, 2);
  EXPECT_EQ(seen.broken_off, 0);
}

}  // namespace
}  // namespace nb::net
