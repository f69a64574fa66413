// Job streams of two instances over one database; where no bus is between them, every message is
// lost.
#include "management/app/jobs.h"

#include "ha/local/adapters.h"
#include "ha/memory_store.h"
#include "management/store/test_store.h"
#include "support/home_loop.h"
#include "support/process.h"

#include <boost/asio/this_coro.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>

namespace nb::management::app {
namespace {

using namespace management::test;
using namespace std::chrono_literals;
using nb::test::eventually;

class Sink final : public JobSink {
 public:
  void send(const Job& /*job*/) override { ++sent; }
  void end() override { superseded = true; }
  std::atomic<int> sent{0};
  std::atomic<bool> superseded{false};
};

class NoWorkers final : public MapWorkers {
 public:
  void post(std::function<void()> /*work*/) override {}
};

/// A bus that loses nothing, and the loop of all who use it.
struct Wire {
  SystemClock clock;
  nb::test::HomeLoop loop;
  ha::MemoryStore store{clock};
  ha::LocalBus bus{loop.executor(), store};
};

/// Sleeps end when the test says so: each look for waiting jobs is one step.
class Steps final : public Clock {
 public:
  [[nodiscard]] WallTime wall() const override { return system_.wall(); }
  [[nodiscard]] Instant now() const override { return system_.now(); }
  boost::asio::awaitable<void> sleep_for(std::chrono::nanoseconds /*time*/) override {
    const int mine = ++asleep_;
    while (mine > allowed_) {
      co_await system_.sleep_for(1ms);
      const auto state = co_await boost::asio::this_coro::cancellation_state;
      if (state.cancelled() != boost::asio::cancellation_type::none) co_return;
    }
  }
  /// The first sleep has begun.
  [[nodiscard]] bool ready() const {
    return eventually([this] { return asleep_ > 0; });
  }
  /// Ends the sleep; true once what follows it is done and the next one has begun.
  [[nodiscard]] bool step() {
    const int next = ++allowed_ + 1;
    return eventually([&] { return asleep_ == next; });
  }

 private:
  SystemClock system_;
  std::atomic<int> asleep_{0};
  std::atomic<int> allowed_{0};
};

/// One instance, as far as Job streams go.
class Site {
 public:
  Site(const sql::test::TestDatabase& fixture, const std::string& name, SyncHubOptions hub_options)
      : Site(fixture, {.instance = InstanceId(name), .incarnation = 1}, std::move(hub_options),
             std::make_unique<nb::test::HomeLoop>()) {}
  /// On a wire, and hours away from looking for what it was not told.
  Site(const sql::test::TestDatabase& fixture, const std::string& name, Wire& wire)
      : Site(fixture, {.instance = InstanceId(name), .incarnation = 1, .poll = 10h, .sweep = 10h},
             {.self = name + "/1",
              .instance = name,
              .fallback_channel = {},
              .poll_interval = 10h,
              .session_interval = 10h,
              .view = {}},
             nullptr, &wire) {}
  /// It looks for waiting jobs at each step, and hears of none.
  Site(const sql::test::TestDatabase& fixture, const std::string& name, Steps& steps)
      : Site(fixture, {.instance = InstanceId(name), .incarnation = 1, .sweep = 10h}, {},
             std::make_unique<nb::test::HomeLoop>(), nullptr, &steps) {}
  void start() {
    hub->start();
    jobs->start();
  }
  ~Site() {
    loop.await([this] { return jobs->stop(); });
    loop.await([this] { return hub->stop(); });
  }
  std::shared_ptr<Sink> open(const PeerKey& peer) {
    auto sink = std::make_shared<Sink>();
    const auto opened = get(jobs->open(soon(), peer, sink));
    EXPECT_TRUE(opened) << opened.error().text;
    return sink;
  }
  [[nodiscard]] std::uint64_t fenced() const { return jobs->counters().fenced; }

 private:
  Site(const sql::test::TestDatabase& fixture, JobsOptions job_options, SyncHubOptions hub_options,
       std::unique_ptr<nb::test::HomeLoop> own_loop, Wire* wire = nullptr, Clock* polls = nullptr)
      : own_loop_(std::move(own_loop)),
        instance(fixture),
        loop(wire != nullptr ? wire->loop : *own_loop_),
        agents(make_sql_agent_store(instance.parts)),
        hub(std::make_shared<SyncHub>(loop.executor(), *instance.store,
                                      wire != nullptr ? &wire->bus : nullptr, workers_, clock_,
                                      std::move(hub_options), Logger{})),
        jobs(std::make_shared<Jobs>(loop.executor(), *agents, *instance.store, *hub,
                                    polls != nullptr ? *polls : clock_, std::move(job_options),
                                    Logger{})) {}
  SystemClock clock_;
  NoWorkers workers_;
  std::unique_ptr<nb::test::HomeLoop> own_loop_;

 public:
  Instance instance;
  nb::test::HomeLoop& loop;
  std::unique_ptr<AgentStore> agents;
  std::shared_ptr<SyncHub> hub;
  std::shared_ptr<Jobs> jobs;
};

class JobStreams : public testing::Test {
 protected:
  void SetUp() override {
    Site site(fixture, "setup", {});
    ASSERT_TRUE(site.instance.prepare());
    ASSERT_TRUE(prepare_agent_tables(site.instance.parts, soon()));
    Instance& instance = site.instance;
    const Account account = get(instance.store->ensure_account(soon(), fresh_account()))->first;
    const auto key = get(
        instance.store->create_setup_key(soon(), fresh_setup_key(account.id), account.created_by));
    ASSERT_TRUE(key) << key.error().text;
    for (PeerKey& peer : peers)
      peer = get(instance.store->register_peer(soon(), registration(*key)))->peer.key;
  }
  sql::test::TestDatabase fixture{sql::Engine::kPostgres};
  std::vector<PeerKey> peers{3};
};

TEST_F(JobStreams, NewerOneElsewhereIsFoundWithoutItsMessage) {
  Site one(fixture, "one", {});
  Site two(fixture, "two", {});
  one.start();
  two.start();
  const auto moved = one.open(peers[0]);
  const auto stays = one.open(peers[1]);
  const auto deleted = one.open(peers[2]);
  const auto fresh = two.open(peers[0]);
  ASSERT_TRUE(get(two.instance.store->delete_peer(soon(), peers[2], "test")));
  one.hub->reassert();
  EXPECT_TRUE(eventually([&] { return moved->superseded && deleted->superseded; }, 10s));
  EXPECT_EQ(one.fenced(), 2U);
  // Nothing is left to be found, and whoever has the newest keeps it.
  two.hub->reassert();
  one.hub->reassert();
  const auto again = one.open(peers[1]);
  EXPECT_TRUE(eventually([&] { return stays->superseded.load(); }, 10s));  // by its own instance
  EXPECT_EQ(one.fenced(), 2U);
  EXPECT_EQ(two.fenced(), 0U);
  EXPECT_FALSE(fresh->superseded);
  EXPECT_FALSE(again->superseded);
}

TEST_F(JobStreams, AreOfAgentsThatAreNewEnough) {  // contract/management-grpc.md §5.10
  Site site(fixture, "one", {});
  const auto view = get(site.instance.store->peer_by_key(soon(), peers[0]));
  ASSERT_TRUE(view) << view.error().text;
  const auto asked = [&](const std::string& version) {
    site.instance.sql(
        "DELETE FROM jobs; UPDATE peers SET peer_status_connected = TRUE, "
        "meta_wt_version = '" +
        version + "'");
    Job job;
    job.account_id = view->peer.account_id;
    job.peer_id = view->peer.id;
    job.type = "bundle";
    const auto made = get(site.jobs->create(soon(), std::move(job)));
    return made ? Code::kOk : made.error().code;
  };
  for (const char* version : {"0.64.0", "0.64.0-rc1", "0.65.1", "1.0.0", "development"})
    EXPECT_EQ(asked(version), Code::kOk) << version;
  for (const char* version : {"0.63.9", "0.9.0", "", "nonsense"})
    EXPECT_EQ(asked(version), Code::kFailedPrecondition) << version;
}

TEST_F(JobStreams, AreLookedAtFromTimeToTime) {
  SyncHubOptions often;
  often.poll_interval = 50ms;
  often.session_interval = 200ms;
  Site one(fixture, "one", often);
  Site two(fixture, "two", {});
  one.start();
  two.start();
  const auto moved = one.open(peers[0]);
  const auto fresh = two.open(peers[0]);
  EXPECT_TRUE(eventually([&] { return moved->superseded.load(); }, 10s));
  EXPECT_FALSE(fresh->superseded);
}

TEST_F(JobStreams, AreToldAtOnceOfAJobThatAnotherInstanceMade) {
  Wire wire;
  Site one(fixture, "one", wire);
  Site two(fixture, "two", wire);
  one.start();
  two.start();
  const auto sink = two.open(peers[0]);
  const auto other = two.open(peers[1]);
  const Peer peer = get(one.instance.store->peer_by_key(soon(), peers[0]))->peer;
  ASSERT_TRUE(get(two.instance.store->heartbeat(soon(), InstanceId("two"), 1, 60s)));
  ASSERT_TRUE(get(two.instance.store->connect(soon(), {peer.id, InstanceId("two"), 1})));
  Job job;
  job.account_id = peer.account_id;
  job.peer_id = peer.id;
  job.type = kJobTypeBundle;
  const auto made = get(one.jobs->create(soon(), std::move(job)));
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_TRUE(eventually([&] { return sink->sent == 1; }, 20s));
  EXPECT_EQ(two.jobs->counters().sent, 1U);
  EXPECT_EQ(two.hub->counters().received, 1U);
  EXPECT_EQ(other->sent, 0);
}

/// A job of the first peer, made elsewhere: the instance that has its Job stream was not told.
class WaitingJobs : public JobStreams {
 protected:
  void SetUp() override {
    JobStreams::SetUp();
    if (HasFatalFailure()) return;
    site = std::make_unique<Site>(fixture, "one", steps);
    site->start();
    ASSERT_TRUE(steps.ready());
    Store& store = *site->instance.store;
    peer = get(store.peer_by_key(soon(), peers[0]))->peer;
    ASSERT_TRUE(get(store.heartbeat(soon(), InstanceId("one"), 1, 60s)));
    ASSERT_TRUE(get(store.connect(soon(), {peer.id, InstanceId("one"), 1})));
  }
  void make_job() {
    Job wanted;
    wanted.account_id = peer.account_id;
    wanted.peer_id = peer.id;
    wanted.type = kJobTypeBundle;
    const auto made = get(site->agents->create_job(soon(), std::move(wanted)));
    ASSERT_TRUE(made) << made.error().text;
    job = made->job.id;
  }
  [[nodiscard]] Job stored() const {
    return *get(site->agents->job(soon(), peer.account_id, peer.id, job));
  }
  void expect_given_up() const {
    EXPECT_EQ(stored().status, JobStatus::kFailed);
    EXPECT_EQ(stored().failed_reason, "Time out peer disconnected");
  }
  Steps steps;
  std::unique_ptr<Site> site;
  Peer peer;
  std::string job;
};

TEST_F(WaitingJobs, OfTheLastStreamThatEndedAreGivenUp) {
  const auto opened = get(site->jobs->open(soon(), peers[0], std::make_shared<Sink>()));
  ASSERT_TRUE(opened) << opened.error().text;
  ASSERT_NO_FATAL_FAILURE(make_job());
  site->loop.await([&] { return site->jobs->closed(peer.id, opened->epoch, false); });
  site->loop.run([] {});  // what that has posted
  ASSERT_TRUE(steps.step());
  EXPECT_EQ(stored().status, JobStatus::kPending) << "its next stream may be about to open";
  ASSERT_TRUE(steps.step());
  expect_given_up();
}

TEST_F(WaitingJobs, AreKeptForAStreamThatIsAboutToOpen) {
  const auto other = site->open(peers[1]);  // so that each step is a look
  site->loop.run([] {});
  const auto stored_opening = [&] {
    return get(site->agents->open_job_stream(soon(), peers[0], InstanceId("one"), 1));
  };
  ASSERT_TRUE(stored_opening());
  ASSERT_NO_FATAL_FAILURE(make_job());
  ASSERT_TRUE(steps.step());
  EXPECT_EQ(stored().status, JobStatus::kPending);
  ASSERT_TRUE(stored_opening());  // a newer one, absent for the first time at the next look
  ASSERT_NO_FATAL_FAILURE(make_job());
  ASSERT_TRUE(steps.step());
  EXPECT_EQ(stored().status, JobStatus::kPending);
  ASSERT_TRUE(steps.step());
  expect_given_up();
}

}  // namespace
}  // namespace nb::management::app
