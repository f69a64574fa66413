// The Redis adapters: the same rules as the tables, said in Lua, over one pipelined client.
//
// Layout   contract/signal-relay-ops.md §2.3 and design.md §4. Keys are used byte for byte.
// Failure  the client's breaker: away means kUnavailable at once.
// Threads  home of the client.
#pragma once

#include "base/log.h"
#include "ha/ha.h"
#include "ha/lease_driver.h"
#include "ha/member_driver.h"
#include "redis/client.h"
#include "redis/subscriber.h"

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace nb::ha {

/// nb:<service>:alive:<id> (boot nonce, PX), nb:<service>:instances (ZSET id -> deadline ms),
/// nb:<service>:instances:info (HASH id -> metadata).
class RedisMemberStore final : public MemberStore {
 public:
  RedisMemberStore(redis::Client& client, std::string service);
  boost::asio::awaitable<Result<BeatReply>> beat(BeatRequest request) override;
  boost::asio::awaitable<Result<>> leave(InstanceId self, Incarnation incarnation) override;

 private:
  redis::Client& client_;
  std::string alive_, instances_, info_;
};

/// HASH registry_key and HASH <registry_key>:epoch, both with ten times the peer TTL.
class RedisDirectory final : public PeerDirectory {
 public:
  RedisDirectory(redis::Client& client, DirectoryConfig config);
  boost::asio::awaitable<Result<Claimed>> claim(PeerKey peer, Claim claim) override;
  boost::asio::awaitable<Result<bool>> release(PeerKey peer, Claim claim) override;
  boost::asio::awaitable<Result<std::size_t>> release_all(std::vector<PeerClaim> claims) override;
  boost::asio::awaitable<Result<std::optional<Holder>>> find(PeerKey peer) override;
  boost::asio::awaitable<Result<std::vector<Reasserted>>> reassert(
      std::vector<PeerClaim> claims) override;
  boost::asio::awaitable<Result<bool>> forget(PeerKey peer, Holder seen) override;
  boost::asio::awaitable<Result<std::size_t>> forget_all(std::vector<PeerHolder> seen) override;
  boost::asio::awaitable<Result<DirectoryPage>> scan(std::string cursor,
                                                     std::size_t limit) override;
  boost::asio::awaitable<Result<std::size_t>> count() override;

 private:
  struct Removal {
    PeerKey peer;
    InstanceId instance;
    std::string token;  // empty: only an entry without one
    bool release = false;
  };
  boost::asio::awaitable<Result<std::size_t>> remove(std::vector<Removal> removals);

  redis::Client& client_;
  std::string registry_, epoch_, ttl_;
};

/// <prefix><resource> SET … PX; fences in <fence_prefix><resource>, kept for a day.
class RedisLeaseStore final : public LeaseStore {
 public:
  RedisLeaseStore(redis::Client& client, std::string prefix = "nb:mgmt:lock:",
                  std::string fence_prefix = "nb:mgmt:fence:");
  boost::asio::awaitable<Result<LeaseReply>> take(std::string resource, std::string token,
                                                  std::chrono::milliseconds ttl) override;
  boost::asio::awaitable<Result<bool>> renew(std::string resource, std::string token,
                                             std::chrono::milliseconds ttl) override;
  boost::asio::awaitable<Result<bool>> release(std::string resource, std::string token) override;

 private:
  redis::Client& client_;
  std::string prefix_, fence_prefix_;
};

/// HASH key: peer -> state (login_rules.h). Expired fields go with later writes, two at a time.
class RedisLoginFilter final : public LoginFilter {
 public:
  /// `on_error` counts what was let through because Redis was away.
  RedisLoginFilter(redis::Client& client, std::string key, LoginFilterConfig config,
                   std::function<void(const Error&)> on_error = {});
  boost::asio::awaitable<LoginVerdict> check(LoginAttempt attempt) override;
  boost::asio::awaitable<LoginVerdict> check_and_add(LoginAttempt attempt) override;
  /// For tests: the time in ms instead of Redis' clock.
  void set_time(std::function<std::int64_t()> now) { now_ = std::move(now); }

 private:
  boost::asio::awaitable<LoginVerdict> run(LoginAttempt attempt, bool add);
  redis::Client& client_;
  std::string key_;
  LoginFilterConfig config_;
  std::function<void(const Error&)> on_error_;
  std::function<std::int64_t()> now_;
};

/// ZSET key: id -> due ms.
class RedisDeadlines final : public Deadlines {
 public:
  explicit RedisDeadlines(redis::Client& client, std::string key = "nb:mgmt:ephemeral");
  boost::asio::awaitable<Result<std::size_t>> add(std::vector<Deadline> items,
                                                  AddMode mode) override;
  boost::asio::awaitable<Result<std::size_t>> remove(std::vector<std::string> ids) override;
  boost::asio::awaitable<Result<std::vector<DueItem>>> claim_due(
      std::size_t limit, std::chrono::milliseconds lease) override;
  boost::asio::awaitable<Result<bool>> ack(DueItem item) override;
  boost::asio::awaitable<Result<bool>> give_back(DueItem item) override;
  boost::asio::awaitable<Result<std::optional<DueMs>>> next() override;
  boost::asio::awaitable<Result<std::size_t>> count() override;

 private:
  redis::Client& client_;
  std::string key_;
};

/// PUBLISH over the client, SUBSCRIBE over a connection of its own. start() and stop() it.
class RedisBus final : public MessageBus {
 public:
  RedisBus(redis::Client& client, redis::Options options, redis::Metrics& metrics, Logger log);
  ~RedisBus() override;
  void start();
  boost::asio::awaitable<void> stop();
  boost::asio::awaitable<Result<std::size_t>> publish(std::string channel,
                                                      std::string payload) override;
  boost::asio::awaitable<Result<std::vector<std::size_t>>> publish_all(
      std::vector<BusMessage> messages) override;
  [[nodiscard]] Subscription subscribe(std::string channel, SubscribeOptions options) override;

  struct Core;

 private:
  redis::Client& client_;
  std::shared_ptr<Core> core_;
};

}  // namespace nb::ha
