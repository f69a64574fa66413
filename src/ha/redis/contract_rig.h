// The rig of the Redis adapters: a real redis-server of its own on loopback.
#pragma once

#include "base/clock.h"
#include "ha/contract_rig.h"
#include "ha/redis/adapters.h"
#include "support/home_loop.h"
#include "support/servers.h"

#include <prometheus/registry.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace nb::ha {

/// Two connections and the ports over them, as one instance has.
struct RedisSide {
  RedisSide(test::HomeLoop& loop, const redis::Options& options)
      : home(loop),
        metrics(registry),
        client(loop.executor(), options, metrics, {}),
        bus(client, options, metrics, {}) {
    home.run([this] {
      client.start();
      bus.start();
    });
  }
  ~RedisSide() {
    home.await([this] { return stop(); });
  }
  boost::asio::awaitable<int> stop() {
    co_await bus.stop();
    co_await client.stop();
    co_return 0;
  }
  test::HomeLoop& home;
  prometheus::Registry registry;
  redis::Metrics metrics;
  redis::Client client;
  RedisBus bus;
};

class RedisRig {
 public:
  RedisRig() : server_(server()), side_(home_, options(server_)) {
    server_.cli({"FLUSHALL"});
    server_.cli({"SCRIPT", "FLUSH"});
  }

  static redis::Options options(test::RedisServer& server) {
    redis::Options options;
    options.address = {"127.0.0.1", server.port()};
    return options;
  }
  template <class T>
  T get(boost::asio::awaitable<T> work) {
    return home_.await([&] { return std::move(work); });
  }
  void wait(boost::asio::awaitable<void> work) {
    home_.await([&] { return std::move(work); });
  }
  void start(boost::asio::awaitable<void> work) {
    boost::asio::co_spawn(home_.executor(), std::move(work), [](const std::exception_ptr&) {});
  }
  void on_home(const std::function<void()>& call) { home_.run(call); }
  [[nodiscard]] bool eventually(const std::function<bool()>& done) {
    return test::eventually(done);
  }
  Clock& clock() { return clock_; }
  test::RedisServer& redis() { return server_; }
  RedisSide& side() { return side_; }
  test::HomeLoop& home() { return home_; }

  std::unique_ptr<Membership> membership(std::string id, std::string boot,
                                         MembershipConfig config) {
    return std::make_unique<StoreMembership>(
        std::make_unique<RedisMemberStore>(side_.client, config.service), clock_,
        InstanceId{std::move(id)}, Incarnation{std::move(boot)}, config);
  }
  std::unique_ptr<PeerDirectory> directory() {
    return std::make_unique<RedisDirectory>(side_.client, DirectoryConfig{});
  }
  std::unique_ptr<StoreLeases> leases() {
    return std::make_unique<StoreLeases>(
        home_.executor(), std::make_unique<RedisLeaseStore>(side_.client), clock_, system_random());
  }
  std::unique_ptr<LoginFilter> login_filter(LoginFilterConfig config) {
    return std::make_unique<RedisLoginFilter>(side_.client, "nb:mgmt:loginfilter", config);
  }
  std::unique_ptr<Deadlines> deadlines() { return std::make_unique<RedisDeadlines>(side_.client); }
  MessageBus& bus() { return side_.bus; }

  void flush() { server_.cli({"FLUSHALL"}); }
  void hset(const std::string& field, const std::string& value) {
    server_.cli({"HSET", kContractRegistry, field, value});
  }
  void hdel(const std::string& field) { server_.cli({"HDEL", kContractRegistry, field}); }
  void del_registry() { server_.cli({"DEL", kContractRegistry}); }
  void del_epochs() { server_.cli({"DEL", std::string(kContractRegistry) + ":epoch"}); }
  std::string hget(const std::string& field) {
    return server_.cli({"HGET", kContractRegistry, field});
  }
  void foreign_lock(const std::string& resource, const std::string& value) {
    server_.cli({"SET", kContractLocks + resource, value});
  }
  std::string lock_value(const std::string& resource) {
    return server_.cli({"GET", kContractLocks + resource});
  }

 private:
  /// One server for all tests of the process.
  static test::RedisServer& server() {
    static test::RedisServer one;
    return one;
  }
  test::RedisServer& server_;
  test::HomeLoop home_;
  SystemClock clock_;
  RedisSide side_;
};

}  // namespace nb::ha
