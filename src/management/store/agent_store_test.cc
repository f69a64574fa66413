// Tokens, sessions and jobs, asked by two instances at once.
#include "management/store/agent_store.h"

#include "management/store/test_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

namespace nb::management {
namespace {

using namespace test;
using namespace std::chrono_literals;

class AgentStoreTest : public testing::TestWithParam<sql::Engine> {
 protected:
  void SetUp() override {
    const auto report = a_.prepare();
    ASSERT_TRUE(report) << report.error().text;
    const auto tables = prepare_agent_tables(a_.parts, soon());
    ASSERT_TRUE(tables) << tables.error().text;
    auto made = get(a_.store->ensure_account(soon(), fresh_account()));
    ASSERT_TRUE(made) << made.error().text;
    account_ = std::move(made->first);
    one_ = make_sql_agent_store(a_.parts);
    two_ = make_sql_agent_store(b_.parts);
  }
  /// A peer of the account's owner.
  Peer users_peer() {
    Registration request;
    request.key = fresh_peer_key();
    request.user = account_.created_by;
    request.name = "laptop";
    request.meta.hostname = "laptop";
    auto done = get(a_.store->register_peer(soon(), std::move(request)));
    EXPECT_TRUE(done) << done.error().text;
    return std::move(done->peer);
  }
  Peer connected_peer() {
    Peer peer = users_peer();
    EXPECT_TRUE(get(a_.store->heartbeat(soon(), InstanceId("one"), 1, 60s)));
    EXPECT_TRUE(get(a_.store->connect(soon(), {peer.id, InstanceId("one"), 1})));
    return peer;
  }
  Job bundle(const Peer& peer) const {
    Job job;
    job.account_id = account_.id;
    job.peer_id = peer.id;
    job.triggered_by = account_.created_by;
    job.type = kJobTypeBundle;
    job.bundle = {
        .bundle_for = true, .bundle_for_time = 2, .log_file_count = 10, .anonymize = true};
    return job;
  }
  TokenUse use(const PeerKey& peer, std::chrono::seconds repeat = 300s) const {
    return {std::string(64, 'a'), peer, system_clock().wall() + 1h, repeat};
  }

  sql::test::TestDatabase fixture_{GetParam()};
  Instance a_{fixture_};
  Instance b_{fixture_};
  Account account_;
  std::unique_ptr<AgentStore> one_;
  std::unique_ptr<AgentStore> two_;
};

TEST_P(AgentStoreTest, TokenBelongsToThePeerThatCameFirst) {
  const PeerKey first = fresh_peer_key();
  EXPECT_TRUE(get(one_->claim_token(soon(), use(first))));
  EXPECT_TRUE(get(two_->claim_token(soon(), use(first))));  // its answer may have been lost
  const auto other = get(two_->claim_token(soon(), use(fresh_peer_key())));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error(), (Error{Code::kUnauthenticated, "JWT already used"}));
  EXPECT_FALSE(get(one_->claim_token(soon(), use(first, -1s))));  // too late to come again
}

TEST_P(AgentStoreTest, OfManyPeersWithOneTokenOneHasIt) {
  std::atomic<int> taken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      if (get((i % 2 == 0 ? *one_ : *two_).claim_token(soon(), use(fresh_peer_key())))) ++taken;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(taken, 1);
}

TEST_P(AgentStoreTest, ExpiredTokensAreForgotten) {
  TokenUse old = use(fresh_peer_key());
  old.expires_at = system_clock().wall() - 1h;
  ASSERT_TRUE(get(one_->claim_token(soon(), old)));
  EXPECT_EQ(*get(two_->forget_tokens(soon())), 1U);
}

TEST_P(AgentStoreTest, ExtendedSessionStartsAgainAndTellsTheOthers) {
  const Peer peer = users_peer();
  a_.sql("UPDATE peers SET peer_status_login_expired = TRUE");
  const auto before = get(a_.store->peer_by_key(soon(), peer.key));
  const auto done = get(two_->extend_session(soon(), peer.key, account_.created_by));
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_TRUE(done->was_expired);
  EXPECT_GT(done->view.serial, before->serial);
  EXPECT_FALSE(get(a_.store->peer_by_key(soon(), peer.key))->peer.status.login_expired);
  EXPECT_EQ(get(two_->extend_session(soon(), peer.key, UserId("somebody"))).error().text,
            "peer is already registered by a different User or a Setup Key");
  EXPECT_EQ(get(two_->extend_session(soon(), fresh_peer_key(), account_.created_by)).error().code,
            Code::kNotFound);
  a_.sql("UPDATE peers SET login_expiration_enabled = FALSE");
  EXPECT_EQ(get(two_->extend_session(soon(), peer.key, account_.created_by)).error(),
            (Error{Code::kFailedPrecondition, "peer is not eligible for session extension"}));
  a_.sql("UPDATE accounts SET settings_peer_login_expiration_enabled = FALSE");
  EXPECT_EQ(
      get(two_->extend_session(soon(), peer.key, account_.created_by)).error(),
      (Error{Code::kFailedPrecondition, "peer login expiration is disabled for the account"}));
}

TEST_P(AgentStoreTest, StreamsAreForPeersWhoseUserIsWelcome) {
  const Peer peer = users_peer();
  std::int64_t epoch = 0;
  const auto lost = [&] {
    return get(two_->lost_job_streams(soon(), {{peer.id, epoch}}))->size() == 1;
  };
  const auto open = [&] {
    const auto opened = get(one_->open_job_stream(soon(), peer.key, InstanceId("one"), 1));
    if (opened) epoch = opened->epoch;
    return opened ? Error{Code::kOk, ""} : opened.error();
  };
  EXPECT_EQ(open().code, Code::kOk);
  EXPECT_FALSE(lost());
  a_.sql("UPDATE users SET blocked = TRUE");
  EXPECT_TRUE(lost());
  EXPECT_EQ(open(), (Error{Code::kPermissionDenied, "user is blocked"}));
  a_.sql("UPDATE users SET blocked = FALSE; UPDATE peers SET peer_status_login_expired = TRUE");
  EXPECT_TRUE(lost());
  EXPECT_EQ(open(),
            (Error{Code::kPermissionDenied, "peer login has expired, please log in once more"}));
  a_.sql("UPDATE peers SET user_id = ''");
  EXPECT_FALSE(lost()) << "nobody's login";
  EXPECT_EQ(open().code, Code::kOk);
}

TEST_P(AgentStoreTest, JobIsGivenOutOnceAndCompletedOnce) {
  const Peer peer = connected_peer();
  const auto stream = get(one_->open_job_stream(soon(), peer.key, InstanceId("one"), 1));
  ASSERT_TRUE(stream) << stream.error().text;
  const auto made = get(two_->create_job(soon(), bundle(peer)));
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(made->stream_instance, InstanceId("one"));
  EXPECT_EQ(get(one_->create_job(soon(), bundle(peer))).error().text,
            "peer already has pending job");
  const auto waiting = get(one_->waiting_jobs(soon(), InstanceId("one"), 1));
  ASSERT_TRUE(waiting);
  ASSERT_EQ(waiting->size(), 1U);
  EXPECT_EQ(waiting->front().peer, peer.id);
  EXPECT_EQ(waiting->front().epoch, stream->epoch);
  EXPECT_TRUE(get(two_->waiting_jobs(soon(), InstanceId("two"), 1))->empty());
  const auto given = get(one_->claim_job(soon(), peer.id, stream->epoch));
  ASSERT_TRUE(given && *given);
  EXPECT_EQ((*given)->id, made->job.id);
  EXPECT_EQ((*given)->bundle, made->job.bundle);
  EXPECT_FALSE(*get(two_->claim_job(soon(), peer.id, stream->epoch)));
  EXPECT_TRUE(get(one_->waiting_jobs(soon(), InstanceId("one"), 1))->empty());
  const JobResult result{made->job.id, peer.id, true, "", "bundles/key"};
  EXPECT_FALSE(*get(one_->complete_job(soon(), {made->job.id, PeerId("another"), true, "", "x"})));
  EXPECT_TRUE(*get(one_->complete_job(soon(), result)));
  EXPECT_FALSE(*get(one_->complete_job(soon(), result)));
  const auto stored = get(two_->job(soon(), account_.id, peer.id, made->job.id));
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->status, JobStatus::kSucceeded);
  EXPECT_EQ(stored->upload_key, "bundles/key");
  EXPECT_TRUE(stored->completed_at.has_value());
  EXPECT_EQ(get(two_->jobs(soon(), account_.id, peer.id))->size(), 1U);
}

TEST_P(AgentStoreTest, JobForAPeerThatIsAwayIsRefused) {
  const Peer peer = users_peer();
  EXPECT_EQ(get(one_->create_job(soon(), bundle(peer))).error(),
            (Error{Code::kOutOfRange, "peer not connected"}));
  Job unknown = bundle(peer);
  unknown.peer_id = PeerId("nobody");
  EXPECT_EQ(get(one_->create_job(soon(), unknown)).error(),
            (Error{Code::kNotFound, "peer not found: nobody"}));
}

TEST_P(AgentStoreTest, NewJobStreamFailsWhatTheOldOneLeftAndFencesIt) {
  const Peer peer = connected_peer();
  const auto old = get(one_->open_job_stream(soon(), peer.key, InstanceId("one"), 1));
  const auto made = get(one_->create_job(soon(), bundle(peer)));
  const auto fresh = get(two_->open_job_stream(soon(), peer.key, InstanceId("two"), 7));
  ASSERT_TRUE(old && made && fresh);
  EXPECT_GT(fresh->epoch, old->epoch);
  EXPECT_EQ(fresh->previous_instance, InstanceId("one"));
  const auto failed = get(one_->job(soon(), account_.id, peer.id, made->job.id));
  EXPECT_EQ(failed->status, JobStatus::kFailed);
  EXPECT_EQ(failed->failed_reason,
            "Pending job cleanup: marked as failed automatically due to being stuck too long");
  const auto second = get(one_->create_job(soon(), bundle(peer)));
  ASSERT_TRUE(second);
  EXPECT_FALSE(*get(one_->claim_job(soon(), peer.id, old->epoch)));
  EXPECT_TRUE(get(one_->close_job_stream(soon(), peer.id, old->epoch)));  // too late: no effect
  EXPECT_EQ(get(one_->job(soon(), account_.id, peer.id, second->job.id))->status,
            JobStatus::kPending);
  EXPECT_TRUE(get(two_->close_job_stream(soon(), peer.id, fresh->epoch)));
  EXPECT_EQ(get(one_->job(soon(), account_.id, peer.id, second->job.id))->failed_reason,
            "Time out peer disconnected");
}

TEST_P(AgentStoreTest, StreamsThatAreNotTheNewestAnyMoreAreFound) {
  const Peer stays = users_peer();
  const Peer moved = users_peer();
  const Peer gone = users_peer();
  std::vector<OpenSession> open;
  for (const Peer* peer : {&stays, &moved, &gone}) {
    const auto stream = get(one_->open_job_stream(soon(), peer->key, InstanceId("one"), 1));
    ASSERT_TRUE(stream) << stream.error().text;
    open.push_back({peer->id, stream->epoch});
  }
  EXPECT_TRUE(get(one_->lost_job_streams(soon(), open))->empty());
  ASSERT_TRUE(get(two_->open_job_stream(soon(), moved.key, InstanceId("two"), 1)));
  ASSERT_TRUE(get(a_.store->delete_peer(soon(), gone.key, "test")));
  auto lost = get(one_->lost_job_streams(soon(), open));
  ASSERT_TRUE(lost) << lost.error().text;
  std::ranges::sort(*lost);
  std::vector<PeerId> expected{moved.id, gone.id};
  std::ranges::sort(expected);
  EXPECT_EQ(*lost, expected);
}

TEST_P(AgentStoreTest, IncarnationsGrowWhateverTheClockSays) {
  EXPECT_EQ(*get(one_->next_incarnation(soon(), InstanceId("one"), 100)), 100);
  EXPECT_TRUE(get(a_.store->heartbeat(soon(), InstanceId("one"), 100, 60s)));
  EXPECT_EQ(*get(one_->next_incarnation(soon(), InstanceId("one"), 70)), 101);
  EXPECT_EQ(*get(one_->next_incarnation(soon(), InstanceId("one"), 130)), 130);
  EXPECT_EQ(*get(one_->next_incarnation(soon(), InstanceId("two"), 70)), 70);
}

TEST_P(AgentStoreTest, StuckJobsFail) {
  const Peer peer = connected_peer();
  const auto unsent = get(one_->create_job(soon(), bundle(peer)));
  ASSERT_TRUE(unsent);
  EXPECT_EQ(*get(two_->fail_stuck_jobs(soon(), 300s)), 0U);
  EXPECT_EQ(*get(two_->fail_stuck_jobs(soon(), -1s)), 1U);
  const auto stream = get(one_->open_job_stream(soon(), peer.key, InstanceId("one"), 1));
  const auto sent = get(one_->create_job(soon(), bundle(peer)));
  ASSERT_TRUE(*get(one_->claim_job(soon(), peer.id, stream->epoch)));
  EXPECT_EQ(*get(two_->fail_stuck_jobs(soon(), 300s)), 0U);
  EXPECT_TRUE(get(a_.store->retire(soon(), InstanceId("one"), 1)));
  EXPECT_EQ(*get(two_->fail_stuck_jobs(soon(), 300s)), 1U);
  EXPECT_EQ(get(two_->job(soon(), account_.id, peer.id, sent->job.id))->failed_reason,
            "Time out peer disconnected");
}

INSTANTIATE_TEST_SUITE_P(Engines, AgentStoreTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres));

}  // namespace
}  // namespace nb::management
