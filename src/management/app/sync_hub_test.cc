// The hub between a store whose answers the test holds back and streams that only take notes.
// Everything that takes more than one instance is in tests/sim and tests/integration.
#include "management/app/sync_hub.h"

#include "sim/mgmt_stub_store.h"
#include "support/home_loop.h"
#include "support/process.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>

namespace nb::management::app {
namespace {

namespace asio = boost::asio;
using nb::test::eventually;
using testing::ElementsAre;

/// One account; calls come on home, settings from the test.
class HeldStore final : public StubStore {
 public:
  explicit HeldStore(asio::any_io_executor home) : gate_(std::move(home)) {
    gate_.expires_at(asio::steady_timer::time_point::max());
  }
  /// Read at once, but the answer to the first call stays on its way until release().
  Task<AccountSnapshotPtr> snapshot(Instant, AccountId) override {
    auto out = std::make_shared<AccountSnapshot>(now());
    if (++calls == 1 && hold_first) co_await gate_.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return out;
  }
  Task<std::optional<SnapshotDelta>> changes(Instant, AccountId, std::uint64_t) override {
    co_return std::optional<SnapshotDelta>();
  }
  Task<std::vector<SessionFate>> reassert(Instant, std::vector<OpenSession> open) override {
    const std::lock_guard lock(mutex_);
    std::vector<SessionFate> fates;
    for (const OpenSession& at : open) {
      asked_.push_back(at.peer.value());
      const Peer* const peer = account_.peer(at.peer);
      fates.push_back(peer == nullptr              ? SessionFate::kDeleted
                      : peer->status.login_expired ? SessionFate::kRefused
                                                   : SessionFate::kHeld);
    }
    co_return fates;
  }

  void set(std::uint64_t serial, std::vector<Peer> peers) {
    const std::lock_guard lock(mutex_);
    account_.account.id = AccountId("acc");
    account_.account.serial = serial;
    account_.peers = EntityTable<Peer>(std::move(peers));
  }
  /// On home.
  void release() { gate_.cancel(); }
  [[nodiscard]] std::vector<std::string> asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  std::atomic<int> calls{0};
  bool hold_first = false;

 private:
  [[nodiscard]] AccountSnapshot now() const {
    const std::lock_guard lock(mutex_);
    return account_;
  }
  asio::steady_timer gate_;
  mutable std::mutex mutex_;
  AccountSnapshot account_;
  std::vector<std::string> asked_;
};

class CountingWorkers final : public MapWorkers {
 public:
  void post(std::function<void()> work) override {
    work();
    ++done;
  }
  std::atomic<int> done{0};
};

class Stream final : public SyncSink {
 public:
  Stream(SyncHub& hub, StreamNumber number) : hub_(hub), number_(number) {}
  void build(const netmap::MapViewPtr& view, netmap::PeerIndex /*slot*/) override {
    {
      const std::lock_guard lock(mutex_);
      serials_.push_back(view->serial());
    }
    hub_.ready(number_);
  }
  void end(EndReason reason, const netmap::MapViewPtr& /*view*/) override {
    const std::lock_guard lock(mutex_);
    end_ = reason;
  }
  [[nodiscard]] std::vector<Serial> serials() const {
    const std::lock_guard lock(mutex_);
    return serials_;
  }
  [[nodiscard]] std::optional<EndReason> ended() const {
    const std::lock_guard lock(mutex_);
    return end_;
  }
  [[nodiscard]] StreamNumber number() const { return number_; }

 private:
  SyncHub& hub_;
  const StreamNumber number_;
  mutable std::mutex mutex_;
  std::vector<Serial> serials_;
  std::optional<EndReason> end_;
};

Peer peer(int number) {
  Peer out;
  out.id = PeerId(fmt::format("p{}", number));
  out.key = PeerKey(fmt::format("key-{}", number));
  out.ip = *IpAddress::parse(fmt::format("100.64.0.{}", number));
  return out;
}

class SyncHubTest : public testing::Test {
 protected:
  void TearDown() override {
    loop.await([this] { return hub->stop(); });
  }
  std::shared_ptr<Stream> open(const std::string& id, Serial serial) {
    auto stream = std::make_shared<Stream>(*hub, hub->new_stream());
    hub->open({.stream = stream->number(),
               .account = "acc",
               .peer = id,
               .epoch = static_cast<std::int64_t>(stream->number()),
               .serial = serial},
              stream);
    return stream;
  }
  std::shared_ptr<Stream> settled(const std::string& id, Serial serial) {
    auto stream = open(id, serial);
    EXPECT_TRUE(eventually([&] { return !stream->serials().empty(); }));
    return stream;
  }

  nb::test::HomeLoop loop;
  HeldStore store{loop.executor()};
  CountingWorkers workers;
  SystemClock clock;
  std::shared_ptr<SyncHub> hub = std::make_shared<SyncHub>(loop.executor(), store, nullptr, workers,
                                                           clock, SyncHubOptions{}, Logger{});
};

TEST_F(SyncHubTest, LoadOfALeftAccountDoesNotReplaceANewerOne) {
  store.hold_first = true;
  store.set(7, {peer(1), peer(2)});
  const auto lone = open("p1", 7);
  ASSERT_TRUE(eventually([&] { return store.calls == 1; }));
  hub->close(lone->number());
  store.set(8, {peer(1), peer(2)});
  const auto next = settled("p2", 8);
  EXPECT_THAT(next->serials(), ElementsAre(8));
  ASSERT_EQ(workers.done, 2);  // a load and a map
  loop.run([&] { store.release(); });
  ASSERT_TRUE(eventually([&] { return workers.done == 3; }));
  const auto last = settled("p1", 8);
  EXPECT_THAT(last->serials(), ElementsAre(8));
}

TEST_F(SyncHubTest, StreamOfAPeerThatIsGoneEndsWithoutAMessage) {
  store.set(7, {peer(1), peer(2), peer(3)});
  const auto deleted = settled("p1", 7);
  const auto stays = settled("p2", 7);
  store.set(8, {peer(2)});  // p3 has no stream here
  hub->on_database_notice("acc 8");
  EXPECT_TRUE(eventually([&] { return deleted->ended().has_value(); }));
  EXPECT_EQ(deleted->ended(), EndReason::kDeleted);
  EXPECT_FALSE(stays->ended());
  EXPECT_THAT(store.asked(), ElementsAre("p1")) << "nobody else is asked about";
}

TEST_F(SyncHubTest, StreamThatOpensAfterItsLoginExpiredEndsWithoutAMessage) {
  Peer expired = peer(1);
  expired.user_id = UserId("u");
  expired.status.login_expired = true;
  store.set(7, {expired, peer(2)});
  const auto stays = settled("p2", 7);
  const auto late = open("p1", 6);
  EXPECT_TRUE(eventually([&] { return late->ended().has_value(); }));
  EXPECT_EQ(late->ended(), EndReason::kRefused);
  EXPECT_FALSE(stays->ended());
}

TEST_F(SyncHubTest, StreamIsLeftAloneWhenItsEndWasTold) {
  store.set(7, {peer(1), peer(2)});
  const auto deleted = settled("p1", 7);
  const auto stays = settled("p2", 7);
  store.set(8, {peer(2)});
  loop.run([&] {  // so that nothing is loaded in between
    hub->committed(AccountId("acc"), 8);
    hub->end_peer(AccountId("acc"), PeerId("p1"), EndReason::kDeleted);
  });
  EXPECT_TRUE(eventually([&] { return store.calls == 2; }));
  loop.run([] {});
  loop.run([] {});
  EXPECT_EQ(deleted->ended(), EndReason::kDeleted);
  EXPECT_THAT(store.asked(), testing::IsEmpty());
}

}  // namespace
}  // namespace nb::management::app
