// What proxies leave in the database, on both engines.
#include "management/store/proxy_store.h"

#include "management/store/edits/edit_fixture.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace nb::management {
namespace {

using namespace test;
using namespace std::chrono_literals;
using State = ProxyPulse::State;

constexpr const char* kAddress = "edge.example.net";

class ProxyStoreTest : public EditAccount, public testing::TestWithParam<sql::Engine> {
 protected:
  ProxyStoreTest() : EditAccount(GetParam()) {}

  static ProxyHello hello(const std::string& id, const std::string& session = "first") {
    ProxyHello out;
    out.id = id;
    out.session = session;
    out.address = kAddress;
    return out;
  }
  static WallTime wall() { return system_clock().wall(); }
  void connect(const ProxyHello& proxy) {
    const auto done = get(proxies->connect(soon(), proxy));
    ASSERT_TRUE(done) << done.error().text;
  }
  State pulse(const ProxyHello& proxy, bool heartbeat = false) {
    const auto found = get(proxies->pulse(soon(), proxy, token.id, heartbeat));
    EXPECT_TRUE(found) << found.error().text;
    return found->state;
  }
  ServiceId service(const std::string& name) {
    Service made;
    made.name = name;
    made.domain = name + "." + kAddress;
    made.enabled = true;
    FullTarget target;
    target.target_id = peer(name).id.value();
    target.target_type = "peer";
    target.protocol = "http";
    target.port = 80;
    target.enabled = true;
    made.targets.push_back(target);
    return must(SaveService{std::move(made)}).id;
  }
  Result<> report(const std::string& id, const ServiceId& at, WallTime when) {
    ProxyAccess access;
    access.id = id;
    access.service_id = at.value();
    access.at = when;
    access.source_ip = "192.0.2.7";
    return get(proxies->add_access(soon(), account.id, std::move(access), 0));
  }
  Strings reports() {
    Strings out;
    for (const ProxyAccess& access : must(ListProxyAccess{}).entries) out.push_back(access.id);
    std::ranges::sort(out);
    return out;
  }

  std::unique_ptr<ProxyStore> proxies = make_sql_proxy_store(instance.parts);
  ProxyToken token = must(CreateProxyToken{"edge", 0}).token;
};

TEST_P(ProxyStoreTest, AccessesAreKeptAsLongAsTheyShould) {
  connect(hello("p"));
  const ServiceId id = service("app");
  ASSERT_TRUE(report("old", id, wall() - 7 * 24h - 1min));
  ASSERT_TRUE(report("young", id, wall() - 7 * 24h + 1min));
  ASSERT_TRUE(report("new", id, wall()));
  EXPECT_EQ(*get(proxies->prune(soon(), 1h, 0h)), 0U) << "for ever";
  EXPECT_EQ(reports(), (Strings{"new", "old", "young"}));
  EXPECT_EQ(*get(proxies->prune(soon(), 1h, 7 * 24h)), 1U);
  EXPECT_EQ(reports(), (Strings{"new", "young"}));
  EXPECT_EQ(*get(proxies->prune(soon(), 1h, 24h)), 1U);
  EXPECT_EQ(reports(), Strings{"new"});
}

TEST_P(ProxyStoreTest, ReportIsWrittenOnceAndOnlyForAServiceThatIsThere) {
  connect(hello("p"));
  const ServiceId id = service("app");
  EXPECT_TRUE(report("one", id, wall()));
  EXPECT_TRUE(report("one", id, wall())) << "again: its answer was lost";
  EXPECT_REFUSED(report("two", ServiceId("gone"), wall()), Code::kNotFound, "gone not found");
  EXPECT_EQ(reports(), Strings{"one"});
}

TEST_P(ProxyStoreTest, SilentProxiesAreForgotten) {
  connect(hello("silent"));
  connect(hello("loud"));
  instance.sql("UPDATE proxies SET last_seen = '2026-01-01 00:00:00+00:00' WHERE id = 'silent'");
  EXPECT_EQ(*get(proxies->prune(soon(), 1h, 0h)), 1U);
  EXPECT_EQ(value("SELECT id FROM proxies"), "loud");
  EXPECT_EQ(pulse(hello("silent")), State::kDisconnected) << "and has to come again";
  EXPECT_EQ(pulse(hello("loud"), true), State::kServing);
}

TEST_P(ProxyStoreTest, PulseSaysWhyAStreamMustEnd) {
  connect(hello("p"));
  EXPECT_EQ(pulse(hello("p")), State::kServing);
  connect(hello("p", "second"));
  EXPECT_EQ(pulse(hello("p")), State::kSuperseded);
  EXPECT_TRUE(get(proxies->disconnect(soon(), "p", "first")));
  EXPECT_EQ(pulse(hello("p", "second")), State::kServing) << "the old stream ends only itself";
  EXPECT_EQ(*disconnect_proxies(*instance.database, wall(), soon()), 1);
  EXPECT_EQ(pulse(hello("p", "second")), State::kDisconnected);
  connect(hello("p", "third"));
  EXPECT_FALSE(last.proxies);
  must(RevokeProxyToken{token.id});
  EXPECT_TRUE(last.proxies) << "the streams are told";
  EXPECT_EQ(last.serial, 0U) << "no map is different";
  EXPECT_EQ(pulse(hello("p", "third")), State::kTokenEnded);
}

TEST_P(ProxyStoreTest, AnAccountsTokenClaimsNothingOfSomebodyElse) {
  connect(hello("p"));
  ProxyHello own = hello("mine");
  own.account = account.id;
  EXPECT_REFUSED(get(proxies->connect(soon(), own)), Code::kAlreadyExists, "");
  own.address = "own.example.net";
  connect(own);
  own.id = "p";
  EXPECT_REFUSED(get(proxies->connect(soon(), own)), Code::kAlreadyExists, "");
  EXPECT_EQ(value("SELECT COUNT(*) FROM proxies"), "2");
}

INSTANTIATE_TEST_SUITE_P(Engines, ProxyStoreTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& p) {
                           return p.param == sql::Engine::kPostgres ? "Postgres" : "Sqlite";
                         });

}  // namespace
}  // namespace nb::management
