#include "management/auth/key_cache.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <deque>

namespace nb::management::auth {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

class TurnedClock final : public Clock {
 public:
  [[nodiscard]] WallTime wall() const override { return WallTime(1'800'000'000s); }
  [[nodiscard]] Instant now() const override { return at; }
  asio::awaitable<void> sleep_for(std::chrono::nanoseconds) override { co_return; }
  Instant at{Instant::duration(1h)};
};

class KeyCacheTest : public testing::Test {
 protected:
  static crypto::SigningKey new_key() {
    auto key = crypto::SigningKey::generate(crypto::JwsAlg::kEs256);
    EXPECT_TRUE(key);
    return *std::move(key);
  }
  static crypto::Jws token_of(const crypto::SigningKey& key) {
    auto jws = crypto::Jws::parse(key.sign("{}", "JWT"));
    EXPECT_TRUE(jws);
    return *std::move(jws);
  }
  asio::awaitable<Result<FetchedKeys>> fetch() {
    co_await asio::post(loop_, asio::use_awaitable);  // others come in meanwhile
    if (failing_) co_return fail(Code::kUnavailable, "away");
    co_return FetchedKeys{crypto::JwkSet(published_), max_age_};
  }
  void make(KeyCacheOptions options = {}) {
    cache_ = std::make_unique<KeyCache>(
        loop_.get_executor(), clock_, [this](Instant) { return fetch(); }, options, Logger());
  }
  Code look(const crypto::SigningKey& key) {
    Code out = Code::kUnknown;
    asio::co_spawn(
        loop_,
        [](KeyCache& cache, crypto::Jws jws, Instant deadline,
           Code* code) -> asio::awaitable<void> {
          const auto found = co_await cache.find(deadline, std::move(jws));
          *code = found ? Code::kOk : found.error().code;
        }(*cache_, token_of(key), clock_.now() + 5s, &out),
        asio::detached);
    loop_.restart();
    loop_.run();
    return out;
  }

  asio::io_context loop_;
  TurnedClock clock_;
  std::vector<crypto::PublicJwk> published_;
  std::optional<std::chrono::seconds> max_age_ = 3600s;
  bool failing_ = false;
  std::unique_ptr<KeyCache> cache_;
};

TEST_F(KeyCacheTest, KeysAreFetchedOnceWhileTheyAreValid) {
  const auto key = new_key();
  published_ = {key.public_key()};
  make();
  EXPECT_EQ(look(key), Code::kOk);
  clock_.at += 3590s;
  EXPECT_EQ(look(key), Code::kOk);
  EXPECT_EQ(cache_->fetches(), 1U);
  clock_.at += 6s;  // fewer than five seconds of validity are left
  EXPECT_EQ(look(key), Code::kOk);
  EXPECT_EQ(cache_->fetches(), 2U);
}

TEST_F(KeyCacheTest, WhoComesMeanwhileWaitsForTheSameFetch) {
  const auto key = new_key();
  published_ = {key.public_key()};
  make();
  int found = 0;
  for (int i = 0; i < 20; ++i)
    asio::co_spawn(
        loop_,
        [](KeyCache& cache, crypto::Jws jws, Instant deadline,
           int* count) -> asio::awaitable<void> {
          if (co_await cache.find(deadline, std::move(jws))) ++*count;
        }(*cache_, token_of(key), clock_.now() + 5s, &found),
        asio::detached);
  loop_.run();
  EXPECT_EQ(found, 20);
  EXPECT_EQ(cache_->fetches(), 1U);
}

TEST_F(KeyCacheTest, AShortOrMissingMaxAgeIsFiveMinutes) {
  const auto key = new_key();
  published_ = {key.public_key()};
  max_age_ = std::nullopt;
  make();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(look(key), Code::kOk);
    clock_.at += 29s;
  }
  EXPECT_EQ(cache_->fetches(), 1U);
}

TEST_F(KeyCacheTest, ForgedKeyIdsCauseOneRefreshPerThirtySeconds) {
  const auto key = new_key();
  published_ = {key.public_key()};
  make();
  EXPECT_EQ(look(key), Code::kOk);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(look(new_key()), Code::kUnauthenticated);
  EXPECT_EQ(cache_->fetches(), 2U);
  const auto rotated = new_key();
  published_.push_back(rotated.public_key());
  EXPECT_EQ(look(rotated), Code::kUnauthenticated);  // not asked again yet
  clock_.at += 30s;
  EXPECT_EQ(look(rotated), Code::kOk);
  EXPECT_EQ(cache_->fetches(), 3U);
}

TEST_F(KeyCacheTest, AProviderThatIsAwayLeavesTheOldKeys) {
  const auto key = new_key();
  published_ = {key.public_key()};
  failing_ = true;
  make();
  EXPECT_EQ(look(key), Code::kUnavailable);
  EXPECT_EQ(look(key), Code::kUnavailable);
  EXPECT_EQ(cache_->fetches(), 1U);  // asked again after a pause only
  failing_ = false;
  clock_.at += 5s;
  EXPECT_EQ(look(key), Code::kOk);
  failing_ = true;
  clock_.at += 2h;
  EXPECT_EQ(look(key), Code::kOk);
}

TEST_F(KeyCacheTest, WhetherAKeyIsNewIsUnknownWhileTheProviderIsAway) {  // management-grpc.md §4
  const auto key = new_key();
  published_ = {key.public_key()};
  make();
  EXPECT_EQ(look(key), Code::kOk);
  const auto rotated = new_key();
  published_.push_back(rotated.public_key());
  failing_ = true;
  EXPECT_EQ(look(rotated), Code::kUnavailable);
  EXPECT_EQ(look(rotated), Code::kUnavailable);
  EXPECT_EQ(cache_->fetches(), 2U);  // asked again after a pause only
  EXPECT_EQ(look(key), Code::kOk);
  failing_ = false;
  clock_.at += 5s;  // that of failures, not the longer one of unknown keys
  EXPECT_EQ(look(rotated), Code::kOk);
  EXPECT_EQ(look(new_key()), Code::kUnauthenticated);
}

TEST_F(KeyCacheTest, WithoutRefreshKeysAreLoadedOnceButAFailedLoadIsRepeated) {
  const auto key = new_key();
  published_ = {key.public_key()};
  failing_ = true;
  make({.refresh = false});
  EXPECT_EQ(look(key), Code::kUnavailable);
  failing_ = false;
  clock_.at += 5s;
  EXPECT_EQ(look(key), Code::kOk);
  clock_.at += 48h;
  EXPECT_EQ(look(key), Code::kOk);
  EXPECT_EQ(look(new_key()), Code::kUnauthenticated);
  EXPECT_EQ(cache_->fetches(), 2U);
}

}  // namespace
}  // namespace nb::management::auth
