// Reverse proxies on one netbird-mgmt with SQLite; visitors who sign in at somebody else's
// provider.
#include "integration/proxy_site.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;
using testing::HasSubstr;

const std::map<std::string, std::string> kEnv = {{"NB_SETUP_PAT_ENABLED", "true"},
                                                 // Nobody looks in time without being told.
                                                 {"NB_MGMT_ANTI_ENTROPY_INTERVAL", "10m"}};

class ProxySingle : public ProxySite {
 protected:
  ProxySingle()
      : port(free_port()),
        server({.env = kEnv,
                .json = embedded_idp("http://127.0.0.1:" + std::to_string(port) + "/oauth2", ""),
                .port = port}) {
    server.start();
    found(server);
  }
  std::uint16_t port;
  MgmtServer server;
};

TEST_F(ProxySingle, MappingsFollowTheApi) {
  Proxy proxy(server.target(), token);
  ASSERT_TRUE(proxy.wait_synced());
  EXPECT_THAT(clusters(server), HasSubstr(R"("online":true,"connected_proxies":1)"));
  const std::string domain = std::string("app.") + kCluster;
  const std::string id = service(domain);
  const auto mapping = proxy.wait_mapping(domain);
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->account_id(), account);
  EXPECT_EQ(mapping->path(0).target(), "http://" + peer_ip + ":8080/");
  const std::string path = "/api/reverse-proxies/services/" + id;
  EXPECT_EQ(api("PUT", path, body(domain, R"(,"pass_host_header":true)")).status, 200);
  EXPECT_TRUE(proxy.wait_mapping(domain, [](const auto& m) { return m.pass_host_header(); }));
  EXPECT_EQ(api("DELETE", path).status, 200);
  EXPECT_TRUE(proxy.wait_gone(id));
  EXPECT_FALSE(proxy.ended());
}

TEST_F(ProxySingle, RestartedServerTakesTheProxyAgain) {
  const std::string domain = std::string("app.") + kCluster;
  {
    Proxy proxy(server.target(), token);
    ASSERT_TRUE(proxy.wait_synced());
    service(domain);
    server.process().kill();
    const auto end = proxy.wait_end();
    ASSERT_TRUE(end);
    EXPECT_EQ(end->error_code(), StatusCode::UNAVAILABLE);
  }
  server.start();
  Proxy again(server.target(), token);
  EXPECT_TRUE(again.wait_synced());
  EXPECT_TRUE(again.wait_mapping(domain));
  EXPECT_THAT(clusters(server), HasSubstr(R"("connected_proxies":1)"));
}

TEST_F(ProxySingle, ReportsAppearInTheApi) {
  Proxy proxy(server.target(), token);
  ASSERT_TRUE(proxy.wait_synced());
  const std::string domain = std::string("app.") + kCluster;
  const std::string id = service(domain);
  pb::SendAccessLogRequest access;
  pb::AccessLog& log = *access.mutable_log();
  log.set_log_id("log-1");
  log.set_account_id(account);
  log.set_service_id(id);
  log.set_host(domain);
  log.set_path("/<script>alert(1)</script>' OR 1=1 --");
  log.set_source_ip("192.0.2.7");
  log.mutable_timestamp()->set_seconds(1'800'000'000);
  (*log.mutable_metadata())["k"] = "<b>";
  pb::SendAccessLogResponse noted;
  EXPECT_TRUE(
      ask(server.target(), token, &pb::ProxyService::Stub::SendAccessLog, access, noted).ok());
  const std::string listed = api("GET", "/api/events/proxy").body;
  EXPECT_THAT(listed, HasSubstr(R"("source_ip":"192.0.2.7")"));
  EXPECT_THAT(listed, HasSubstr(R"("total_records":1)"));
  EXPECT_THAT(listed, Not(HasSubstr("<script>")));
  pb::SendStatusUpdateRequest status;
  status.set_account_id(account);
  status.set_service_id(id);
  status.set_status(pb::PROXY_STATUS_CERTIFICATE_FAILED);
  pb::SendStatusUpdateResponse updated;
  EXPECT_TRUE(
      ask(server.target(), token, &pb::ProxyService::Stub::SendStatusUpdate, status, updated).ok());
  EXPECT_THAT(api("GET", "/api/reverse-proxies/services/" + id).body,
              HasSubstr(R"("status":"certificate_failed")"));
}

TEST_F(ProxySingle, VisitorsComeInAndOneTimeTokensAreGoodOnce) {
  Proxy proxy(server.target(), token);
  ASSERT_TRUE(proxy.wait_synced());
  const std::string domain = std::string("app.") + kCluster;
  const std::string id = service(domain, R"(,"auth":{"pin_auth":{"enabled":true,"pin":"123456"}})");
  EXPECT_EQ(*enter(server, token, id, "123456"), true);
  EXPECT_EQ(*enter(server, token, id, "123457"), false);
  const auto mapping = proxy.wait_mapping(domain);
  ASSERT_TRUE(mapping);
  Agent embedded("proxy");
  pb::CreateProxyPeerRequest request;
  request.set_account_id(account);
  request.set_service_id(id);
  request.set_token(mapping->auth_token());
  request.set_cluster(kCluster);
  request.set_wireguard_public_key(embedded.key());
  pb::CreateProxyPeerResponse made;
  const auto create = [&] {
    return ask(server.target(), token, &pb::ProxyService::Stub::CreateProxyPeer, request, made);
  };
  EXPECT_TRUE(create().ok());
  EXPECT_EQ(create().error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_TRUE(embedded.login(server.target()).ok());
  pb::ValidateTunnelPeerRequest tunnel;
  tunnel.set_domain(domain);
  tunnel.set_tunnel_ip(peer_ip);
  pb::ValidateTunnelPeerResponse known;
  EXPECT_TRUE(
      ask(server.target(), token, &pb::ProxyService::Stub::ValidateTunnelPeer, tunnel, known).ok());
  EXPECT_TRUE(known.valid()) << known.denied_reason();
}

TEST_F(ProxySingle, TokenRevokedOverTheApiEndsItsStream) {
  const auto made =
      api("POST", "/api/reverse-proxies/proxy-tokens", R"({"name":"own","expires_in":3600})");
  Proxy mine(server.target(), after(made.body, R"("plain_token":")"),
             {.id = "mine", .address = "own.example.net"});
  Proxy other(server.target(), token);
  ASSERT_TRUE(mine.wait_synced() && other.wait_synced());
  const std::string path = "/api/reverse-proxies/proxy-tokens/" + after(made.body, R"("id":")");
  EXPECT_EQ(api("DELETE", path).status, 200);
  const auto end = mine.wait_end();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_FALSE(other.ended());
}

/// Management without a provider of its own: users are those of an installation beside it.
class ProxyOfOthersUsers : public ProxySite {
 protected:
  ProxyOfOthersUsers()
      : provider_port(free_port()),
        issuer("http://127.0.0.1:" + std::to_string(provider_port) + "/oauth2"),
        port(free_port()),
        site("http://127.0.0.1:" + std::to_string(port)),
        provider({.env = kEnv,
                  .json = embedded_idp(issuer, "",
                                       R"(,"DashboardRedirectURIs":[")" + site + "/nb-auth\",\"" +
                                           site + R"(/api/reverse-proxy/callback"])"),
                  .port = provider_port}),
        server({.env = kEnv,
                .json = R"("HttpConfig":{"AuthIssuer":")" + issuer +
                        R"(","AuthAudience":"netbird-dashboard","AuthKeysLocation":")" + issuer +
                        R"(/keys","AuthClientID":"netbird-dashboard","AuthCallbackURL":")" + site +
                        R"(/api/reverse-proxy/callback"},)",
                .port = port}) {
    provider.start();
    server.start();
    EXPECT_FALSE(set_up(web, provider).empty());
    found(server, "Bearer " + access_token(web, provider, site + "/nb-auth"));
  }
  std::uint16_t provider_port;
  std::string issuer;
  std::uint16_t port;
  std::string site;
  MgmtServer provider;
  MgmtServer server;
};

TEST_F(ProxyOfOthersUsers, VisitorSignsInThereAndComesBackWithASession) {
  Proxy proxy(server.target(), token);
  ASSERT_TRUE(proxy.wait_synced());
  const std::string domain = std::string("app.") + kCluster;
  const std::string id =
      service(domain, R"(,"auth":{"bearer_auth":{"enabled":true,"distribution_groups":[]}})");
  pb::GetOIDCURLRequest request;
  request.set_account_id(account);
  request.set_id(id);
  request.set_redirect_url("https://" + domain + "/deep?x=1");
  pb::GetOIDCURLResponse where;
  const auto url = [&] {
    return ask(server.target(), token, &pb::ProxyService::Stub::GetOIDCURL, request, where);
  };
  const auto asked = url();
  ASSERT_TRUE(asked.ok()) << asked.error_message();
  ASSERT_THAT(where.url(), testing::StartsWith(issuer + "/"));
  const std::string back = sign_in(web, provider, where.url().substr(where.url().find("/oauth2/")));
  ASSERT_THAT(back, testing::StartsWith(site + "/api/reverse-proxy/callback?"));
  const std::string callback = back.substr(site.size());
  const auto done = web.send(server, "GET", callback);
  ASSERT_EQ(done.status, 302) << done.body;
  const std::string home(done.header("location"));
  ASSERT_THAT(home, HasSubstr("https://" + domain + "/deep?x=1&session_token="));
  EXPECT_EQ(web.send(server, "GET", callback).status, 400) << "once";
  pb::ValidateSessionRequest check;
  check.set_domain(domain);
  check.set_session_token(after(home, "session_token="));
  pb::ValidateSessionResponse session;
  ASSERT_TRUE(
      ask(server.target(), token, &pb::ProxyService::Stub::ValidateSession, check, session).ok());
  EXPECT_TRUE(session.valid()) << session.denied_reason();
  EXPECT_EQ(session.user_email(), kOwnerMail);

  EXPECT_EQ(url().error_code(), StatusCode::OK);
  const std::string other =
      sign_in(web, provider, where.url().substr(where.url().find("/oauth2/")));
  std::string forged = other.substr(site.size());
  forged.insert(forged.find("state=") + 6, "A");
  EXPECT_EQ(web.send(server, "GET", forged).status, 400);
  // A provider that is away ends nothing that was there before.
  provider.process().kill();
  ASSERT_TRUE(
      ask(server.target(), token, &pb::ProxyService::Stub::ValidateSession, check, session).ok());
  EXPECT_TRUE(session.valid());
  EXPECT_NE(web.send(server, "GET", other.substr(site.size())).status, 302);
  EXPECT_FALSE(proxy.ended());
}

}  // namespace
}  // namespace nb::test
