// What administrators do over the API, as agents see it (contract/rest-api.md §11, case
// 77): two instances behind HAProxy, and one on SQLite.
#include "integration/api_owner.h"
#include "integration/mgmt_job_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr const char* kReturn = "http://dash.test/nb-auth";

enum class Engine { kSqlite, kPostgres };

/// Whom an administrator asks: the balancer, which alternates, or the one server.
struct Deployment {
  explicit Deployment(Engine engine) {
    if (engine == Engine::kPostgres) {
      postgres.emplace();
      postgres->create_database("idp");
      redis.emplace();
    }
    one = server("mgmt-1");
    if (!postgres) {
      asked = one->target();
      return;
    }
    two = server("mgmt-2");
    balancer.emplace(std::string(R"(
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
frontend main
  bind 127.0.0.1:{port}
  default_backend servers
backend servers
  balance roundrobin
  server one )") + one->target() +
                     "\n  server two " + two->target() + "\n");
    asked = balancer->address();
  }
  std::unique_ptr<MgmtServer> server(const std::string& instance) {
    auto out = std::make_unique<MgmtServer>(MgmtOptions{
        .instance = instance,
        .postgres_dsn = postgres ? postgres->dsn() : std::string(),
        .redis = redis ? redis->address() : std::string(),
        .env = {{"NB_SETUP_PAT_ENABLED", "true"}},
        .json = embedded_idp("http://127.0.0.1:1/oauth2", postgres ? postgres->dsn("idp") : "",
                             std::string(R"(,"DashboardRedirectURIs":[")") + kReturn + R"("])")});
    out->start();
    return out;
  }
  [[nodiscard]] const MgmtServer& other() const { return two ? *two : *one; }

  std::optional<PostgresServer> postgres;
  std::optional<RedisServer> redis;
  std::unique_ptr<MgmtServer> one;
  std::unique_ptr<MgmtServer> two;
  std::optional<HaProxy> balancer;
  std::string asked;
};

class MgmtApi : public testing::TestWithParam<Engine> {
 protected:
  MgmtApi() : site(GetParam()), pat(set_up(web, *site.one)) {
    EXPECT_FALSE(pat.empty());
    EXPECT_TRUE(machine.login(site.one->target(), site.one->setup_key()).ok());
    peer = after(ask("GET", "/api/peers").body, R"("id":")");
    EXPECT_FALSE(peer.empty());
  }
  net::HttpClientResponse ask(const std::string& method, const std::string& path,
                              const std::string& body = {}) {
    return web.send_to(site.asked, method, path, body, pat);
  }
  net::HttpClientResponse make_job() {
    return ask("POST", "/api/peers/" + peer + "/jobs",
               R"({"workload":{"type":"bundle","parameters":{"bundle_for":true,)"
               R"("bundle_for_time":2,"log_file_count":7,"anonymize":true}}})");
  }
  bool shown(const std::string& path, const std::string& text) {
    return eventually([&] { return ask("GET", path).body.find(text) != std::string::npos; }, 10s);
  }

  Deployment site;
  Web web;
  std::string pat;
  Agent machine{"machine"};
  std::string peer;
};

TEST_P(MgmtApi, AConnectedPeerIsGivenOneJobAtATime) {
  const std::string jobs = "/api/peers/" + peer + "/jobs";
  EXPECT_EQ(make_job().status, 400) << "it is not connected";
  {
    SyncStream sync(machine, site.other().target());
    JobStream stream(machine, site.other().target());
    ASSERT_TRUE(sync.wait_first() && stream.wait_open());
    ASSERT_TRUE(shown("/api/peers/" + peer, R"("connected":true)"));
    const auto made = make_job();
    ASSERT_EQ(made.status, 200) << made.body;
    EXPECT_THAT(made.body, HasSubstr(R"("status":"pending")"));
    const std::string id = after(made.body, R"("id":")");
    const auto given = stream.wait_job(10s);
    ASSERT_TRUE(given);
    EXPECT_EQ(given->id(), id);
    EXPECT_EQ(given->bundle().log_file_count(), 7);
    const auto again = make_job();
    EXPECT_EQ(again.status, 400) << again.body;
    EXPECT_THAT(again.body, HasSubstr(R"("code":400)"));
    pb::JobResponse done;
    done.set_id(id);
    done.set_status(pb::succeeded);
    done.mutable_bundle()->set_upload_key("bundles/abc");
    stream.answer(done);
    EXPECT_TRUE(shown(jobs + "/" + id, R"("status":"succeeded")"));
    EXPECT_THAT(ask("GET", jobs + "/" + id).body, HasSubstr(R"("upload_key":"bundles/abc")"));
    EXPECT_EQ(make_job().status, 200) << "the first one is done";
    EXPECT_TRUE(eventually([&] { return stream.jobs() == 2; }, 10s));
  }
  EXPECT_TRUE(shown("/api/peers/" + peer, R"("connected":false)"));
  EXPECT_EQ(make_job().status, 400);
  EXPECT_EQ(ask("GET", jobs + "/unknown").status, 404);
}

INSTANTIATE_TEST_SUITE_P(Engines, MgmtApi, testing::Values(Engine::kSqlite, Engine::kPostgres),
                         [](const auto& each) {
                           return each.param == Engine::kSqlite ? "Sqlite" : "Postgres";
                         });

}  // namespace
}  // namespace nb::test
