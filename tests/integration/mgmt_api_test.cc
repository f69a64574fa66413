// What administrators do over the API, as agents see it (contract/rest-api.md §11, cases 45 and
// 77): two instances behind HAProxy, and one on SQLite.
#include "integration/api_owner.h"
#include "integration/mgmt_job_stream.h"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <utility>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr const char* kReturn = "http://dash.test/nb-auth";

enum class Engine { kSqlite, kPostgres };

/// Whom an administrator asks: the balancer, which alternates, or the one server.
struct Deployment {
  explicit Deployment(Engine engine, std::map<std::string, std::string> more = {})
      : env(std::move(more)) {
    env["NB_SETUP_PAT_ENABLED"] = "true";
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
        .env = env,
        .json = embedded_idp("http://127.0.0.1:1/oauth2", postgres ? postgres->dsn("idp") : "",
                             std::string(R"(,"DashboardRedirectURIs":[")") + kReturn + R"("])")});
    out->start();
    return out;
  }
  [[nodiscard]] const MgmtServer& other() const { return two ? *two : *one; }

  std::map<std::string, std::string> env;
  std::optional<PostgresServer> postgres;
  std::optional<RedisServer> redis;
  std::unique_ptr<MgmtServer> one;
  std::unique_ptr<MgmtServer> two;
  std::optional<HaProxy> balancer;
  std::string asked;
};

class MgmtApi : public testing::TestWithParam<Engine> {
 protected:
  explicit MgmtApi(std::map<std::string, std::string> env = {})
      : site(GetParam(), std::move(env)), pat(set_up(web, *site.one)) {
    EXPECT_FALSE(pat.empty());
    EXPECT_TRUE(machine.login(site.one->target(), site.one->setup_key()).ok());
    peer = after(ask("GET", "/api/peers").body, R"("id":")");
    EXPECT_FALSE(peer.empty());
  }
  net::HttpClientResponse ask(const std::string& method, const std::string& path,
                              const std::string& body = {}) {
    return web.send_to(site.asked, method, path, body, pat);
  }
  net::HttpClientResponse make_job() { return make_job(site.asked); }
  net::HttpClientResponse make_job(const std::string& at) {
    return web.send_to(at, "POST", "/api/peers/" + peer + "/jobs",
                       R"({"workload":{"type":"bundle","parameters":{"bundle_for":true,)"
                       R"("bundle_for_time":2,"log_file_count":7,"anonymize":true}}})",
                       pat);
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

/// Nobody looks in time without being told.
class ToldJobs : public MgmtApi {
 protected:
  ToldJobs() : MgmtApi({{"NB_MGMT_ANTI_ENTROPY_INTERVAL", "10m"}}) {}
};

TEST_P(ToldJobs, ReachTheStreamAtAnotherInstanceByTheMessage) {
  SyncStream sync(machine, site.one->target());
  JobStream stream(machine, site.other().target());
  ASSERT_TRUE(sync.wait_first() && stream.wait_open());
  ASSERT_TRUE(shown("/api/peers/" + peer, R"("connected":true)"));
  const auto made = make_job(site.one->target());
  ASSERT_EQ(made.status, 200) << made.body;
  const auto given = stream.wait_job(patient(20s));
  ASSERT_TRUE(given);
  EXPECT_EQ(given->id(), after(made.body, R"("id":")"));
}

INSTANTIATE_TEST_SUITE_P(Engines, ToldJobs, testing::Values(Engine::kPostgres),
                         [](const auto&) { return "Postgres"; });

// contract/network-map.md §3.2 (4), management-grpc.md §5.4: a map that says what the last one said
// costs an agent a pass over everything, and is not sent.
TEST_P(MgmtApi, WhatAltersNoMapIsSentToNobody) {
  const auto made = [&](const std::string& path, const std::string& body) {
    const auto answer = ask("POST", path, body);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return boost::json::parse(answer.body).as_object();
  };
  const auto id_of = [](const boost::json::object& object) {
    return std::string(object.at("id").as_string());
  };
  const Agent desk("desk");
  ASSERT_TRUE(desk.login(site.other().target(), site.one->setup_key()).ok());
  const std::string all = after(ask("GET", "/api/groups?name=All").body, R"("id":")");
  const std::string empty = id_of(made("/api/groups", R"({"name":"empty","peers":[]})"));
  const std::string spare = id_of(made("/api/groups", R"({"name":"spare","peers":[]})"));
  const auto policy_text = [](const std::string& rule, const std::string& sources,
                              const std::string& destinations) {
    return R"({"name":"mine","enabled":true,"rules":[{)" + rule +
           R"("name":"r","enabled":true,"action":"accept","protocol":"tcp","ports":["22"],)"
           R"("bidirectional":true,"sources":[)" +
           sources + R"(],"destinations":[)" + destinations + "]}]}";
  };
  const std::string everybody = '"' + all + '"';
  const auto policy = made("/api/policies", policy_text("", everybody, everybody));
  const SyncStream here(machine, site.one->target());
  const SyncStream there(desk, site.other().target());
  ASSERT_TRUE(here.wait_first() && there.wait_first());
  const auto unchanged = [&] {
    const char* const name = "netbird_management_maps_unchanged_total";
    return site.one->metric(name) + (site.two ? site.two->metric(name) : 0);
  };
  const double before = unchanged();

  // Of nobody's map, or not shown in any.
  EXPECT_EQ(ask("PUT", "/api/groups/" + spare, R"({"name":"renamed","peers":[]})").status, 200);
  const std::string nobody = '"' + spare + '"';
  made("/api/policies", policy_text("", nobody, nobody));
  // In everybody's rule, which says the same with one more group of nobody: both maps are made
  // again, and dropped for their digests.
  const std::string rule =
      R"("id":")" + id_of(policy.at("rules").as_array().at(0).as_object()) + R"(",)";
  EXPECT_EQ(ask("PUT", "/api/policies/" + id_of(policy),
                policy_text(rule, everybody + ",\"" + empty + '"', everybody))
                .status,
            200);
  EXPECT_TRUE(eventually([&] { return unchanged() == before + 2; }, 10s)) << unchanged() - before;
  EXPECT_EQ(here.received().size(), 1U);
  EXPECT_EQ(there.received().size(), 1U);

  // And what does alter them arrives, once.
  const Agent late("late");
  ASSERT_TRUE(late.login(site.one->target(), site.one->setup_key()).ok());
  for (const SyncStream* const stream : {&here, &there}) {
    EXPECT_TRUE(stream->wait_for([&](const auto& m) { return shows_peer(m, late.key()); }));
    EXPECT_EQ(stream->received().size(), 2U);
    EXPECT_GT(stream->last()->networkmap().serial(),
              stream->received().front().networkmap().serial());
  }
}

/// Nothing but the bus ends a stream here within the hour: rows are compared every ten minutes.
class BlockedUser : public testing::TestWithParam<Engine> {
 protected:
  BlockedUser()
      : site(GetParam(), {{"NB_MGMT_ANTI_ENTROPY_INTERVAL", "10m"}}), pat(set_up(web, *site.one)) {
    const auto made = ask("POST", "/api/users",
                          R"({"email":"ann@example.org","name":"Ann","role":"user",)"
                          R"("auto_groups":[],"is_service_user":false})");
    user = after(made.body, R"("id":")");
    password = made_password(made.body);
    EXPECT_FALSE(user.empty() || password.empty()) << made.body;
  }
  net::HttpClientResponse ask(const std::string& method, const std::string& path,
                              const std::string& body = {}) {
    return web.send_to(site.asked, method, path, body, pat);
  }
  int block(bool blocked) {
    return ask("PUT", "/api/users/" + user,
               std::string(R"({"role":"user","auto_groups":[],"is_blocked":)") +
                   (blocked ? "true}" : "false}"))
        .status;
  }
  grpc::Status log_in(const Agent& agent, const MgmtServer& at) {
    Web browser;
    pb::LoginRequest request;
    *request.mutable_meta() = agent.meta();
    request.set_jwttoken(access_token(browser, at, kReturn, "ann@example.org", password));
    return agent.login(at.target(), request).status;
  }
  struct Streams {
    Streams(const Agent& agent, const MgmtServer& at)
        : sync(agent, at.target()), job(agent, at.target()) {}
    SyncStream sync;
    JobStream job;
    [[nodiscard]] bool open() const { return sync.wait_first() && job.wait_open(); }
    [[nodiscard]] bool alive() const { return !sync.wait_end(0ms) && !job.wait_end(0ms); }
  };

  Deployment site;
  Web web;
  std::string pat;
  std::string user;
  std::string password;
};

// Signal's streams are not among them: it knows keys, and no users (contract/signal-relay-ops.md
// §1).
TEST_P(BlockedUser, HasNoStreamLeftOnAnyInstance) {
  const Agent laptop("laptop");
  const Agent desk("desk");
  ASSERT_TRUE(log_in(laptop, *site.one).ok());
  ASSERT_TRUE(log_in(desk, site.other()).ok());
  const Agent machine("machine");  // nobody's
  ASSERT_TRUE(machine.login(site.one->target(), site.one->setup_key()).ok());
  const Streams here(laptop, *site.one);
  const Streams there(desk, site.other());
  const Streams bystander(machine, site.other());
  ASSERT_TRUE(here.open() && there.open() && bystander.open());
  ASSERT_EQ(block(true), 200);
  for (const Streams* streams : {&here, &there}) {
    EXPECT_TRUE(streams->sync.wait_end(patient(2s)));
    EXPECT_TRUE(streams->job.wait_end(patient(2s)));
  }
  for (const MgmtServer* server : {&std::as_const(*site.one), &site.other()})
    for (const Agent* agent : {&laptop, &desk}) {
      SyncStream again(*agent, server->target());
      const auto end = again.wait_end(patient(5s));
      ASSERT_TRUE(end);
      EXPECT_EQ(end->error_code(), grpc::StatusCode::PERMISSION_DENIED) << end->error_message();
    }
  EXPECT_TRUE(bystander.alive());
  ASSERT_EQ(block(false), 200);
  ASSERT_TRUE(log_in(laptop, site.other()).ok());
  EXPECT_TRUE(Streams(laptop, *site.one).open()) << "with a new login everything is as before";
  EXPECT_TRUE(bystander.alive());
}

INSTANTIATE_TEST_SUITE_P(Engines, BlockedUser, testing::Values(Engine::kSqlite, Engine::kPostgres),
                         [](const auto& each) {
                           return each.param == Engine::kSqlite ? "Sqlite" : "Postgres";
                         });
INSTANTIATE_TEST_SUITE_P(Engines, MgmtApi, testing::Values(Engine::kSqlite, Engine::kPostgres),
                         [](const auto& each) {
                           return each.param == Engine::kSqlite ? "Sqlite" : "Postgres";
                         });

}  // namespace
}  // namespace nb::test
