// Services that peers expose, on both engines.
#include "management/store/agent_store.h"
#include "management/store/edits/edit_fixture.h"
#include "management/store/proxy_store.h"

#include <gmock/gmock.h>

namespace nb::management {
namespace {

using namespace test;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::EndsWith;
using testing::MatchesRegex;
using testing::UnorderedElementsAre;

class ExposuresTest : public testing::TestWithParam<sql::Engine>, public EditAccount {
 protected:
  ExposuresTest()
      : EditAccount(GetParam()), proxies(make_sql_proxy_store(instance.parts)), one(peer("one")) {
    const auto made = prepare_agent_tables(instance.parts, soon());
    NB_ASSERT(made.has_value());
    allowed = group("exposers", {one.id}).id;
    allow(true);
    cluster("edge.example.net");
    events();
  }
  void allow(bool on) {
    instance.sql(std::string("UPDATE accounts SET settings_peer_expose_enabled = ") +
                 (on ? "TRUE" : "FALSE") + ", settings_peer_expose_groups = '[\"" +
                 allowed.value() + "\"]'");
  }
  void cluster(const std::string& address, bool custom_ports = false) {
    ProxyHello hello;
    hello.id = hello.session = address;
    hello.address = address;
    hello.ip = "127.0.0.1";
    hello.supports_custom_ports = custom_ports;
    NB_ASSERT(get(proxies->connect(soon(), hello)).has_value());
  }
  static Actor as(const Peer& peer) {
    return {peer.account_id, UserId(peer.id.value()), "", false};
  }
  Result<Service> expose(const Peer& peer, ExposeService command = {}) {
    command.peer = peer.id;
    if (command.mode.empty()) command.mode = "http";
    if (command.target_protocol.empty()) command.target_protocol = "http";
    if (command.port == 0) command.port = 8080;
    return run_as(as(peer), std::move(command));
  }
  Result<Nothing> stop(const Peer& peer, const std::string& domain) {
    return run_as(as(peer), StopExposing{peer.id, domain});
  }
  Result<> renew(const Peer& peer, const std::string& domain) {
    return get(proxies->renew_exposure(soon(), account.id, peer.id, domain));
  }
  /// As if it had not been renewed for so long.
  void age(int seconds) {
    instance.sql(
        GetParam() == sql::Engine::kPostgres
            ? "UPDATE services SET meta_last_renewed_at = meta_last_renewed_at - interval '" +
                  std::to_string(seconds) + " seconds'"
            : "UPDATE services SET meta_last_renewed_at = datetime(meta_last_renewed_at, '-" +
                  std::to_string(seconds) + " seconds')");
  }
  std::string count() { return value("SELECT COUNT(*) FROM services"); }

  std::unique_ptr<ProxyStore> proxies;
  Peer one;
  GroupId allowed;
};

TEST_P(ExposuresTest, AServiceOfAPeerIsOneOfItsCluster) {
  const std::uint64_t before = serial();
  const auto service = expose(one, {.pin = "123456", .user_groups = {"exposers"}});
  ASSERT_TRUE(service) << service.error().text;
  EXPECT_THAT(service->name, MatchesRegex("[a-z0-9]{12}"));
  EXPECT_EQ(service->domain, service->name + ".edge.example.net");
  EXPECT_EQ(service->proxy_cluster, "edge.example.net");
  EXPECT_EQ(service->source, "ephemeral");
  ASSERT_EQ(service->targets.size(), 1U);
  EXPECT_EQ(service->targets[0].target_id, one.id.value());
  EXPECT_EQ(service->targets[0].port, 8080);
  EXPECT_THAT(service->auth.bearer->distribution_groups, ElementsAre(allowed.value()));
  EXPECT_EQ(serial(), before + 1);
  EXPECT_EQ(last.serial, before + 1);
  EXPECT_THAT(events(), ElementsAre("service.peer.expose"));
  // What proxies are told of it.
  const auto told = get(proxies->services(soon(), "edge.example.net", {account.id}));
  ASSERT_EQ(told->size(), 1U);
  EXPECT_EQ(told->front().targets[0].host, one.ip.to_string());
  EXPECT_EQ(value("SELECT source_peer FROM services"), one.id.value());
  EXPECT_EQ(value("SELECT meta_last_renewed_at IS NOT NULL FROM services"),
            GetParam() == sql::Engine::kPostgres ? "t" : "1");
}

TEST_P(ExposuresTest, NamesFollowTheWish) {
  const auto service = expose(one, {.name_prefix = "blog", .domain = "edge.example.net"});
  ASSERT_TRUE(service) << service.error().text;
  EXPECT_THAT(service->name, MatchesRegex("blog-[a-z0-9]{4}"));
  EXPECT_THAT(service->domain, EndsWith(".edge.example.net"));
  EXPECT_REFUSED(expose(one, {.domain = "elsewhere.example"}), Code::kFailedPrecondition,
                 "does not match any available proxy cluster");
  EXPECT_REFUSED(expose(one, {.user_groups = {"nobody"}}), Code::kNotFound,
                 "group: nobody not found");
}

TEST_P(ExposuresTest, PortsAreAssignedWhereNobodyMayChoose) {
  const auto tcp = expose(one, {.mode = "tcp", .target_protocol = "tcp", .port = 22});
  ASSERT_TRUE(tcp) << tcp.error().text;
  EXPECT_TRUE(tcp->port_auto_assigned);
  EXPECT_GE(tcp->listen_port, 10'000);
  const auto tls = expose(one, {.mode = "tls", .target_protocol = "tcp", .port = 443});
  ASSERT_TRUE(tls) << tls.error().text;
  EXPECT_EQ(tls->listen_port, 443);
  cluster("ports.example.net", true);
  const ExposeService wish{.domain = "ports.example.net",
                           .mode = "udp",
                           .target_protocol = "udp",
                           .port = 53,
                           .listen_port = 5353};
  EXPECT_EQ(expose(one, wish)->listen_port, 5353);
  EXPECT_REFUSED(expose(one, wish), Code::kAlreadyExists, "already in use");
}

TEST_P(ExposuresTest, AssignedPortsAreOfTheConfiguredRange) {
  editor.edits =
      make_sql_edits(instance.parts, {.proxy_port_min = 20'000, .proxy_port_max = 20'001});
  const ExposeService wish{.mode = "tcp", .target_protocol = "tcp", .port = 22};
  std::vector<std::int64_t> ports;
  for (int i = 0; i < 2; ++i) {
    const auto made = expose(one, wish);
    ASSERT_TRUE(made) << made.error().text;
    ports.push_back(made->listen_port);
  }
  EXPECT_THAT(ports, UnorderedElementsAre(20'000, 20'001));
  EXPECT_REFUSED(expose(one, wish), Code::kFailedPrecondition,
                 "no available ports on cluster edge.example.net");
}

TEST_P(ExposuresTest, OnlyPeersOfTheAllowedGroupsMay) {
  const Peer other = peer("other");
  events();  // of that one's arrival
  EXPECT_REFUSED(expose(other), Code::kPermissionDenied, "peer is not in an allowed expose group");
  instance.sql("UPDATE accounts SET settings_peer_expose_groups = '[]'");
  EXPECT_REFUSED(expose(one), Code::kPermissionDenied, "no group is set for peer expose");
  allow(false);
  EXPECT_REFUSED(expose(one), Code::kPermissionDenied,
                 "peer expose is not enabled for this account");
  instance.sql("DELETE FROM proxies");
  allow(true);
  EXPECT_REFUSED(expose(one), Code::kFailedPrecondition, "no proxy cluster is connected");
  EXPECT_THAT(events(), ElementsAre());
}

TEST_P(ExposuresTest, WhoMayHaveNoMapsExposesNothing) {
  const auto service = expose(one);
  ASSERT_TRUE(service) << service.error().text;
  const std::string user = account.created_by.value();
  const std::string expired = "peer login has expired, please log in once more";
  instance.sql("UPDATE peers SET user_id = '" + user + "', peer_status_login_expired = TRUE");
  EXPECT_REFUSED(expose(one), Code::kPermissionDenied, expired);
  EXPECT_REFUSED(renew(one, service->domain), Code::kPermissionDenied, expired);
  instance.sql("UPDATE users SET blocked = TRUE WHERE id = '" + user + "'");
  EXPECT_REFUSED(expose(one), Code::kPermissionDenied, "user is blocked");
  EXPECT_REFUSED(renew(one, service->domain), Code::kPermissionDenied, "user is blocked");
  instance.sql("UPDATE users SET blocked = FALSE; UPDATE peers SET user_id = ''");
  EXPECT_TRUE(renew(one, service->domain)) << "machines without a user do not expire";
  instance.sql("UPDATE peers SET user_id = 'nobody'");
  EXPECT_REFUSED(renew(one, service->domain), Code::kPermissionDenied, "user is blocked");
  EXPECT_TRUE(stop(one, service->domain)) << "whoever it is";
}

TEST_P(ExposuresTest, APeerExposesTenAtMost) {
  std::vector<std::string> domains;
  for (int i = 0; i < 10; ++i) domains.push_back(expose(one)->domain);
  EXPECT_REFUSED(expose(one), Code::kFailedPrecondition,
                 "peer has reached the maximum number of active expose sessions (10)");
  EXPECT_TRUE(stop(one, domains[3]));
  EXPECT_TRUE(expose(one));
  EXPECT_EQ(count(), "10");
}

TEST_P(ExposuresTest, OnlyItsPeerEndsIt) {
  const Peer other = peer("other");
  const auto service = expose(one);
  const Service permanent = must(SaveService{[&] {
    Service draft;
    draft.name = "site";
    draft.domain = "site.edge.example.net";
    draft.enabled = true;
    draft.targets = service->targets;
    return draft;
  }()});
  events();
  EXPECT_REFUSED(stop(other, service->domain), Code::kPermissionDenied,
                 "cannot delete service exposed by another peer");
  EXPECT_REFUSED(stop(one, permanent.domain), Code::kPermissionDenied,
                 "cannot delete API-created service via peer expose");
  EXPECT_REFUSED(stop(one, "nothing.edge.example.net"), Code::kNotFound,
                 "service with domain nothing.edge.example.net not found");
  EXPECT_REFUSED(renew(other, service->domain), Code::kPermissionDenied, "");
  EXPECT_REFUSED(renew(one, permanent.domain), Code::kNotFound,
                 "no active expose session for service " + permanent.id.value());
  const std::uint64_t before = serial();
  EXPECT_TRUE(stop(one, service->domain));
  EXPECT_EQ(serial(), before + 1);
  EXPECT_THAT(events(), ElementsAre("service.peer.unexpose"));
  EXPECT_REFUSED(stop(one, service->domain), Code::kNotFound, service->domain);
  EXPECT_EQ(count(), "1");
  EXPECT_EQ(value("SELECT COUNT(*) FROM targets"), "1");
}

TEST_P(ExposuresTest, ARecordedRequestDoesNothing) {  // contract/management-grpc.md §2
  const auto request = [&](char nonce) {
    return TokenUse{.token_hash = std::string(64, nonce),
                    .peer = one.key,
                    .expires_at = system_clock().wall() + 1h,
                    .repeat = -1s};
  };
  const auto claims = [&] { return value("SELECT COUNT(*) FROM nb_token_claims"); };
  // Of what is refused nothing is kept, so that nobody can fill the table.
  EXPECT_REFUSED(expose(one, {.domain = "elsewhere.example", .request = request('a')}),
                 Code::kFailedPrecondition, "");
  EXPECT_REFUSED(run_as(as(one), StopExposing{one.id, "none.edge.example.net", request('a')}),
                 Code::kNotFound, "");
  EXPECT_EQ(claims(), "0");
  const auto service = expose(one, {.request = request('a')});
  ASSERT_TRUE(service) << service.error().text;
  EXPECT_REFUSED(expose(one, {.request = request('a')}), Code::kInvalidArgument,
                 "invalid request message");
  EXPECT_EQ(count(), "1");
  const StopExposing recorded{one.id, service->domain, request('b')};
  EXPECT_TRUE(run_as(as(one), recorded));
  EXPECT_EQ(count(), "0");
  const auto again = expose(one, {.request = request('c')});
  ASSERT_TRUE(again) << again.error().text;
  instance.sql("UPDATE services SET domain = '" + service->domain + "'");
  const std::uint64_t before = serial();
  events();
  EXPECT_REFUSED(run_as(as(one), recorded), Code::kInvalidArgument, "invalid request message");
  EXPECT_EQ(count(), "1");
  EXPECT_EQ(serial(), before);
  EXPECT_THAT(events(), ElementsAre());
  EXPECT_EQ(claims(), "3");
  EXPECT_TRUE(run_as(as(one), StopExposing{one.id, service->domain, request('d')}));
}

TEST_P(ExposuresTest, WhatIsNotRenewedGoes) {
  const auto kept = expose(one);
  const auto lost = expose(one);
  events();
  age(60);
  EXPECT_TRUE(renew(one, kept->domain));
  EXPECT_EQ(get(proxies->end_exposures(soon(), 90s, 100))->count, 0U);
  age(60);
  const std::uint64_t before = serial();
  const auto ended = get(proxies->end_exposures(soon(), 90s, 100));
  ASSERT_TRUE(ended) << ended.error().text;
  EXPECT_EQ(ended->count, 1U);
  ASSERT_EQ(ended->accounts.size(), 1U);
  EXPECT_EQ(ended->accounts[0].serial, before + 1);
  EXPECT_EQ(serial(), before + 1);
  EXPECT_THAT(events(), ElementsAre("service.peer.expose.expire"));
  EXPECT_EQ(value("SELECT domain FROM services"), kept->domain);
  EXPECT_REFUSED(renew(one, lost->domain), Code::kNotFound, lost->domain);
  // A permission that is taken away ends it, too: it cannot be renewed.
  allow(false);
  EXPECT_REFUSED(renew(one, kept->domain), Code::kPermissionDenied, "not enabled");
  age(60);
  EXPECT_EQ(get(proxies->end_exposures(soon(), 90s, 100))->count, 1U);
  EXPECT_EQ(count(), "0");
}

INSTANTIATE_TEST_SUITE_P(Engines, ExposuresTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& param) {
                           return param.param == sql::Engine::kSqlite ? "Sqlite" : "Postgres";
                         });

}  // namespace
}  // namespace nb::management
