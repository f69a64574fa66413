// An instance that stands still for a minute, as in a snapshot of its machine or a stop of its
// host, while the other one goes on with all its defaults.
#include "integration/mgmt_cluster.h"
#include "integration/mgmt_job_stream.h"

#include <future>
#include <memory>
#include <string>
#include <vector>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using grpc::StatusCode;

// Longer than everything by which others notice, with their defaults: the lease of an instance
// (30 s), that of the janitor (15 s), calls of agents (10 s), transactions that stand still (10 s,
// then PostgreSQL ends them), looking for lost messages (2 s). Nothing of it is made shorter here,
// and no clock is turned: the kernel, Redis and PostgreSQL have their own. Other tests of pauses
// shorten the lease instead (MgmtCluster.PausedInstance…); this is the only one that takes so long.
constexpr auto kPause = 61s;

class MgmtPause : public MgmtCluster {
 protected:
  MgmtPause() : MgmtCluster(Environment{}) {}
  [[nodiscard]] std::string query(const std::string& sql) const { return postgres.psql(sql); }
  [[nodiscard]] std::string row(const Agent& peer, const std::string& columns) const {
    return query("select " + columns +
                 " from peers p left join nb_peer_sessions s on s.peer_id = p.id where p.key='" +
                 peer.key() + "'");
  }
  [[nodiscard]] std::string connected_peers() const {
    return query("select count(*) from peers where peer_status_connected");
  }
  /// An agent's Login on a connection that stands already.
  struct Line {
    explicit Line(const MgmtServer& at) : service(stub(at.target())) {
      grpc::ClientContext context;
      pb::ServerKeyResponse response;
      EXPECT_TRUE(service->GetServerKey(&context, {}, &response).ok());
      server_key = response.key();
    }
    grpc::Status login(const Agent& peer, const std::string& setup_key,
                       std::chrono::seconds limit) const {
      pb::LoginRequest request;
      *request.mutable_meta() = peer.meta();
      request.set_setupkey(setup_key);
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + limit);
      pb::EncryptedMessage response;
      return service->Login(&context, peer.seal(request, server_key), &response);
    }
    std::unique_ptr<pb::ManagementService::Stub> service;
    std::string server_key;
  };
};

TEST_F(MgmtPause, OfAMinuteLosesDoublesAndMismarksNothing) {
  struct Client {
    std::unique_ptr<Agent> agent;
    std::unique_ptr<SyncStream> sync;
    std::unique_ptr<JobStream> job;
  };
  const auto client = [&](const std::string& name, MgmtServer& at) {
    Client out;
    out.agent = agent(name, at);
    out.sync = std::make_unique<SyncStream>(*out.agent, at.target());
    out.job = std::make_unique<JobStream>(*out.agent, at.target());
    EXPECT_TRUE(out.sync->wait_first() && out.job->wait_open(patient(10s)));
    return out;
  };
  std::vector<Client> staying;
  for (int i = 0; i < 6; ++i) staying.push_back(client("stays-" + std::to_string(i), one));
  Client moving = client("moves", one);
  Client leaving = client("leaves", one);
  Client blocked = client("blocked", one);
  Client deleted = client("deleted", one);
  Client elsewhere = client("elsewhere", two);
  ASSERT_EQ(connected_peers(), "11");
  std::vector<std::string> sessions;
  for (const Client& at : staying) sessions.push_back(row(*at.agent, "s.instance_id, s.epoch"));

  const std::string once = two.setup_key({"--type", "one-off"});
  const Agent impatient("impatient");
  const Agent patient_one("patient");
  const Line first_line(one);
  const Line second_line(one);

  one.process().pause();
  const auto paused_at = Clock::now();
  // Two ask the one that sleeps. One gives up and goes to the other instance, with a key that is
  // good once; what it said here still waits in the socket. The other one waits as long as it
  // takes.
  auto waiting = std::async(std::launch::async,
                            [&] { return second_line.login(patient_one, key, 4 * kPause); });
  auto gone_elsewhere = std::async(std::launch::async, [&] {
    EXPECT_EQ(first_line.login(impatient, once, 10s).error_code(), StatusCode::DEADLINE_EXCEEDED);
    const auto joined = impatient.login(two.target(), once);
    EXPECT_TRUE(joined.ok()) << joined.status.error_message();
  });
  const auto early = agent("early", two);
  ASSERT_TRUE(deleted.agent->logout(two.target()).ok());
  postgres.psql(
      "update users set blocked = true; update peers set user_id = (select created_by from "
      "accounts) where key='" +
      blocked.agent->key() + "'");
  // The lease ends: its peers are taken for gone.
  EXPECT_TRUE(eventually([&] { return connected_peers() == "1"; }, 55s)) << connected_peers();
  SyncStream moved(*moving.agent, two.target());
  JobStream moved_job(*moving.agent, two.target());
  ASSERT_TRUE(moved.wait_first() && moved_job.wait_open(patient(10s)));
  leaving.sync.reset();
  leaving.job.reset();
  const auto late = agent("late", two);
  gone_elsewhere.get();
  ASSERT_TRUE(eventually([&] { return Clock::now() >= paused_at + kPause; }, 2 * kPause));
  const std::uint64_t before = std::stoull(query("select network_serial from accounts"));
  one.process().resume();

  // Nobody wrongly marked, in the sessions that were.
  EXPECT_TRUE(eventually([&] { return connected_peers() == "8"; }, 30s)) << connected_peers();
  for (std::size_t i = 0; i < staying.size(); ++i) {
    EXPECT_EQ(row(*staying[i].agent, "s.instance_id, s.epoch"), sessions[i]);
    EXPECT_EQ(row(*staying[i].agent, "peer_status_connected"), "t");
  }
  EXPECT_EQ(row(*moving.agent, "peer_status_connected, s.instance_id"), "t|mgmt-2");
  EXPECT_EQ(row(*leaving.agent, "peer_status_connected"), "f");
  EXPECT_EQ(row(*blocked.agent, "peer_status_connected"), "f");
  EXPECT_EQ(row(*elsewhere.agent, "peer_status_connected, s.instance_id"), "t|mgmt-2");

  // Streams that are over end, each as it should; the others stay, and so do the new ones.
  for (const Client* const over : {&moving, &blocked, &deleted}) {
    const auto end = over->sync->wait_end(20s);
    ASSERT_TRUE(end) << over->agent->hostname();
    EXPECT_TRUE(end->ok()) << over->agent->hostname() << ": " << end->error_message();
    EXPECT_TRUE(over->job->wait_end(patient(60s))) << over->agent->hostname();
  }
  EXPECT_TRUE(deleted.sync->last()->remotepeersisempty());
  EXPECT_FALSE(moved.wait_end(0ms));
  EXPECT_FALSE(moved_job.wait_end(0ms));

  // No update lost, no serial fallen.
  for (const Client& at : staying) {
    EXPECT_TRUE(at.sync->wait_for(
        [&](const auto& m) {
          return shows_peer(m, early->key()) && shows_peer(m, late->key()) &&
                 shows_peer(m, impatient.key()) && !shows_peer(m, deleted.agent->key()) &&
                 m.networkmap().serial() >= before;
        },
        20s));
    EXPECT_FALSE(at.sync->wait_end(0ms));
    EXPECT_FALSE(at.job->wait_end(0ms));
    expect_rising(*at.sync);
  }
  expect_rising(*elsewhere.sync);
  const grpc::Status waited = waiting.get();
  EXPECT_TRUE(waited.ok()) << waited.error_message();
  const auto after = agent("after", one);  // it takes part again, both ways
  const std::initializer_list<const SyncStream*> open = {&moved, elsewhere.sync.get(),
                                                         staying[0].sync.get()};
  for (const SyncStream* const stream : open)
    EXPECT_TRUE(stream->wait_for([&](const auto& m) { return shows_peer(m, after->key()); }, 10s));
  postgres.psql(
      "insert into jobs (id, created_at, triggered_by, peer_id, account_id, status, failed_reason, "
      "workload_workload_type, workload_parameters, workload_result) select 'job-' || id, now(), "
      "'u', id, account_id, 'pending', '', 'bundle', "
      "'{\"bundle_for\":true,\"bundle_for_time\":1}', '{}' from peers where key='" +
      staying[0].agent->key() + "'");
  EXPECT_TRUE(staying[0].job->wait_job(patient(15s)));

  // Nothing registered twice: what waited in the socket of the one that slept came too late.
  EXPECT_EQ(query("select count(*), count(distinct key), count(distinct ip), count(distinct "
                  "dns_label) from peers"),
            "15|15|15|15");
  EXPECT_EQ(query("select count(*) from (select group_id, peer_id from group_peers group by 1, 2 "
                  "having count(*) > 1) doubled"),
            "0");
  EXPECT_EQ(query("select used_times from setup_keys where type = 'one-off'"), "1");
  EXPECT_EQ(connected_peers(), "8");
}

}  // namespace
}  // namespace nb::test
