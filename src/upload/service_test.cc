#include "net/testing.h"
#include "support/process.h"
#include "upload/upload.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace nb::upload {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using net::testing::eventually;
using net::testing::RawClient;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

constexpr std::uint64_t kMost = 1 << 20;

/// The system's, some time later.
class LateClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const override { return clock_.now(); }
  [[nodiscard]] WallTime wall() const override { return clock_.wall() + late.load(); }
  boost::asio::awaitable<void> sleep_for(std::chrono::nanoseconds time) override {
    return clock_.sleep_for(time);
  }
  std::atomic<std::chrono::seconds> late{0s};

 private:
  SystemClock clock_;
};

class UploadTest : public ::testing::Test {
 protected:
  static Options options() {
    return {.public_url = "https://bundles.example/x",
            .signing_key = Secret("0123456789abcdef0123456789abcdef"),
            .bundle_bytes_max = kMost,
            .uploads_max = 2,
            .urls_per_address = {.per_second = 0.001, .burst = 5}};
  }
  /// Path and query to upload to.
  std::string ask(const std::string& id = "agent") {
    const std::string answer =
        send("GET /upload-url?id=" + id + " HTTP/1.1\r\nHost: x\r\nx-nb-client: netbird\r\n\r\n");
    const std::string before = R"({"URL":"https://bundles.example/x)";
    const auto at = answer.find(before);
    if (at == std::string::npos) return answer;
    const std::string rest = answer.substr(at + before.size());
    return rest.substr(0, rest.find('"'));
  }
  std::string send(const std::string& request) {
    RawClient client(server.port());
    client.send(request);
    return client.receive_until([](const std::string& all) {
      const auto head = all.find("\r\n\r\n");
      const auto length = all.find("content-length: ");
      return head != std::string::npos && length != std::string::npos &&
             all.size() >= head + 4 + std::stoul(all.substr(length + 16));
    });
  }
  static std::string put(const std::string& path, const std::string& body) {
    return fmt::format("PUT {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}", path,
                       body.size(), body);
  }
  std::string stored(const std::string& path) {
    const std::string key = path.substr(8, path.find('?') - 8);
    std::ifstream in(dir / "bundles/" + key);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  [[nodiscard]] bool nothing_is_stored() const { return fs::is_empty(dir.path() / "bundles"); }

  test::TempDir dir;
  LateClock clock;
  crypto::SystemRandom random;
  std::unique_ptr<BundleStore> store = *BundleStore::open(dir / "bundles", 3 * kMost, {});
  prometheus::Registry registry;
  Metrics metrics{registry};
  Service service{options(), *store, metrics, random, clock, {}};
  net::testing::TestServer server{
      [this](net::GrpcRouter&, net::HttpRouter& http) { service.add_to(http); }};
};

TEST_F(UploadTest, ABundleGoesWhereTheUrlSays) {
  const std::string path = ask("0123abc");
  EXPECT_THAT(path, MatchesRegex("/upload/0123abc/[0-9a-f-]{36}\\?exp=[0-9]+&sig=[0-9a-f]{64}"));
  const std::string body(300'000, 'b');
  EXPECT_THAT(send(put(path, body)), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(stored(path), body);
  EXPECT_EQ(metrics.stored_total.Value(), 1);
  EXPECT_EQ(metrics.stored_bytes_total.Value(), 300'000);
  // Once.
  EXPECT_THAT(send(put(path, "other")), StartsWith("HTTP/1.1 409 "));
  EXPECT_EQ(stored(path), body);
}

TEST_F(UploadTest, UrlsAreForAgentsWhoSayWhoTheyAre) {
  EXPECT_THAT(send("GET /upload-url?id=a HTTP/1.1\r\nHost: x\r\n\r\n"),
              StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(send("POST /upload-url?id=a HTTP/1.1\r\nHost: x\r\nx-nb-client: netbird\r\n\r\n"),
              StartsWith("HTTP/1.1 405 "));
  for (const char* const query : {"", "?id=", "?x=id", "?xid=1"})
    EXPECT_THAT(
        send(fmt::format("GET /upload-url{} HTTP/1.1\r\nHost: x\r\nx-nb-client: netbird\r\n\r\n",
                         query)),
        StartsWith("HTTP/1.1 400 "))
        << query;
  EXPECT_THAT(ask("..%2F..%2Fetc"), MatchesRegex("/upload/[0-9a-f]{64}/.*"));
}

TEST_F(UploadTest, OneAddressGetsSoMany) {
  for (int i = 0; i < 5; ++i) EXPECT_THAT(ask(), StartsWith("/upload/"));
  EXPECT_THAT(ask(), StartsWith("HTTP/1.1 429 "));
}

TEST_F(UploadTest, OnlyUrlsThatWereGivenOutAreGood) {
  const std::string path = ask();
  const std::string uuid = "0b4f5c1e-27b8-4f06-9a7e-0d9a3a1d5a10";
  EXPECT_THAT(send(put("/upload/agent/" + uuid, "x")), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(send(put("/upload/agent/" + uuid + path.substr(path.find('?')), "x")),
              StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(send(put(path.substr(0, path.find('?')), "x")), StartsWith("HTTP/1.1 403 "));
  for (const char* const bad : {"/upload/", "/upload/../../etc/passwd", "/upload/..%2f..%2fetc/x",
                                "/upload/agent", "/upload/agent/../x"})
    EXPECT_THAT(send(put(bad, "x")), StartsWith("HTTP/1.1 400 ")) << bad;
  EXPECT_THAT(send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
  clock.late = 15min;
  EXPECT_THAT(send(put(path, "x")), StartsWith("HTTP/1.1 403 "));
  EXPECT_TRUE(nothing_is_stored());
}

TEST_F(UploadTest, ABundleHasItsLimit) {
  const std::string path = ask();
  EXPECT_THAT(send(fmt::format("PUT {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n"
                               "Expect: 100-continue\r\n\r\n",
                               path, kMost + 1)),
              StartsWith("HTTP/1.1 413 "));
  std::string chunked =
      fmt::format("PUT {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", path);
  for (int i = 0; i < 17; ++i) chunked += "10000\r\n" + std::string(0x10000, 'c') + "\r\n";
  EXPECT_THAT(send(chunked), StartsWith("HTTP/1.1 413 "));
  EXPECT_TRUE(eventually([&] { return service.running() == 0; }));
  EXPECT_TRUE(nothing_is_stored());
  EXPECT_EQ(store->bytes(), 0);
  EXPECT_THAT(send(put(path, std::string(kMost, 'x'))), StartsWith("HTTP/1.1 200 "));
}

TEST_F(UploadTest, TheStoreHasItsLimit) {
  for (int i = 0; i < 3; ++i)
    EXPECT_THAT(send(put(ask(), std::string(kMost, 'x'))), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(send(put(ask(), "x")), StartsWith("HTTP/1.1 507 "));
}

TEST_F(UploadTest, BrokenOffUploadsFreeTheirPlace) {
  const std::string path = ask();
  {
    RawClient one(server.port());
    RawClient two(server.port());
    one.send(fmt::format("PUT {} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf", path));
    two.send(fmt::format("PUT {} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf", ask()));
    ASSERT_TRUE(eventually([&] { return service.running() == 2 && store->bytes() == 8; }));
    EXPECT_THAT(send(put(ask(), "x")), StartsWith("HTTP/1.1 503 "));
    EXPECT_EQ(service.running(), 2);
  }
  EXPECT_TRUE(eventually([&] { return service.running() == 0; }));
  EXPECT_EQ(metrics.broken_off_total.Value(), 2);
  EXPECT_TRUE(nothing_is_stored());
  EXPECT_THAT(send(put(path, "whole")), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(stored(path), "whole");
}

TEST_F(UploadTest, WhoTakesTooLongIsTurnedAway) {
  RawClient slow(server.port());
  slow.send(fmt::format("PUT {} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf", ask()));
  ASSERT_TRUE(eventually([&] { return store->bytes() == 4; }));
  clock.late = 15min;
  slow.send("more");
  EXPECT_THAT(slow.receive_until(
                  [](const std::string& all) { return all.find("\r\n\r\n") != std::string::npos; }),
              StartsWith("HTTP/1.1 408 "));
  EXPECT_TRUE(nothing_is_stored());
}

}  // namespace
}  // namespace nb::upload
