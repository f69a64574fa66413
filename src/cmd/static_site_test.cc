#include "cmd/static_site.h"

#include "support/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

namespace nb::cmd {
namespace {
using testing::HasSubstr;

class StaticSiteTest : public testing::Test {
 protected:
  void SetUp() override {
    put("index.html", "start");
    put("404.html", "the application");
    put("peers.html", "peers");
    put("team/index.html", "team");
    put("a b.txt", "blank");
    put("_next/static/chunk.js", "code");
    auto loaded = StaticSite::load(dir_.path().string());
    ASSERT_TRUE(loaded) << loaded.error().text;
    site_ = *std::move(loaded);
  }
  void put(const std::string& name, const std::string& text) {
    const std::filesystem::path path = dir_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  static net::HttpRequest request(std::string method, std::string path) {
    net::HttpRequest out;
    out.method = std::move(method);
    out.path = std::move(path);
    return out;
  }
  [[nodiscard]] net::HttpResponse get(std::string path) const {
    return site_->answer(request("GET", std::move(path)));
  }
  static std::string header(const net::HttpResponse& response, std::string_view name) {
    for (const auto& [key, value] : response.headers)
      if (key == name) return value;
    return "";
  }

  test::TempDir dir_;
  std::shared_ptr<const StaticSite> site_;
};

TEST_F(StaticSiteTest, PathsLeadToFilesPagesAndFolders) {
  EXPECT_EQ(get("/").body, "start");
  EXPECT_EQ(get("/index.html").body, "start");
  EXPECT_EQ(get("/peers").body, "peers");
  EXPECT_EQ(get("/team").body, "team");
  EXPECT_EQ(get("/team/").body, "team");
  EXPECT_EQ(get("/a%20b.txt").body, "blank");
  EXPECT_EQ(header(get("/a%20b.txt"), "content-type"), "text/plain; charset=utf-8");
}

TEST_F(StaticSiteTest, UnknownPathsGetTheApplicationWithStatus404) {
  const auto answer = get("/peer/1");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, "the application");
}

TEST_F(StaticSiteTest, ABrokenEscapeOrANulIsABadRequest) {
  for (const char* path :
       {"/%", "/%2", "/%zz", "/peers%", "/%00", "/index.html%00", "/peers%00.html", "%", "%00"}) {
    const auto answer = get(path);
    EXPECT_EQ(answer.status, 400) << path;
    EXPECT_THAT(answer.body, testing::Not(HasSubstr("start"))) << path;
  }
}

TEST_F(StaticSiteTest, NoPathLeadsOutOfTheFolder) {
  for (const char* path : {"/../etc/passwd", "/%2e%2e/etc/passwd", "/..%2fetc%2fpasswd",
                           "//etc/passwd", "/team/../index.html"})
    EXPECT_EQ(get(path).status, 404) << path;
}

TEST_F(StaticSiteTest, WhatABrowserHasIsNotSentAgain) {
  const auto first = get("/peers");
  const std::string etag = header(first, "etag");
  EXPECT_FALSE(etag.empty());
  auto asked = request("GET", "/peers");
  asked.headers = {{"if-none-match", etag}};
  const auto again = site_->answer(asked);
  EXPECT_EQ(again.status, 304);
  EXPECT_EQ(again.body, "");
  EXPECT_EQ(header(first, "cache-control"), "no-cache");
  EXPECT_THAT(header(get("/_next/static/chunk.js"), "cache-control"), HasSubstr("immutable"));
}

TEST_F(StaticSiteTest, OnlyReadingIsAllowed) {
  const auto answer = site_->answer(request("POST", "/"));
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(header(answer, "allow"), "GET, HEAD");
  EXPECT_EQ(site_->answer(request("HEAD", "/")).status, 200);
}

TEST_F(StaticSiteTest, TransportSecurityIsDemandedOverTlsOnly) {
  EXPECT_EQ(header(get("/"), "strict-transport-security"), "");
  auto asked = request("GET", "/");
  asked.tls = true;
  const auto answer = site_->answer(asked);
  EXPECT_EQ(header(answer, "strict-transport-security"), "max-age=31536000");
  EXPECT_THAT(header(answer, "content-security-policy"), HasSubstr("frame-ancestors 'self'"));
}

TEST_F(StaticSiteTest, AFolderWithoutAStartPageIsRefused) {
  const test::TempDir empty;
  EXPECT_EQ(StaticSite::load(empty.path().string()).error().code, Code::kInvalidArgument);
  EXPECT_EQ(StaticSite::load(empty / "none").error().code, Code::kNotFound);
}

}  // namespace
}  // namespace nb::cmd
