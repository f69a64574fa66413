#include "management/rest/routes.h"

#include "management/rest/http_extras.h"
#include "management/rest/reply.h"

#include <gtest/gtest.h>

namespace nb::management::rest {
namespace {

RouteTable table() {
  RouteTable out;
  for (const char* path : {"/api/users", "/api/users/{userId}", "/api/users/current",
                           "/api/users/invites", "/api/users/invites/{token}"})
    out.add("GET", path, Access::kSigned, nullptr);
  out.add("DELETE", "/api/users/invites/{inviteId}", Access::kSigned, nullptr);
  out.add("PUT", "/api/users/{userId}", {{Module::kUsers, Operation::kUpdate}}, nullptr);
  return out;
}

std::string found(std::string_view method, std::string_view path) {
  const RouteTable routes = table();
  const auto match = routes.find(method, path);
  if (!match) return "none";
  return match->route == nullptr ? "method" : match->route->path;
}

TEST(Routes, LiteralsWinOverParameters) {
  EXPECT_EQ(found("GET", "/api/users/current"), "/api/users/current");
  EXPECT_EQ(found("GET", "/api/users/invites"), "/api/users/invites");
  EXPECT_EQ(found("GET", "/api/users/u1"), "/api/users/{userId}");
  EXPECT_EQ(found("PUT", "/api/users/current"), "/api/users/{userId}");
  EXPECT_EQ(found("DELETE", "/api/users/invites/x"), "/api/users/invites/{inviteId}");
  EXPECT_EQ(found("GET", "/api/users/invites/x"), "/api/users/invites/{token}");
}

TEST(Routes, WhatIsNotThereIsNotThere) {
  EXPECT_EQ(found("GET", "/api/users/"), "none");
  EXPECT_EQ(found("GET", "/api"), "none");
  EXPECT_EQ(found("GET", ""), "none");
  EXPECT_EQ(found("PATCH", "/api/users"), "method");
  EXPECT_EQ(found("HEAD", "/api/users/u1"), "method");
}

TEST(Routes, ParametersAreGivenInOrder) {
  RouteTable routes;
  routes.add("GET", "/api/a/{x}/b/{y}", Access::kSigned, nullptr);
  const auto match = routes.find("GET", "/api/a/1|2/b/3");
  ASSERT_TRUE(match);
  EXPECT_EQ(match->params, (std::vector<std::string>{"1|2", "3"}));
  EXPECT_EQ(match->route->label, "/api/a/x/b/y");
}

TEST(Routes, UncleanPathsAreCleaned) {
  EXPECT_EQ(cleaned("/api/users"), std::nullopt);
  EXPECT_EQ(cleaned("/api/users/"), std::nullopt);
  EXPECT_EQ(cleaned("/api/.hidden"), std::nullopt);
  EXPECT_EQ(cleaned("/api//users"), "/api/users");
  EXPECT_EQ(cleaned("/api/./users"), "/api/users");
  EXPECT_EQ(cleaned("/api/x/../users"), "/api/users");
  EXPECT_EQ(cleaned("/../.."), "/");
}

TEST(Routes, QueryArgumentsAreDecodedOnceAndTheFirstOfANameCounts) {
  Call call{.id = "x", .query = "name=a%26b+%2525&ip=&flag&name=second&broken=%zz"};
  EXPECT_EQ(call.argument("name"), "a&b %25");
  EXPECT_EQ(call.argument("broken"), std::nullopt);
  EXPECT_EQ(call.argument("ip"), "");
  EXPECT_EQ(call.argument("flag"), "");
  EXPECT_EQ(call.argument("other"), std::nullopt);
}

TEST(Reply, EveryCodeHasItsStatus) {
  EXPECT_EQ(http_status(Code::kInvalidArgument), 422);
  EXPECT_EQ(http_status(Code::kOutOfRange), 400);
  EXPECT_EQ(http_status(Code::kUnavailable), 503);
  EXPECT_EQ(http_status(Code::kDataLoss), 500);
  const auto typed = error_response(fail(Code::kNotFound, "Group: X not found"));
  EXPECT_EQ(typed.body, "{\"message\":\"group: x not found\",\"code\":404}\n");
  const auto direct = error_response(fail(Code::kOutOfRange, "group ALL"));
  EXPECT_EQ(direct.body, "{\"message\":\"group ALL\",\"code\":400}\n");
  const auto secret = error_response(fail(Code::kInternal, "SELECT token FROM t"));
  EXPECT_EQ(secret.body, "{\"message\":\"internal server error\",\"code\":500}\n");
}

TEST(HttpExtras, GzipIsTakenWhereItIsNamed) {
  EXPECT_TRUE(accepts_gzip("gzip"));
  EXPECT_TRUE(accepts_gzip("deflate, gzip;q=0.5"));
  EXPECT_TRUE(accepts_gzip("*"));
  EXPECT_FALSE(accepts_gzip(""));
  EXPECT_FALSE(accepts_gzip("br"));
  EXPECT_FALSE(accepts_gzip("gzip;q=0"));
  EXPECT_FALSE(accepts_gzip("gzip; q=0.000"));
}

TEST(HttpExtras, AKnownBodyIsNotSentAgain) {
  net::HttpRequest request;
  net::HttpResponse first = net::HttpResponse::json(200, "[1]");
  add_etag(request, first);
  std::string etag;
  for (const auto& [name, value] : first.headers)
    if (name == "etag") etag = value;
  ASSERT_FALSE(etag.empty());
  request.headers = {{"if-none-match", "\"other\", " + etag}};
  net::HttpResponse again = net::HttpResponse::json(200, "[1]");
  add_etag(request, again);
  EXPECT_EQ(again.status, 304);
  EXPECT_TRUE(again.body.empty());
  net::HttpResponse changed = net::HttpResponse::json(200, "[2]");
  add_etag(request, changed);
  EXPECT_EQ(changed.status, 200);
}

}  // namespace
}  // namespace nb::management::rest
