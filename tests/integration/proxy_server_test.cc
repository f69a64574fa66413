// Reverse proxies on two netbird-mgmt over one PostgreSQL and one Redis: official gRPC client, the
// embedded identity provider, REST.
#include "integration/proxy_site.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;
using testing::HasSubstr;

constexpr const char* kDashboard = "http://dash.test/nb-auth";

class ProxyServer : public ProxySite {
 protected:
  /// `looks`: how often a stream looks without being told.
  explicit ProxyServer(const std::string& looks = "2s")
      : port_two(free_port()),
        one(options(looks, "mgmt-1")),
        two(options(looks, "mgmt-2", port_two)) {
    postgres.create_database("idp");
    one.start();
    two.start();
    found(one);
  }
  MgmtOptions options(const std::string& looks, const std::string& instance,
                      std::uint16_t port = 0) const {
    return {.instance = instance,
            .postgres_dsn = postgres.dsn(),
            .redis = redis.address(),
            .env = {{"NB_SETUP_PAT_ENABLED", "true"},
                    {"NB_MGMT_HEARTBEAT_INTERVAL", "1s"},
                    {"NB_MGMT_ANTI_ENTROPY_INTERVAL", looks}},
            .json = embedded_idp(
                "http://127.0.0.1:" + std::to_string(port_two) + "/oauth2", postgres.dsn("idp"),
                std::string(R"(,"DashboardRedirectURIs":[")") + kDashboard + R"("])"),
            .port = port};
  }
  /// The one secret of the service, hashed so that a busy machine spends no time on tries.
  void rehash(const std::string& id, const std::string& bcrypt) const {
    postgres.psql(R"(update services set auth = regexp_replace(auth, '\$argon2id\$[^"]*', ')" +
                  bcrypt + "') where id='" + id + "'");
  }
  /// Somebody who may guess as he likes has run out of tries.
  bool runs_out(const std::function<Result<bool>(const MgmtServer&)>& guess) {
    for (int i = 0; i < 1'000; ++i)  // one comes back with each second
      if (const auto tried = guess(i % 2 == 0 ? one : two); !tried)
        return tried.error().code == Code::kResourceExhausted;
    return false;
  }
  std::string rows(const std::string& table) const {
    return postgres.psql("select count(*) from " + table);
  }

  PostgresServer postgres;
  RedisServer redis;
  std::uint16_t port_two;
  MgmtServer one;
  MgmtServer two;
};

/// Nobody looks in time without being told.
class ToldProxies : public ProxyServer {
 protected:
  ToldProxies() : ProxyServer("10m") {}
};

TEST_F(ProxyServer, MappingsReachAProxyOfTheOtherInstance) {
  Proxy proxy(two.target(), token);
  ASSERT_TRUE(proxy.wait_synced());
  EXPECT_THAT(clusters(one), HasSubstr(std::string(R"("address":")") + kCluster +
                                       R"(","type":"shared","online":true,"connected_proxies":1)"));
  const std::string domain = std::string("app.") + kCluster;
  const std::string id = service(domain, R"(,"auth":{"pin_auth":{"enabled":true,"pin":"123456"}})");
  const auto mapping = proxy.wait_mapping(domain);
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->id(), id);
  EXPECT_EQ(mapping->account_id(), account);
  EXPECT_EQ(mapping->mode(), "http");
  EXPECT_TRUE(mapping->auth().pin());
  EXPECT_FALSE(mapping->auth().password());
  EXPECT_FALSE(mapping->auth_token().empty());
  ASSERT_EQ(mapping->path_size(), 1);
  const std::string ip =
      postgres.psql("select trim(both '\"' from ip) from peers where id='" + peer + "'");
  EXPECT_EQ(mapping->path(0).target(), "http://" + ip + ":8080/");
  EXPECT_EQ(mapping->path(0).path(), "/");
  const std::string one_service = "/api/reverse-proxies/services/" + id;
  EXPECT_EQ(
      web.send(two, "PUT", one_service, body(domain, R"(,"pass_host_header":true)"), pat).status,
      200);
  EXPECT_TRUE(proxy.wait_mapping(domain, [](const auto& m) { return m.pass_host_header(); }));
  EXPECT_EQ(web.send(one, "DELETE", one_service, {}, pat).status, 200);
  EXPECT_TRUE(proxy.wait_gone(id));
  EXPECT_FALSE(proxy.ended());
}

/// Peers expose through any instance, here through the balancer in front of both.
TEST_F(ProxyServer, PeersExposeServicesAndEachEndsOnce) {
  HaProxy balancer({{.name = "one", .port = one.port(), .check_port = one.metrics_port()},
                    {.name = "two", .port = two.port(), .check_port = two.metrics_port()}});
  const std::string target = balancer.address();
  Proxy proxy(two.target(), token);
  ASSERT_TRUE(proxy.wait_synced());
  pb::ExposeServiceRequest request;
  request.set_port(8080);
  request.set_protocol(pb::EXPOSE_HTTP);
  request.set_name_prefix("blog");
  request.set_password("let me in");
  const auto off = machine.expose(target, request);
  EXPECT_EQ(off.status.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(off.status.error_message(), "peer expose is not enabled for this account");
  postgres.psql(
      "update accounts set settings_peer_expose_enabled = true, settings_peer_expose_groups = "
      "(select json_build_array(id)::text from groups where name = 'All')");
  const auto made = machine.expose(target, request);
  ASSERT_TRUE(made.ok()) << made.status.error_message();
  const std::string domain = made.value.domain();
  EXPECT_THAT(domain, testing::MatchesRegex("blog-[a-z0-9]{4}.edge.example.net"));
  EXPECT_EQ(made.value.service_url(), "https://" + domain);
  const auto mapping = proxy.wait_mapping(domain);
  ASSERT_TRUE(mapping);
  EXPECT_TRUE(mapping->auth().password());
  ASSERT_EQ(mapping->path_size(), 1);
  EXPECT_THAT(mapping->path(0).target(), testing::EndsWith(":8080/"));
  EXPECT_THAT(web.send(one, "GET", "/api/reverse-proxies/services", {}, pat).body,
              HasSubstr(domain));
  for (const std::string& at : {one.target(), two.target(), target})
    EXPECT_TRUE(machine.renew_expose(at, domain).ok());
  // Somebody else's, nobody's, and none.
  const Agent other("other");
  ASSERT_TRUE(other.login(two.target(), one.setup_key()).ok());
  EXPECT_EQ(other.stop_expose(target, domain).status.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(other.renew_expose(target, domain).status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(machine.renew_expose(target, "x." + domain).status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(machine.stop_expose(target, "").status.error_code(), StatusCode::INVALID_ARGUMENT);
  const Agent stranger("stranger");
  EXPECT_EQ(stranger.expose(target, request).status.error_message(), "peer is not registered");
  // Ended by its peer through one, by time through whoever sweeps first.
  pb::StopExposeRequest stop;
  stop.set_domain(domain);
  const pb::EncryptedMessage recorded = machine.seal(stop, machine.server_key(target).value);
  const auto send = [&](const MgmtServer& at) {
    grpc::ClientContext context;
    pb::EncryptedMessage response;
    return stub(at.target())->StopExpose(&context, recorded, &response);
  };
  ASSERT_TRUE(send(one).ok());
  EXPECT_TRUE(proxy.wait_gone(mapping->id()));
  // Who recorded it ends nothing with it, anywhere, not even what has the same name again.
  const auto renamed = machine.expose(target, request);
  ASSERT_TRUE(renamed.ok()) << renamed.status.error_message();
  postgres.psql("update services set domain = '" + domain + "'");
  for (const MgmtServer* const at : {&one, &two}) {
    const grpc::Status replayed = send(*at);
    EXPECT_EQ(replayed.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(replayed.error_message(), "invalid request message");
  }
  EXPECT_EQ(rows("services"), "1");
  ASSERT_TRUE(machine.stop_expose(two.target(), domain).ok());
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(machine.expose(target, request).ok()) << i;
  const auto beyond = machine.expose(target, request);
  EXPECT_EQ(beyond.status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(beyond.status.error_message(),
            "peer has reached the maximum number of active expose sessions (10)");
  postgres.psql("update services set meta_last_renewed_at = now() - interval '91 seconds'");
  EXPECT_TRUE(eventually([&] { return rows("services") == "0"; }, 30s));
  EXPECT_EQ(one.metric("netbird_management_exposures_expired_total") +
                two.metric("netbird_management_exposures_expired_total"),
            10);
  const std::string events = "/api/events/audit";
  EXPECT_TRUE(eventually(
      [&] {
        const std::string page = web.send(one, "GET", events, {}, pat).body;
        std::size_t expired = 0;
        for (std::size_t at = page.find("service.peer.expose.expire"); at != std::string::npos;
             at = page.find("service.peer.expose.expire", at + 1))
          ++expired;
        return expired == 10;
      },
      30s));
  EXPECT_FALSE(proxy.ended());
}

TEST_F(ProxyServer, StreamOfAKilledInstanceGoesOnElsewhere) {
  auto before = std::make_unique<Proxy>(one.target(), token);
  ASSERT_TRUE(before->wait_synced());
  const std::string domain = std::string("app.") + kCluster;
  const std::string id = service(domain);
  ASSERT_TRUE(before->wait_mapping(domain));
  one.process().kill();
  const auto end = before->wait_end();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->error_code(), StatusCode::UNAVAILABLE);
  Proxy after_it(two.target(), token);
  ASSERT_TRUE(after_it.wait_synced());
  EXPECT_TRUE(after_it.wait_mapping(domain));
  EXPECT_THAT(clusters(two), HasSubstr(R"("connected_proxies":1)"));
  EXPECT_EQ(rows("proxies"), "1");
  EXPECT_EQ(web.send(two, "DELETE", "/api/reverse-proxies/services/" + id, {}, pat).status, 200);
  EXPECT_TRUE(after_it.wait_gone(id));
}

TEST_F(ProxyServer, NewerStreamElsewhereEndsTheOldOne) {
  Proxy old(one.target(), token);
  ASSERT_TRUE(old.wait_synced());
  Proxy fresh(two.target(), token);
  ASSERT_TRUE(fresh.wait_synced());
  const auto end = old.wait_end();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->error_code(), StatusCode::ABORTED);
  EXPECT_THAT(clusters(one), HasSubstr(R"("connected_proxies":1)"));
  EXPECT_FALSE(fresh.ended());
}

TEST_F(ProxyServer, ClusterOfSilentProxiesIsOffline) {
  {
    Proxy proxy(one.target(), token);
    ASSERT_TRUE(proxy.wait_synced());
  }
  EXPECT_TRUE(eventually(
      [&] { return clusters(two).find(R"("online":false)") != std::string::npos; }, 10s));
  // A proxy whose instance died said nothing; its time runs out.
  postgres.psql("update proxies set status = 'connected', last_seen = now()");
  EXPECT_THAT(clusters(two), HasSubstr(R"("online":true)"));
  postgres.psql("update proxies set last_seen = now() - interval '121 seconds'");
  EXPECT_THAT(clusters(two), HasSubstr(R"("online":false)"));
}

TEST_F(ToldProxies, RevokedTokenEndsStreamsOnEveryInstance) {
  Proxy at_one(one.target(), token, {.id = "p1"});
  Proxy at_two(two.target(), token, {.id = "p2"});
  ASSERT_TRUE(at_one.wait_synced() && at_two.wait_synced());
  EXPECT_EQ(one.verb({"admin", "token", "revoke", token_id}).status, 0);
  for (const Proxy* proxy : {&at_one, &at_two}) {
    const auto end = proxy->wait_end();
    ASSERT_TRUE(end);
    EXPECT_EQ(end->error_code(), StatusCode::UNAUTHENTICATED);
  }
  Proxy again(two.target(), token);
  const auto refused = again.wait_end();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(refused->error_message(), "token expired or revoked");
}

TEST_F(ToldProxies, TokenRevokedOverTheApiEndsStreamsOnEveryInstance) {
  const auto made =
      api("POST", "/api/reverse-proxies/proxy-tokens", R"({"name":"own","expires_in":3600})");
  const std::string own = after(made.body, R"("plain_token":")");
  Proxy at_one(one.target(), own, {.id = "p1", .address = "own.example.net"});
  Proxy at_two(two.target(), own, {.id = "p2", .address = "own.example.net"});
  Proxy other(two.target(), token, {.id = "p3"});
  ASSERT_TRUE(at_one.wait_synced() && at_two.wait_synced() && other.wait_synced());
  const std::string path = "/api/reverse-proxies/proxy-tokens/" + after(made.body, R"("id":")");
  EXPECT_EQ(api("DELETE", path).status, 200);
  for (const Proxy* proxy : {&at_one, &at_two}) {
    const auto end = proxy->wait_end();
    ASSERT_TRUE(end);
    EXPECT_EQ(end->error_code(), StatusCode::UNAUTHENTICATED);
  }
  EXPECT_FALSE(other.ended());
}

TEST_F(ToldProxies, OperatorDisconnectsAllProxiesEverywhere) {
  Proxy at_one(one.target(), token, {.id = "p1"});
  Proxy at_two(two.target(), token, {.id = "p2"});
  ASSERT_TRUE(at_one.wait_synced() && at_two.wait_synced());
  EXPECT_EQ(one.verb({"admin", "proxy", "disconnect-all", "--force"}).status, 0);
  for (const Proxy* proxy : {&at_one, &at_two}) {
    const auto end = proxy->wait_end();
    ASSERT_TRUE(end);
    EXPECT_EQ(end->error_code(), StatusCode::UNAVAILABLE);
  }
}

TEST_F(ProxyServer, EverythingGoesOnWithoutRedis) {
  Proxy at_one(one.target(), token, {.id = "p1"});
  Proxy at_two(two.target(), token, {.id = "p2"});
  ASSERT_TRUE(at_one.wait_synced() && at_two.wait_synced());
  redis.kill();
  const std::string domain = std::string("app.") + kCluster;
  const std::string id = service(domain, R"(,"auth":{"pin_auth":{"enabled":true,"pin":"123456"}})");
  EXPECT_TRUE(at_one.wait_mapping(domain));
  const auto mapping = at_two.wait_mapping(domain);
  ASSERT_TRUE(mapping) << "the database tells the other instance";
  EXPECT_EQ(*enter(two, token, id, "123456"), true);
  EXPECT_EQ(*enter(one, token, id, "123457"), false);
  Agent embedded("proxy");
  pb::CreateProxyPeerRequest request;
  request.set_account_id(account);
  request.set_service_id(id);
  request.set_token(mapping->auth_token());
  request.set_cluster(kCluster);
  request.set_wireguard_public_key(embedded.key());
  pb::CreateProxyPeerResponse made;
  EXPECT_TRUE(
      ask(one.target(), token, &pb::ProxyService::Stub::CreateProxyPeer, request, made).ok());
  redis.start();
  const std::string more = std::string("more.") + kCluster;
  service(more);
  EXPECT_TRUE(at_two.wait_mapping(more));
  EXPECT_EQ(one.verb({"admin", "token", "revoke", token_id}).status, 0);
  for (const Proxy* proxy : {&at_one, &at_two}) EXPECT_TRUE(proxy->wait_end());
}

TEST_F(ProxyServer, GuesserAtOneProxyTakesNoTriesFromTheOthers) {
  const std::string other = proxy_token();
  Proxy proxy(one.target(), token);
  ASSERT_TRUE(proxy.wait_synced());
  const std::string id = service(std::string("app.") + kCluster,
                                 R"(,"auth":{"pin_auth":{"enabled":true,"pin":"123456"}})");
  rehash(id, "$2b$04$abcdefghijklmnopqrstuuFwMibPVIyV1/Vdxb3PVZCmM4bYxIada");
  EXPECT_TRUE(
      runs_out([&](const MgmtServer& server) { return enter(server, token, id, "000000"); }));
  EXPECT_EQ(*enter(two, other, id, "123456"), true);
  EXPECT_EQ(*enter(one, other, id, "123456"), true);
}

// A header is shown with every request of a client that keeps no session.
TEST_F(ProxyServer, ProgramsMayShowTheirHeaderAsOftenAsTheyLike) {
  const std::string value = "0123456789abcdef";
  Proxy proxy(one.target(), token);
  ASSERT_TRUE(proxy.wait_synced());
  const std::string id = service(
      std::string("app.") + kCluster,
      R"(,"auth":{"header_auths":[{"enabled":true,"header":"X-Key","value":")" + value + R"("}]})");
  rehash(id, "$2b$04$abcdefghijklmnopqrstuu47kbr.QCtj6Eh/iTqkY.KdFw1jfyWRK");
  const auto show = [&](const MgmtServer& server, const std::string& text) {
    pb::AuthenticateRequest request;
    request.set_account_id(account);
    request.set_id(id);
    request.mutable_header_auth()->set_header_name("X-Key");
    request.mutable_header_auth()->set_header_value(text);
    return authenticate(server, token, request);
  };
  for (const MgmtServer* server : {&one, &two}) EXPECT_EQ(*show(*server, value), true);
  EXPECT_TRUE(runs_out([&](const MgmtServer& server) { return show(server, "wrong"); }));
  for (int i = 0; i < 70; ++i) ASSERT_EQ(*show(i % 2 == 0 ? one : two, value), true) << i;
}

TEST_F(ProxyServer, WrongCallersAndWrongHellosAreRefused) {
  const std::string expired = proxy_token({"--expires-in", "1s"});
  ASSERT_TRUE(eventually(
      [&] {
        return postgres.psql("select count(*) from proxy_access_tokens where expires_at < now()") ==
               "1";
      },
      10s));
  const std::vector<std::pair<std::string, std::string>> callers = {
      {"", "missing authorization header"},
      {"nbx_0123456789", "invalid token format"},
      {expired, "token expired or revoked"}};
  for (const auto& [wrong, text] : callers) {
    Proxy proxy(one.target(), wrong);
    const auto end = proxy.wait_end();
    ASSERT_TRUE(end);
    EXPECT_EQ(end->error_code(), StatusCode::UNAUTHENTICATED);
    EXPECT_EQ(end->error_message(), text);
  }
  const std::vector<std::pair<Proxy::Options, std::string>> hellos = {
      {{.id = ""}, "proxy_id is required"},
      {{.id = std::string(256, 'x')}, "proxy_id is invalid"},
      {{.address = ""}, "proxy address is invalid"},
      {{.address = "no good"}, "proxy address is invalid"},
      {{.address = std::string(300, 'a')}, "proxy address is invalid"}};
  for (const auto& [hello, text] : hellos) {
    Proxy proxy(one.target(), token, hello);
    const auto end = proxy.wait_end();
    ASSERT_TRUE(end);
    EXPECT_EQ(end->error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(end->error_message(), text);
  }
  EXPECT_EQ(rows("proxies"), "0");
}

TEST_F(ProxyServer, OldProxiesGetTheirMappingsToo) {
  Proxy proxy(one.target(), token, {.id = "new"});
  ASSERT_TRUE(proxy.wait_synced());
  const std::string domain = std::string("app.") + kCluster;
  service(domain);
  const auto stub = proxy_stub(two.target());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 20s);
  authorize(context, token);
  pb::GetMappingUpdateRequest hello;
  hello.set_proxy_id("old");
  hello.set_address(kCluster);
  const auto stream = stub->GetMappingUpdate(&context, hello);
  pb::GetMappingUpdateResponse first;
  ASSERT_TRUE(stream->Read(&first));
  EXPECT_TRUE(first.initial_sync_complete());
  ASSERT_EQ(first.mapping_size(), 1);
  EXPECT_EQ(first.mapping(0).domain(), domain);
  service(std::string("more.") + kCluster);
  pb::GetMappingUpdateResponse second;
  ASSERT_TRUE(stream->Read(&second));
  ASSERT_EQ(second.mapping_size(), 1);
  EXPECT_EQ(second.mapping(0).type(), pb::UPDATE_TYPE_CREATED);
  // It never said whether it can bind ports, so it is told of none.
  service(std::string("l4.") + kCluster, R"(,"mode":"tcp")");
  EXPECT_TRUE(proxy.wait_mapping(std::string("l4.") + kCluster));
  context.TryCancel();
}

TEST_F(ProxyServer, ReportsAppearInTheApiAndNothingElseIsWritten) {
  Proxy proxy(one.target(), token);
  ASSERT_TRUE(proxy.wait_synced());
  const std::string domain = std::string("app.") + kCluster;
  const std::string id = service(domain);
  pb::SendAccessLogRequest access;
  pb::AccessLog& log = *access.mutable_log();
  log.set_log_id("log-1");
  log.set_account_id(account);
  log.set_service_id(id);
  log.set_host(domain);
  log.set_path("/a?b");
  log.set_method("GET");
  log.set_response_code(503);
  log.set_duration_ms(12);
  log.set_source_ip("::ffff:192.0.2.7");
  log.set_auth_mechanism("pin");
  log.set_auth_success(true);
  log.set_protocol("http");
  log.mutable_timestamp()->set_seconds(1'800'000'000);
  (*log.mutable_metadata())["crowdsec_verdict"] = "ban";
  pb::SendAccessLogResponse noted;
  const auto send = [&](const pb::SendAccessLogRequest& request) {
    return ask(two.target(), token, &pb::ProxyService::Stub::SendAccessLog, request, noted);
  };
  EXPECT_TRUE(send(access).ok());
  EXPECT_TRUE(send(access).ok());  // again: its answer was lost
  const std::string listed = web.send(one, "GET", "/api/events/proxy", {}, pat).body;
  EXPECT_THAT(listed, HasSubstr(R"("source_ip":"192.0.2.7","reason":"Request failed")"));
  EXPECT_THAT(listed, HasSubstr(R"("duration_ms":12,"status_code":503)"));
  EXPECT_THAT(listed, HasSubstr(R"("metadata":{"crowdsec_verdict":"ban"})"));
  EXPECT_THAT(listed, HasSubstr(R"("total_records":1)"));
  auto bad = access;
  bad.mutable_log()->set_log_id("log-2");
  bad.mutable_log()->set_service_id("nobody");
  EXPECT_EQ(send(bad).error_code(), StatusCode::NOT_FOUND);
  bad.mutable_log()->set_service_id(id);
  bad.mutable_log()->set_path(std::string(9'000, 'x'));
  EXPECT_EQ(send(bad).error_code(), StatusCode::INVALID_ARGUMENT);
  bad.mutable_log()->set_path(std::string("a\0b", 3));
  EXPECT_EQ(send(bad).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(rows("access_log_entries"), "1");

  pb::SendStatusUpdateRequest status;
  status.set_account_id(account);
  status.set_service_id(id);
  status.set_status(pb::PROXY_STATUS_ACTIVE);
  status.set_certificate_issued(true);
  pb::SendStatusUpdateResponse updated;
  const auto update = [&] {
    return ask(two.target(), token, &pb::ProxyService::Stub::SendStatusUpdate, status, updated);
  };
  EXPECT_TRUE(update().ok());
  const std::string shown =
      web.send(one, "GET", "/api/reverse-proxies/services/" + id, {}, pat).body;
  EXPECT_THAT(shown, HasSubstr(R"("status":"active")"));
  EXPECT_THAT(shown, HasSubstr(R"("certificate_issued_at":")"));
  status.set_service_id("nobody");
  EXPECT_EQ(update().error_code(), StatusCode::NOT_FOUND);
  status.set_service_id("");
  EXPECT_EQ(update().error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(ProxyServer, TokenOfAnAccountStaysInItsAccount) {
  const auto made = web.send(one, "POST", "/api/reverse-proxies/proxy-tokens",
                             R"({"name":"own","expires_in":3600})", pat);
  const std::string own = after(made.body, R"("plain_token":")");
  ASSERT_EQ(own.size(), 40U) << made.body;
  pb::SendStatusUpdateRequest status;
  status.set_account_id("another");
  status.set_service_id("s");
  pb::SendStatusUpdateResponse updated;
  EXPECT_EQ(ask(two.target(), own, &pb::ProxyService::Stub::SendStatusUpdate, status, updated)
                .error_code(),
            StatusCode::PERMISSION_DENIED);
  Proxy mine(two.target(), own, {.id = "mine", .address = "own.example.net"});
  ASSERT_TRUE(mine.wait_synced());
  EXPECT_THAT(clusters(one), HasSubstr(R"("address":"own.example.net","type":"account")"));
  Proxy shared(one.target(), token);
  ASSERT_TRUE(shared.wait_synced());
  Proxy thief(two.target(), own, {.id = "thief"});
  const auto end = thief.wait_end();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->error_code(), StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(rows("proxies"), "2");
}

TEST_F(ProxyServer, VisitorsComeInWithWhatTheServiceAsksFor) {
  Proxy proxy(one.target(), token);
  ASSERT_TRUE(proxy.wait_synced());
  const std::string id =
      service(std::string("app.") + kCluster,
              R"(,"auth":{"pin_auth":{"enabled":true,"pin":"123456"},"password_auth":)"
              R"({"enabled":true,"password":"open sesame"},"header_auths":[{"enabled":true,)"
              R"("header":"X-Key","value":"topsecret"}]})");
  const auto let_in = [&](const std::function<void(pb::AuthenticateRequest&)>& with) {
    pb::AuthenticateRequest request;
    request.set_account_id(account);
    request.set_id(id);
    with(request);
    pb::AuthenticateResponse response;
    EXPECT_TRUE(
        ask(two.target(), token, &pb::ProxyService::Stub::Authenticate, request, response).ok());
    EXPECT_EQ(response.success(), !response.session_token().empty());
    return response.success();
  };
  EXPECT_TRUE(let_in([](auto& r) { r.mutable_pin()->set_pin("123456"); }));
  EXPECT_FALSE(let_in([](auto& r) { r.mutable_pin()->set_pin("123457"); }));
  EXPECT_TRUE(let_in([](auto& r) { r.mutable_password()->set_password("open sesame"); }));
  EXPECT_FALSE(let_in([](auto& r) { r.mutable_password()->set_password("123456"); }));
  EXPECT_TRUE(let_in([](auto& r) {
    r.mutable_header_auth()->set_header_name("x-key");
    r.mutable_header_auth()->set_header_value("topsecret");
  }));
  EXPECT_FALSE(let_in([](auto& r) {
    r.mutable_header_auth()->set_header_name("x-other");
    r.mutable_header_auth()->set_header_value("topsecret");
  }));
  EXPECT_FALSE(let_in([](auto&) {}));
  pb::AuthenticateRequest nobody;
  nobody.set_account_id(account);
  nobody.set_id("nobody");
  pb::AuthenticateResponse response;
  EXPECT_EQ(ask(one.target(), token, &pb::ProxyService::Stub::Authenticate, nobody, response)
                .error_code(),
            StatusCode::FAILED_PRECONDITION);
}

TEST_F(ProxyServer, OneTimeTokenMakesOnePeerOnWhateverInstance) {
  Proxy proxy(one.target(), token);
  ASSERT_TRUE(proxy.wait_synced());
  const std::string domain = std::string("app.") + kCluster;
  service(domain);
  const auto mapping = proxy.wait_mapping(domain);
  ASSERT_TRUE(mapping);
  Agent embedded("proxy");
  pb::CreateProxyPeerRequest request;
  request.set_account_id(account);
  request.set_service_id(mapping->id());
  request.set_token(mapping->auth_token());
  request.set_cluster(kCluster);
  request.set_wireguard_public_key("short");
  pb::CreateProxyPeerResponse made;
  const auto create = [&](const MgmtServer& at) {
    return ask(at.target(), token, &pb::ProxyService::Stub::CreateProxyPeer, request, made);
  };
  EXPECT_EQ(create(two).error_code(), StatusCode::INVALID_ARGUMENT);
  request.set_wireguard_public_key(embedded.key());
  EXPECT_TRUE(create(two).ok());
  EXPECT_TRUE(made.success());
  EXPECT_EQ(create(one).error_code(), StatusCode::UNAUTHENTICATED);
  request.set_token(mapping->auth_token() + "x");
  EXPECT_EQ(create(one).error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(postgres.psql("select count(*) from peers where proxy_meta_embedded and "
                          "proxy_meta_cluster = '" +
                          std::string(kCluster) + "' and ephemeral"),
            "1");
  const auto joined = embedded.login(one.target());
  EXPECT_TRUE(joined.ok()) << joined.status.error_message();
}

// An official agent drops the tunnel to a peer whose version it learns late.
TEST_F(ToldProxies, OthersHearOfAProxysPeerOnceItsVersionIsKnown) {
  Proxy proxy(one.target(), token);
  ASSERT_TRUE(proxy.wait_synced());
  const std::string domain = std::string("app.") + kCluster;
  service(domain);
  const auto mapping = proxy.wait_mapping(domain);
  ASSERT_TRUE(mapping);
  SyncStream target(machine, one.target());
  ASSERT_TRUE(target.wait_first());
  // What it is told of next was read after all changes so far.
  const auto renamed = web.send(one, "PUT", "/api/peers/" + peer,
                                R"({"name":"renamed","ssh_enabled":false,)"
                                R"("login_expiration_enabled":false,)"
                                R"("inactivity_expiration_enabled":false})",
                                pat);
  ASSERT_EQ(renamed.status, 200) << renamed.body;
  ASSERT_TRUE(target.wait_for([](const auto& map) {
    return map.networkmap().peerconfig().fqdn().starts_with("renamed.");
  }));
  Agent embedded("proxy");
  pb::CreateProxyPeerRequest request;
  request.set_account_id(account);
  request.set_service_id(mapping->id());
  request.set_token(mapping->auth_token());
  request.set_cluster(kCluster);
  request.set_wireguard_public_key(embedded.key());
  pb::CreateProxyPeerResponse made;
  ASSERT_TRUE(
      ask(one.target(), token, &pb::ProxyService::Stub::CreateProxyPeer, request, made).ok());
  const auto version = [&](const pb::SyncResponse& map) -> std::optional<std::string> {
    for (const auto& other : map.networkmap().remotepeers())
      if (other.wgpubkey() == embedded.key()) return other.agentversion();
    return std::nullopt;
  };
  EXPECT_FALSE(target.wait_for([&](const auto& map) { return version(map).has_value(); }, 2s));
  ASSERT_TRUE(embedded.login(one.target()).ok());
  const SyncStream connected(embedded, one.target());
  const std::string known = embedded.meta().netbirdversion();
  ASSERT_TRUE(target.wait_for([&](const auto& map) { return version(map) == known; }));
  for (const auto& map : target.received()) EXPECT_EQ(version(map).value_or(known), known);
}

TEST_F(ProxyServer, SignInComesBackToAnotherInstanceOnce) {
  Proxy proxy(one.target(), token);
  ASSERT_TRUE(proxy.wait_synced());
  const std::string domain = std::string("app.") + kCluster;
  const std::string id =
      service(domain, R"(,"auth":{"bearer_auth":{"enabled":true,"distribution_groups":[]}})");
  pb::GetOIDCURLRequest request;
  request.set_account_id(account);
  request.set_id(id);
  request.set_redirect_url("https://" + domain + "/deep?x=1");
  pb::GetOIDCURLResponse where;
  const auto url_at = [&](const MgmtServer& at) {
    return ask(at.target(), token, &pb::ProxyService::Stub::GetOIDCURL, request, where);
  };
  const auto asked = url_at(one);
  ASSERT_TRUE(asked.ok()) << asked.error_message();
  const std::string path = where.url().substr(where.url().find("/oauth2/"));
  const auto start = web.send(two, "GET", path);
  const std::string login = after(std::string(start.header("location")), "req=");
  ASSERT_FALSE(login.empty()) << start.status << start.body;
  const auto posted = web.send(
      one, "POST", "/oauth2/login",
      net::form_encode({{"req", login}, {"login", kOwnerMail}, {"password", kOwnerPassword}}));
  const std::string back(posted.header("location"));
  ASSERT_THAT(back, HasSubstr("/api/reverse-proxy/callback?")) << posted.status << posted.body;
  const std::string callback = back.substr(back.find("/api/"));
  const auto done = web.send(two, "GET", callback);
  EXPECT_EQ(done.status, 302) << done.body;
  const std::string home(done.header("location"));
  ASSERT_THAT(home, HasSubstr("https://" + domain + "/deep?x=1&session_token="));
  EXPECT_EQ(web.send(one, "GET", callback).status, 400);
  pb::ValidateSessionRequest check;
  check.set_domain(domain);
  check.set_session_token(after(home, "session_token="));
  pb::ValidateSessionResponse session;
  const auto validate = [&] {
    return ask(one.target(), token, &pb::ProxyService::Stub::ValidateSession, check, session);
  };
  ASSERT_TRUE(validate().ok());
  EXPECT_TRUE(session.valid()) << session.denied_reason();
  EXPECT_EQ(session.user_email(), kOwnerMail);
  check.set_domain(std::string("other.") + kCluster);
  ASSERT_TRUE(validate().ok());
  EXPECT_EQ(session.denied_reason(), "service_not_found");
  check.set_domain(domain);
  check.set_session_token(check.session_token() + "x");
  ASSERT_TRUE(validate().ok());
  EXPECT_EQ(session.denied_reason(), "invalid_token");
  for (const char* wrong : {"https://elsewhere.example.net/", "ftp://app.edge.example.net/",
                            "https://app.edge.example.net@evil.test/"}) {
    request.set_redirect_url(wrong);
    EXPECT_FALSE(url_at(two).ok()) << wrong;
  }
  EXPECT_EQ(web.send(two, "GET", "/api/reverse-proxy/callback?state=a|b|c&code=d").status, 400);
  request.set_redirect_url("https://" + domain + "/@alice/a@b?mail=c@d");
  const auto written = url_at(two);
  EXPECT_TRUE(written.ok()) << written.error_message();
}

/// The provider of visitors is another one's, a process of its own that a connector of ours names.
/// Its person has the same address as our owner, and is somebody else.
class ProxyConnector : public ProxyServer {
 protected:
  ProxyConnector()
      : corp_port(free_port()),
        corp({.env = {{"NB_SETUP_PAT_ENABLED", "true"}},
              .json = embedded_idp(site(corp_port) + "/oauth2", "",
                                   R"(,"DashboardRedirectURIs":[")" + issuer() + R"(/callback"])"),
              .port = corp_port}) {
    corp.start();
    EXPECT_FALSE(set_up(corp_web, corp).empty());
    const auto made = api("POST", "/api/identity-providers",
                          R"({"type":"oidc","name":"Corp","issuer":")" + site(corp_port) +
                              R"(/oauth2","client_id":"netbird-dashboard",)"
                              R"("client_secret":""})");
    EXPECT_EQ(made.status, 200) << made.body;
    connector = after(made.body, R"("id":")");
  }
  static std::string site(std::uint16_t port) { return "http://127.0.0.1:" + std::to_string(port); }
  [[nodiscard]] std::string issuer() const { return site(port_two) + "/oauth2"; }
  /// A browser at `path` of ours, over the login page and the other provider back to our client's
  /// redirect; each step meets the other instance. `person` is the browser there.
  std::string through(Web& browser, Web& person, const std::string& path) {
    const std::string login(browser.send(two, "GET", path).header("location"));
    const std::string page = browser.send(one, "GET", login).body;
    EXPECT_THAT(page, HasSubstr("Continue with Corp"));
    const auto there =
        browser.send(two, "GET", "/oauth2/auth/" + connector + "?req=" + after(login, "req="));
    const std::string asked(there.header("location"));
    EXPECT_THAT(asked, testing::StartsWith(site(corp_port) + "/oauth2/auth?")) << there.body;
    const std::string back = sign_in(person, corp, asked.substr(site(corp_port).size()));
    EXPECT_THAT(back, testing::StartsWith(issuer() + "/callback?"));
    const auto done = browser.send(one, "GET", back.substr(site(port_two).size()));
    EXPECT_EQ(done.status, 303) << done.body;
    return std::string(done.header("location"));
  }
  /// Where a visitor ends who wants to see the service.
  std::string visit() {
    pb::GetOIDCURLRequest request;
    request.set_account_id(account);
    request.set_id(visited);
    request.set_redirect_url(std::string("https://") + kDomain + "/deep?x=1");
    pb::GetOIDCURLResponse where;
    const auto asked =
        ask(one.target(), token, &pb::ProxyService::Stub::GetOIDCURL, request, where);
    EXPECT_TRUE(asked.ok()) << asked.error_message();
    Web browser;
    const std::string back =
        through(browser, corp_web, where.url().substr(where.url().find("/oauth2/")));
    EXPECT_THAT(back, HasSubstr("/api/reverse-proxy/callback?"));
    const auto done = browser.send(two, "GET", back.substr(back.find("/api/")));
    EXPECT_EQ(done.status, 302) << done.body;
    return std::string(done.header("location"));
  }
  static constexpr const char* kDomain = "app.edge.example.net";
  std::uint16_t corp_port;
  MgmtServer corp;
  Web corp_web;
  std::string connector;
  std::string visited;  // id of the service
};

TEST_F(ProxyConnector, VisitorsOfAnotherProviderComeInOnceTheyAreApprovedUsers) {
  Proxy proxy(one.target(), token);
  ASSERT_TRUE(proxy.wait_synced());
  visited =
      service(kDomain, R"(,"auth":{"bearer_auth":{"enabled":true,"distribution_groups":[]}})");
  const std::string denied = std::string("https://") + kDomain + "/deep?x=1&error=access_denied&";
  EXPECT_THAT(visit(), testing::StartsWith(denied)) << "no user of the account";
  // The person comes to the dashboard, and joins.
  const std::string verifier(43, 'v');
  const auto sum = crypto::sha256(verifier);
  Web browser;
  const std::string back = through(
      browser, corp_web,
      "/oauth2/auth?" +
          net::form_encode({{"client_id", "netbird-dashboard"},
                            {"redirect_uri", kDashboard},
                            {"response_type", "code"},
                            {"scope", "openid profile email groups"},
                            {"code_challenge", crypto::to_base64(sum, crypto::Base64::kUrlRaw)},
                            {"code_challenge_method", "S256"}}));
  const auto tokens = browser.send(two, "POST", "/oauth2/token",
                                   net::form_encode({{"grant_type", "authorization_code"},
                                                     {"client_id", "netbird-dashboard"},
                                                     {"code", after(back, "code=")},
                                                     {"redirect_uri", kDashboard},
                                                     {"code_verifier", verifier}}));
  const std::string bearer = "Bearer " + after(tokens.body, R"("access_token":")");
  EXPECT_EQ(browser.send(one, "GET", "/api/users", {}, bearer).status, 403) << tokens.body;
  EXPECT_THAT(visit(), AllOf(testing::StartsWith(denied), HasSubstr("pending")));
  const std::string person =
      postgres.psql("select id from users where pending_approval and blocked");
  ASSERT_FALSE(person.empty());
  EXPECT_EQ(api("POST", "/api/users/" + person + "/approve").status, 200);
  const std::string home = visit();
  ASSERT_THAT(home, HasSubstr(std::string("https://") + kDomain + "/deep?x=1&session_token="));
  pb::ValidateSessionRequest check;
  check.set_domain(kDomain);
  check.set_session_token(after(home, "session_token="));
  pb::ValidateSessionResponse session;
  for (const MgmtServer* server : {&one, &two}) {
    ASSERT_TRUE(
        ask(server->target(), token, &pb::ProxyService::Stub::ValidateSession, check, session)
            .ok());
    EXPECT_TRUE(session.valid()) << session.denied_reason();
    EXPECT_EQ(session.user_id(), person);
    EXPECT_EQ(session.user_email(), kOwnerMail);
  }
  // Blocked: what he holds is worth nothing, and a new one is not to be had.
  EXPECT_EQ(
      api("PUT", "/api/users/" + person, R"({"role":"user","auto_groups":[],"is_blocked":true})")
          .status,
      200);
  EXPECT_THAT(visit(), AllOf(testing::StartsWith(denied), HasSubstr("blocked")));
  ASSERT_TRUE(
      ask(two.target(), token, &pb::ProxyService::Stub::ValidateSession, check, session).ok());
  EXPECT_FALSE(session.valid());
}

TEST_F(ProxyServer, PeersAreKnownByTheirAddress) {
  Proxy proxy(one.target(), token);
  ASSERT_TRUE(proxy.wait_synced());
  const std::string domain = std::string("app.") + kCluster;
  service(domain);
  pb::ValidateTunnelPeerRequest request;
  request.set_domain(domain);
  pb::ValidateTunnelPeerResponse response;
  const auto asked = [&](const std::string& ip) {
    request.set_tunnel_ip(ip);
    EXPECT_TRUE(
        ask(two.target(), token, &pb::ProxyService::Stub::ValidateTunnelPeer, request, response)
            .ok());
    return response.valid() ? "" : response.denied_reason();
  };
  EXPECT_EQ(
      asked(postgres.psql("select trim(both '\"' from ip) from peers where id='" + peer + "'")),
      "");
  EXPECT_EQ(response.user_id(), peer);
  EXPECT_FALSE(response.session_token().empty());
  EXPECT_EQ(response.peer_group_names(0), "All");
  EXPECT_EQ(asked("100.127.255.254"), "peer_not_found");
  EXPECT_EQ(asked("nowhere"), "invalid_tunnel_ip");
  EXPECT_EQ(asked(""), "missing domain or tunnel_ip");
  pb::CheckLLMPolicyLimitsRequest limits;
  pb::CheckLLMPolicyLimitsResponse answer;
  EXPECT_EQ(ask(one.target(), token, &pb::ProxyService::Stub::CheckLLMPolicyLimits, limits, answer)
                .error_code(),
            StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace nb::test
