#include "management/grpc/flows.h"

#include "proto/management.pb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::management::grpc {
namespace {

namespace pb = ::management;
using testing::ElementsAre;

FlowSettings settings() {
  return {.provider = "Hosted",
          .client_id = "cli",
          .client_secret = "secret",
          .domain = "idp.example",
          .audience = "aud",
          .device_auth_endpoint = "https://idp.example/device",
          .token_endpoint = "https://idp.example/token",
          .authorization_endpoint = "https://idp.example/authorize",
          .scope = "openid email",
          .use_id_token = true,
          .redirect_urls = {"http://localhost:53000", "http://localhost:54000"},
          .disable_prompt_login = true,
          .login_flag = 2};
}

template <class Flow>
Flow parsed(const Result<std::string>& bytes) {
  Flow out;
  EXPECT_TRUE(bytes && out.ParseFromString(*bytes));
  return out;
}

TEST(Flows, DeviceFlowIsWhatTheFileSays) {  // contract/management-grpc.md §5.9
  const auto flow = parsed<pb::DeviceAuthorizationFlow>(encode_device_flow(settings()));
  EXPECT_EQ(flow.provider(), pb::DeviceAuthorizationFlow::HOSTED);
  const auto& config = flow.providerconfig();
  EXPECT_EQ(config.clientid(), "cli");
  EXPECT_EQ(config.clientsecret(), "secret");
  EXPECT_EQ(config.domain(), "idp.example");
  EXPECT_EQ(config.audience(), "aud");
  EXPECT_EQ(config.deviceauthendpoint(), "https://idp.example/device");
  EXPECT_EQ(config.tokenendpoint(), "https://idp.example/token");
  EXPECT_EQ(config.scope(), "openid email");
  EXPECT_TRUE(config.useidtoken());
  EXPECT_TRUE(config.authorizationendpoint().empty());
}

TEST(Flows, PkceFlowIsWhatTheFileSays) {
  const auto flow = parsed<pb::PKCEAuthorizationFlow>(encode_pkce_flow(settings()));
  const auto& config = flow.providerconfig();
  EXPECT_EQ(config.clientid(), "cli");
  EXPECT_EQ(config.clientsecret(), "secret");
  EXPECT_EQ(config.audience(), "aud");
  EXPECT_EQ(config.tokenendpoint(), "https://idp.example/token");
  EXPECT_EQ(config.authorizationendpoint(), "https://idp.example/authorize");
  EXPECT_EQ(config.scope(), "openid email");
  EXPECT_TRUE(config.useidtoken());
  EXPECT_THAT(config.redirecturls(),
              ElementsAre("http://localhost:53000", "http://localhost:54000"));
  EXPECT_TRUE(config.disablepromptlogin());
  EXPECT_EQ(config.loginflag(), 2U);
}

TEST(Flows, WhatIsNotThereIsNotFoundAndWhatHasNoWordIsInvalid) {
  const Error none{Code::kNotFound, "no device authorization flow information available"};
  EXPECT_EQ(encode_device_flow(std::nullopt).error(), none);
  FlowSettings flow = settings();
  flow.provider = "none";
  EXPECT_EQ(encode_device_flow(flow).error(), none);
  flow.provider = "google";
  EXPECT_EQ(encode_device_flow(flow).error(),
            (Error{Code::kInvalidArgument, "no provider found in the protocol for google"}));
  EXPECT_EQ(encode_pkce_flow(std::nullopt).error(),
            (Error{Code::kNotFound, "no pkce authorization flow information available"}));
}

}  // namespace
}  // namespace nb::management::grpc
