// The local adapters: HA off, or one process with everything in it. A MemoryStore behind a
// StoreAccess; with DirectAccess every call succeeds at once. sim/ uses the same classes over
// simulated links.
#pragma once

#include "base/clock.h"
#include "ha/ha.h"
#include "ha/lease_driver.h"
#include "ha/member_driver.h"
#include "ha/memory_store.h"

#include <boost/asio/any_io_executor.hpp>

#include <memory>
#include <string>

namespace nb::ha {

class LocalMemberStore final : public MemberStore {
 public:
  LocalMemberStore(StoreAccess& access, std::string service)
      : access_(access), service_(std::move(service)) {}
  boost::asio::awaitable<Result<BeatReply>> beat(BeatRequest request) override;
  boost::asio::awaitable<Result<>> leave(InstanceId self, Incarnation incarnation) override;

 private:
  StoreAccess& access_;
  std::string service_;
};

class LocalLeaseStore final : public LeaseStore {
 public:
  LocalLeaseStore(StoreAccess& access, std::string prefix)
      : access_(access), prefix_(std::move(prefix)) {}
  boost::asio::awaitable<Result<LeaseReply>> take(std::string resource, std::string token,
                                                  std::chrono::milliseconds ttl) override;
  boost::asio::awaitable<Result<bool>> renew(std::string resource, std::string token,
                                             std::chrono::milliseconds ttl) override;
  boost::asio::awaitable<Result<bool>> release(std::string resource, std::string token) override;

 private:
  StoreAccess& access_;
  std::string prefix_;
};

class LocalDirectory final : public PeerDirectory {
 public:
  LocalDirectory(StoreAccess& access, DirectoryConfig config)
      : access_(access), config_(std::move(config)) {}
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
  StoreAccess& access_;
  DirectoryConfig config_;
};

class LocalLoginFilter final : public LoginFilter {
 public:
  LocalLoginFilter(StoreAccess& access, std::string key, LoginFilterConfig config)
      : access_(access), key_(std::move(key)), config_(config) {}
  boost::asio::awaitable<LoginVerdict> check(LoginAttempt attempt) override;
  boost::asio::awaitable<LoginVerdict> check_and_add(LoginAttempt attempt) override;

 private:
  StoreAccess& access_;
  std::string key_;
  LoginFilterConfig config_;
};

class LocalDeadlines final : public Deadlines {
 public:
  LocalDeadlines(StoreAccess& access, std::string key) : access_(access), key_(std::move(key)) {}
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
  StoreAccess& access_;
  std::string key_;
};

/// Handlers run posted to home, never inside publish(). Lives on home.
class LocalBus final : public MessageBus {
 public:
  LocalBus(boost::asio::any_io_executor home, MemoryStore& store)
      : home_(std::move(home)), store_(store) {}
  boost::asio::awaitable<Result<std::size_t>> publish(std::string channel,
                                                      std::string payload) override;
  boost::asio::awaitable<Result<std::vector<std::size_t>>> publish_all(
      std::vector<BusMessage> messages) override;
  [[nodiscard]] Subscription subscribe(std::string channel, SubscribeOptions options) override;

 private:
  boost::asio::any_io_executor home_;
  MemoryStore& store_;
};

/// Errors   kInvalidArgument when a payload is too large.
[[nodiscard]] Result<> check_message(std::string_view channel, std::string_view payload);

}  // namespace nb::ha
