#include "management/grpc/proxy_requests.h"

#include "proto/proxy_service.pb.h"

#include <gtest/gtest.h>

#include <functional>

namespace nb::management::grpc {
namespace {

namespace pb = ::management;

pb::SendAccessLogRequest a_report() {
  pb::SendAccessLogRequest request;
  pb::AccessLog& log = *request.mutable_log();
  log.set_log_id("log-1");
  log.set_account_id("a");
  log.set_service_id("s");
  log.set_auth_success(true);
  log.mutable_timestamp()->set_seconds(1'800'000'000);
  return request;
}

std::string refused(const std::function<void(pb::AccessLog&)>& change) {
  auto request = a_report();
  EXPECT_TRUE(check_request(request));
  change(*request.mutable_log());
  const auto checked = check_request(request);
  return checked ? "" : checked.error().text;
}

TEST(ProxyRequests, EachFieldOfAReportIsChecked) {
  EXPECT_EQ(refused([](auto& log) { log.clear_log_id(); }), "log_id is required");
  EXPECT_EQ(refused([](auto& log) { log.clear_service_id(); }),
            "service_id and account_id are required");
  EXPECT_EQ(refused([](auto& log) { log.set_host(std::string(256, 'x')); }),
            "host: longer than 255 bytes");
  EXPECT_EQ(refused([](auto& log) { log.set_path(std::string("a\0b", 3)); }), "path: not a text");
  EXPECT_EQ(refused([](auto& log) { log.set_method("\xff"); }), "method: not a text");
  EXPECT_EQ(refused([](auto& log) { log.set_duration_ms(-1); }),
            "durations and sizes must not be negative");
  EXPECT_EQ(refused([](auto& log) { log.set_duration_ms(INT64_MAX); }),
            "duration_ms is out of range");
  EXPECT_EQ(refused([](auto& log) { log.mutable_timestamp()->set_seconds(INT64_MAX); }),
            "timestamp is out of range");
  EXPECT_EQ(refused([](auto& log) {
              for (int i = 0; i <= 64; ++i) (*log.mutable_metadata())[std::to_string(i)] = "x";
            }),
            "metadata: too many entries");
  EXPECT_EQ(refused([](auto& log) { (*log.mutable_metadata())["k"] = std::string(16'384, 'x'); }),
            "metadata: too long");
}

TEST(ProxyRequests, ReportSaysWhyAnAccessFailed) {
  auto request = a_report();
  pb::AccessLog& log = *request.mutable_log();
  log.set_response_code(200);
  EXPECT_EQ(access_of(log).reason, "");
  log.set_response_code(404);
  EXPECT_EQ(access_of(log).reason, "Request failed");
  log.set_auth_success(false);
  EXPECT_EQ(access_of(log).reason, "Authentication failed");
  log.set_protocol("tcp");
  EXPECT_EQ(access_of(log).reason, "");
}

TEST(ProxyRequests, LongPathIsCutBetweenCharacters) {
  auto request = a_report();
  request.mutable_log()->set_path("/" + std::string(2'046, 'x') + "\u00e4" +
                                  std::string(4'000, 'y'));
  EXPECT_TRUE(check_request(request));
  EXPECT_EQ(access_of(request.log()).path, "/" + std::string(2'046, 'x'));
}

TEST(ProxyRequests, ClaimHasTheSecretsOfItsKindThatAreSwitchedOn) {
  Service service;
  service.id = ServiceId("s");
  service.auth.pin = SecretAuth{true, "pin-hash"};
  service.auth.password = SecretAuth{false, "password-hash"};
  service.auth.headers = {
      {true, "X-Key", "one"}, {false, "X-Key", "two"}, {true, "X-Other", "three"}};
  using Strings = std::vector<std::string>;
  pb::AuthenticateRequest request;
  EXPECT_EQ(claim_of(request, service).attempt.hashes, Strings{}) << "shows nothing";
  request.mutable_pin()->set_pin("123456");
  EXPECT_EQ(claim_of(request, service).attempt.hashes, Strings{"pin-hash"});
  EXPECT_EQ(claim_of(request, service).user, "pin-user");
  request.mutable_password()->set_password("123456");
  EXPECT_EQ(claim_of(request, service).attempt.hashes, Strings{});
  request.mutable_header_auth()->set_header_name("x-key");
  request.mutable_header_auth()->set_header_value("v");
  const VisitorClaim claim = claim_of(request, service);
  EXPECT_EQ(claim.attempt.hashes, Strings{"one"});
  EXPECT_EQ(claim.attempt.kind, app::VisitorSecret::kHeader);
  EXPECT_EQ(claim.attempt.secret.reveal(), "v");
  EXPECT_EQ(claim.method, "header");
}

TEST(ProxyRequests, VisitorsComeBackToAHostThatEveryBrowserReadsTheSame) {
  pb::GetOIDCURLRequest request;
  const auto host = [&](const std::string& url) {
    request.set_redirect_url(url);
    const auto found = visited_host(request);
    return found ? *found : std::string();
  };
  EXPECT_EQ(host("https://App.Example.Net:8443/a?b"), "app.example.net");
  EXPECT_EQ(host("https://app.example.net/@alice?mail=a@b"), "app.example.net");
  for (const char* bad :
       {"", "app.example.net", "ftp://app.example.net/", "javascript:alert(1)",
        "https://app.example.net@evil.test/", "https://evil.test\\@app.example.net/",
        "https://app.example.net/\r\nx: y", "https:///x"})
    EXPECT_EQ(host(bad), "") << bad;
  EXPECT_EQ(host("https://app.example.net/" + std::string(4'096, 'x')), "");
}

}  // namespace
}  // namespace nb::management::grpc
