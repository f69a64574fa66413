// netbird-mgmt with somebody else's identity provider, of which it knows the discovery document
// only (HttpConfig.OIDCConfigEndpoint, contract/signal-relay-ops.md §6.1).
#include "integration/oidc_provider.h"
#include "integration/web.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::test {
namespace {
using namespace std::chrono_literals;
using ::testing::HasSubstr;

class ExternalIdp : public ::testing::Test {
 protected:
  [[nodiscard]] MgmtOptions options(const std::string& more = {}) const {
    MgmtOptions out;
    out.json = fmt::format(
        R"("HttpConfig":{{"AuthAudience":"nb","OIDCConfigEndpoint":"{}"{}}},)"
        R"("DeviceAuthorizationFlow":{{"Provider":"hosted","ProviderConfig":)"
        R"({{"ClientID":"cli","Audience":"nb"}}}},"PKCEAuthorizationFlow":{{"ProviderConfig":)"
        R"({{"ClientID":"cli","Audience":"nb","Scope":"openid",)"
        R"("RedirectURLs":["http://localhost:53000"]}}}},)",
        provider.discovery(), more);
    return out;
  }
  template <class Flow>
  struct Told {
    grpc::Status status;
    std::optional<Flow> flow;
  };
  template <class Flow, class Request>
  static Told<Flow> ask_for(const MgmtServer& server,
                            grpc::Status (pb::ManagementService::Stub::*method)(
                                grpc::ClientContext*, const pb::EncryptedMessage&,
                                pb::EncryptedMessage*)) {
    const Agent agent("laptop");
    const auto key = agent.server_key(server.target());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + patient(10s));
    pb::EncryptedMessage sealed;
    const auto service = stub(server.target());
    Told<Flow> told;
    told.status = ((*service).*method)(&context, agent.seal(Request(), key.value), &sealed);
    if (told.status.ok()) told.flow = agent.open<Flow>(sealed, key.value);
    return told;
  }
  static auto device_flow(const MgmtServer& server) {
    return ask_for<pb::DeviceAuthorizationFlow, pb::DeviceAuthorizationFlowRequest>(
        server, &pb::ManagementService::Stub::GetDeviceAuthorizationFlow);
  }
  static auto pkce_flow(const MgmtServer& server) {
    return ask_for<pb::PKCEAuthorizationFlow, pb::PKCEAuthorizationFlowRequest>(
        server, &pb::ManagementService::Stub::GetPKCEAuthorizationFlow);
  }
  void expect_flows(const MgmtServer& server) const {
    const auto [device_status, device] = device_flow(server);
    ASSERT_TRUE(device) << device_status.error_message();
    EXPECT_EQ(device->providerconfig().tokenendpoint(), provider.url("/token"));
    EXPECT_EQ(device->providerconfig().deviceauthendpoint(), provider.url("/device"));
    EXPECT_EQ("http://" + device->providerconfig().domain(), provider.url(""));
    EXPECT_EQ(device->providerconfig().scope(), "openid");
    EXPECT_EQ(device->providerconfig().clientid(), "cli");
    const auto [pkce_status, pkce] = pkce_flow(server);
    ASSERT_TRUE(pkce) << pkce_status.error_message();
    EXPECT_EQ(pkce->providerconfig().tokenendpoint(), provider.url("/token"));
    EXPECT_EQ(pkce->providerconfig().authorizationendpoint(), provider.url("/authorize"));
  }
  [[nodiscard]] int users_seen_by(const MgmtServer& server, const std::string& user) const {
    Web web;
    return web.send(server, "GET", "/api/users", "", "Bearer " + provider.token(user)).status;
  }
  OidcProvider provider;
};

TEST_F(ExternalIdp, TellsItselfAndMayBeAwayAtTheNextStart) {
  provider.start();
  MgmtServer server(options());
  server.start();
  expect_flows(server);
  EXPECT_EQ(users_seen_by(server, "olga"), 200);
  server.process().kill();
  provider.stop();
  server.start();
  expect_flows(server);
  EXPECT_THAT(server.process().output(), HasSubstr("its last known document is used"));
  provider.start();
  EXPECT_TRUE(eventually([&] { return users_seen_by(server, "olga") == 200; }, 20s));
}

TEST_F(ExternalIdp, MayBeAwayAtTheVeryFirstStart) {
  MgmtServer server(options());
  const auto before = std::chrono::steady_clock::now();
  server.start();
  EXPECT_LT(std::chrono::steady_clock::now() - before, patient(20s));
  const std::string health = http_get(server.metrics_port(), "/readyz").body;
  EXPECT_THAT(health, HasSubstr(R"("identity_provider":{"status":"degraded")"));
  EXPECT_THAT(health, HasSubstr("users cannot log in"));

  // Who needs no provider is served; who needs it is told to come again.
  const std::string key = server.setup_key();
  const Agent machine("machine");
  EXPECT_TRUE(machine.login(server.target(), key).ok());
  EXPECT_EQ(users_seen_by(server, "olga"), 503) << "says nothing of the token";
  EXPECT_EQ(device_flow(server).status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(pkce_flow(server).status.error_code(), grpc::StatusCode::UNAVAILABLE);

  provider.start();
  // She is known, but the account is another's: the setup key's, whom she joins.
  EXPECT_TRUE(eventually([&] { return users_seen_by(server, "olga") == 403; }, 60s))
      << users_seen_by(server, "olga");
  EXPECT_TRUE(server.process().wait_for_output("user joined", 5s));
  expect_flows(server);
  EXPECT_TRUE(eventually([&] {
    return http_get(server.metrics_port(), "/readyz")
               .body.find(R"("identity_provider":{"status":"ok")") != std::string::npos;
  }));
  // Known from now on, also where it is away again.
  server.process().kill();
  provider.stop();
  server.start();
  expect_flows(server);
}

TEST_F(ExternalIdp, IsNotNeededWhereTheFileNamesIssuerAndKeys) {
  MgmtServer server(options(fmt::format(R"(,"AuthIssuer":"{}","AuthKeysLocation":"{}")",
                                        provider.url("/realm"), provider.url("/keys"))));
  server.start();
  provider.start();
  EXPECT_TRUE(eventually([&] { return users_seen_by(server, "olga") == 200; }, 20s));
}

}  // namespace
}  // namespace nb::test
