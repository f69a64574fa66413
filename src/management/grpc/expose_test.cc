#include "management/grpc/expose.h"

#include "proto/management.pb.h"

#include <gtest/gtest.h>

#include <functional>

namespace nb::management::grpc {
namespace {

namespace pb = ::management;

Error refused(const std::function<void(pb::ExposeServiceRequest&)>& change) {
  pb::ExposeServiceRequest request;
  request.set_port(8080);
  request.set_protocol(pb::EXPOSE_HTTP);
  EXPECT_TRUE(check_expose(request));
  change(request);
  const auto result = check_expose(request);
  return result ? Error{Code::kOk, ""} : result.error();
}

TEST(Expose, EachFieldIsChecked) {
  EXPECT_EQ(refused([](auto& r) { r.set_port(70'000); }),
            (Error{Code::kInvalidArgument, "port out of range: 70000"}));
  EXPECT_EQ(refused([](auto& r) { r.set_listen_port(65'536); }),
            (Error{Code::kInvalidArgument, "listen_port out of range: 65536"}));
  EXPECT_EQ(refused([](auto& r) { r.set_protocol(static_cast<pb::ExposeProtocol>(9)); }).code,
            Code::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.set_port(0); }).code, Code::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.set_pin("12345"); }).code, Code::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.set_pin("12345x"); }).code, Code::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.set_pin("123456"); }).code, Code::kOk);
  EXPECT_EQ(refused([](auto& r) {
              r.set_pin("123456");
              r.set_protocol(pb::EXPOSE_TCP);
            }).code,
            Code::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.add_user_groups(""); }).code, Code::kInvalidArgument);
  for (const char* prefix : {"-a", "a-", "A", "a_b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})
    EXPECT_EQ(refused([&](auto& r) { r.set_name_prefix(prefix); }).code, Code::kInvalidArgument);
  for (const char* prefix : {"a", "a-b", "0"})
    EXPECT_EQ(refused([&](auto& r) { r.set_name_prefix(prefix); }).code, Code::kOk);
}

TEST(Expose, DomainIsRequired) {
  EXPECT_EQ(check_expose_domain("").error(), (Error{Code::kInvalidArgument, "domain is required"}));
  EXPECT_TRUE(check_expose_domain("a.example"));
}

}  // namespace
}  // namespace nb::management::grpc
