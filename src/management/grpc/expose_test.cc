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
  EXPECT_TRUE(expose_command(request));
  change(request);
  const auto result = expose_command(request);
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
  for (const std::string& name : {std::string(2'000, 'g'), std::string("a\0b", 3)})
    EXPECT_EQ(refused([&](auto& r) { r.add_user_groups(name); }).code, Code::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.add_user_groups(std::string(1'024, 'g')); }).code, Code::kOk);
  EXPECT_EQ(refused([](auto& r) {
              for (int i = 0; i < 101; ++i) r.add_user_groups("g");
            }).code,
            Code::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.set_password(std::string(257, 'p')); }).code,
            Code::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.set_domain(std::string(254, 'd')); }).code,
            Code::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.set_domain("a b.example"); }).code, Code::kInvalidArgument);
  EXPECT_EQ(refused([](auto& r) { r.set_domain("edge.example"); }).code, Code::kOk);
  for (const char* prefix : {"-a", "a-", "A", "a_b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})
    EXPECT_EQ(refused([&](auto& r) { r.set_name_prefix(prefix); }).code, Code::kInvalidArgument);
  for (const char* prefix : {"a", "a-b", "0"})
    EXPECT_EQ(refused([&](auto& r) { r.set_name_prefix(prefix); }).code, Code::kOk);
}

TEST(Expose, ProtocolsBecomeModesAndTargets) {
  const auto of = [](pb::ExposeProtocol protocol) {
    pb::ExposeServiceRequest request;
    request.set_port(8080);
    request.set_protocol(protocol);
    const auto command = expose_command(request);
    return command->mode + " " + command->target_protocol;
  };
  EXPECT_EQ(of(pb::EXPOSE_HTTP), "http http");
  EXPECT_EQ(of(pb::EXPOSE_HTTPS), "http https");
  EXPECT_EQ(of(pb::EXPOSE_TCP), "tcp tcp");
  EXPECT_EQ(of(pb::EXPOSE_UDP), "udp udp");
  EXPECT_EQ(of(pb::EXPOSE_TLS), "tls tcp");
}

TEST(Expose, AnswersNameWhereTheServiceIs) {
  ::nb::management::Service service;
  service.name = "blog";
  service.domain = "blog.edge.example";
  service.mode = "http";
  EXPECT_EQ(expose_answer(service).service_url(), "https://blog.edge.example");
  service.mode = "tcp";
  service.listen_port = 2222;
  service.port_auto_assigned = true;
  EXPECT_EQ(expose_answer(service).service_url(), "tcp://blog.edge.example:2222");
  EXPECT_TRUE(expose_answer(service).port_auto_assigned());
}

TEST(Expose, ErrorsAreMappedForAgents) {
  EXPECT_EQ(expose_error(fail(Code::kFailedPrecondition, "too many")),
            (Error{Code::kResourceExhausted, "too many"}));
  EXPECT_EQ(expose_error(fail(Code::kAlreadyExists, "taken")),
            (Error{Code::kAlreadyExists, "taken"}));
  EXPECT_EQ(expose_error(fail(Code::kDeadlineExceeded, "slow")).code, Code::kUnavailable);
  EXPECT_EQ(expose_error(fail(Code::kResourceExhausted, "queue is full")).code, Code::kUnavailable);
  EXPECT_EQ(expose_error(fail(Code::kInternal, "table x")),
            (Error{Code::kInternal, "internal error"}));
}

TEST(Expose, DomainIsRequired) {
  EXPECT_EQ(check_expose_domain("").error(), (Error{Code::kInvalidArgument, "domain is required"}));
  EXPECT_EQ(check_expose_domain(std::string(254, 'd')).error().code, Code::kInvalidArgument);
  EXPECT_EQ(check_expose_domain(std::string("a\0b", 3)).error().code, Code::kInvalidArgument);
  EXPECT_TRUE(check_expose_domain("a.example"));
}

}  // namespace
}  // namespace nb::management::grpc
