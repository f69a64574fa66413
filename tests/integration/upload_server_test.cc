// netbird-upload as a process: what an agent does with a debug bundle, over TLS.
#include "support/certificate.h"
#include "support/paths.h"
#include "support/process.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace nb::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class UploadServer : public ::testing::Test {
 protected:
  UploadServer() { make_certificate(cert(), dir_ / "key.pem"); }
  void start(std::map<std::string, std::string> env = {}) {
    env.merge(environment());
    process_ = std::make_unique<Process>(
        Command{.argv = {program_dir() + "/netbird-upload"}, .env = std::move(env)});
    ASSERT_TRUE(eventually([&] { return http_get(metrics_port_, "/readyz").status == 200; }, 20s))
        << process_->output();
  }
  [[nodiscard]] std::map<std::string, std::string> environment() const {
    return {{"SERVER_ADDRESS", fmt::format("127.0.0.1:{}", port_)},
            {"SERVER_URL", fmt::format("https://127.0.0.1:{}/", port_)},
            {"SERVER_CERT_FILE", cert()},
            {"SERVER_KEY_FILE", dir_ / "key.pem"},
            {"STORE_DIR", store().string()},
            {"NB_METRICS_PORT", std::to_string(metrics_port_)}};
  }
  [[nodiscard]] std::string cert() const { return dir_ / "cert.pem"; }
  [[nodiscard]] fs::path store() const { return dir_.path() / "bundles"; }
  [[nodiscard]] std::string metrics() const { return http_get(metrics_port_, "/metrics").body; }
  [[nodiscard]] std::vector<std::string> curl(std::vector<std::string> more) const {
    std::vector<std::string> argv{"curl", "-sS", "--noproxy", "*", "--cacert", cert()};
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  }
  struct Place {
    std::string url;
    std::string key;
  };
  /// As an agent asks: with the hash of its management server's URL.
  [[nodiscard]] Place ask() const {
    const Finished done =
        run({.argv = curl({"-H", "x-nb-client: netbird",
                           fmt::format("https://127.0.0.1:{}/upload-url?id={}", port_, kId)})});
    const auto member = [&](const std::string& name) {
      const std::string before = "\"" + name + "\":\"";
      const auto at = done.output.find(before);
      if (at == std::string::npos) return done.output;
      const auto from = at + before.size();
      return done.output.substr(from, done.output.find('"', from) - from);
    };
    return {member("URL"), member("Key")};
  }
  /// The status, and which version of HTTP it came over.
  [[nodiscard]] std::string put(const std::string& file, const std::string& url,
                                const std::string& version = "--http2") const {
    return run({.argv = curl({version, "-o", "/dev/null", "-w", "%{http_code} %{http_version}",
                              "-H", "Content-Type: application/octet-stream", "-T", file, url})})
        .output;
  }
  /// Over HTTP/1.1: curl 7.88 takes the RST_STREAM(NO_ERROR) after an early answer for an error of
  /// the whole request (RFC 9113 §8.1 says it is none; net_test reads it over HTTP/2).
  [[nodiscard]] std::string refusal(const std::string& file, const std::string& url) const {
    return put(file, url, "--http1.1").substr(0, 3);
  }
  [[nodiscard]] std::string bundle(std::size_t bytes) const {
    std::string path = dir_ / fmt::format("bundle-{}.zip", bytes);
    std::ofstream out(path, std::ios::binary);
    const std::string block(1 << 20, 'z');
    for (std::size_t left = bytes; left > 0;) {
      const std::size_t part = std::min(left, block.size());
      out.write(block.data(), static_cast<std::streamsize>(part));
      left -= part;
    }
    return path;
  }
  [[nodiscard]] std::size_t memory_peak_kib() const {
    std::ifstream status(fmt::format("/proc/{}/status", process_->pid()));
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6));
    return 0;
  }

  static constexpr const char* kId =
      "8a5edab282632443219e051e4ade2d1d5bbc671c781051bf1437897cbdfea0f1";
  TempDir dir_;
  const std::uint16_t port_ = free_port();
  const std::uint16_t metrics_port_ = free_port();
  std::unique_ptr<Process> process_;
};

TEST_F(UploadServer, ABundleIsStoredWithoutBeingHeldInMemory) {
  start();
  const std::size_t before = memory_peak_kib();
  constexpr std::size_t kBytes = 100 << 20;
  const std::string file = bundle(kBytes);
  for (const std::string version : {"--http2", "--http1.1"}) {
    const Place place = ask();
    EXPECT_THAT(place.key, MatchesRegex(std::string(kId) + "/[0-9a-f-]{36}"));
    EXPECT_THAT(place.url, HasSubstr("/upload/" + place.key + "?exp="));
    EXPECT_EQ(put(file, place.url, version), version == "--http2" ? "200 2" : "200 1.1");
    EXPECT_EQ(fs::file_size(store() / place.key), kBytes);
    EXPECT_EQ(refusal(file, place.url), "409");
  }
  EXPECT_LT(memory_peak_kib(), before + 40 * 1024);
  EXPECT_THAT(metrics(), HasSubstr("nb_upload_bundles_total{result=\"stored\"} 2"));
}

TEST_F(UploadServer, ItsLimitIsUpstreams) {
  start();
  const std::string file = bundle((150 << 20) + 1);
  EXPECT_EQ(refusal(file, ask().url), "413");
  EXPECT_TRUE(fs::is_empty(store()));
}

TEST_F(UploadServer, WhatAKilledOneLeftIsCleanedUpAndItsUrlsEnd) {
  start();
  const Place place = ask();
  const std::string file = bundle(4 << 20);
  {
    Process slow({.argv = curl({"--limit-rate", "100k", "-T", file, place.url})});
    ASSERT_TRUE(eventually([&] { return fs::exists((store() / place.key).parent_path()); }));
    process_->kill();
  }
  EXPECT_FALSE(fs::is_empty(store()));
  start();
  EXPECT_FALSE(fs::exists(store() / place.key));
  EXPECT_TRUE(fs::is_empty((store() / place.key).parent_path()));
  EXPECT_EQ(refusal(file, place.url), "403") << "another key signs now";
  EXPECT_EQ(put(file, ask().url).substr(0, 3), "200");
}

TEST_F(UploadServer, UrlsOutliveItWhereTheirKeyIsGiven) {
  const std::map<std::string, std::string> key = {
      {"NB_UPLOAD_SIGNING_KEY", "0123456789abcdef0123456789abcdef"}};
  start(key);
  const Place place = ask();
  process_->terminate();
  start(key);
  EXPECT_EQ(put(bundle(100), place.url).substr(0, 3), "200");
}

TEST_F(UploadServer, SettingsThatCannotWorkAreTold) {
  const auto told = [&](std::map<std::string, std::string> env) {
    env.merge(environment());
    const Finished done =
        run({.argv = {program_dir() + "/netbird-upload", "--check-config"}, .env = std::move(env)});
    return fmt::format("{} {}", done.status, done.output);
  };
  EXPECT_THAT(told({}), ::testing::StartsWith("0 "));
  EXPECT_THAT(told({{"SERVER_URL", ""}}), HasSubstr("--public-url is missing (SERVER_URL)"));
  EXPECT_THAT(told({{"SERVER_URL", "ftp://x"}}), HasSubstr("https://host[:port][/path]"));
  EXPECT_THAT(told({{"BUCKET", "b"}}), HasSubstr("object stores are not supported"));
  EXPECT_THAT(told({{"STORE_DIR", "here"}}), HasSubstr("must be absolute"));
  EXPECT_THAT(told({{"SERVER_KEY_FILE", ""}}), HasSubstr("--tls-key-file is missing"));
  EXPECT_THAT(told({{"NB_UPLOAD_SIGNING_KEY", "short"}}), HasSubstr("fewer than 32"));
}

}  // namespace
}  // namespace nb::test
