// What the contract suites (<port>_contract.h) need of an adapter, and the rigs of local and sim.
// A rig builds ports over one store, runs their coroutines on home, lets time pass, and plays the
// outsider who writes into the store.
#pragma once

#include "ha/ha.h"
#include "ha/lease_driver.h"
#include "ha/local/adapters.h"
#include "ha/member_driver.h"
#include "ha/sim/world.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace nb::ha {

inline constexpr const char* kContractRegistry = "nb:signal:registry";
inline constexpr const char* kContractLocks = "nb:mgmt:lock:";

/// local and sim: a world of one node without faults.
class WorldRig {
 public:
  explicit WorldRig(bool direct) : world_(1) {
    node_ = &world_.add_node("node", [this](sim::NodeEnv& env) {
      env_ = &env;
      return std::make_unique<Idle>();
    });
    if (direct) direct_ = std::make_unique<DirectAccess>(world_.store());
    if (direct) local_bus_ = std::make_unique<LocalBus>(env_->home, world_.store());
    world_.run_for(std::chrono::seconds(2));  // connected
  }

  /// Runs `work` to its end on home and returns what it returns.
  template <class T>
  T get(boost::asio::awaitable<T> work) {
    std::optional<T> result;
    world_.run_on(*node_, into(std::move(work), result));
    return std::move(*result);
  }
  void wait(boost::asio::awaitable<void> work) { world_.run_on(*node_, std::move(work)); }
  /// Starts `work`; nobody waits for it.
  void start(boost::asio::awaitable<void> work) {
    boost::asio::co_spawn(env_->home, std::move(work), [](const std::exception_ptr&) {});
  }
  void on_home(const std::function<void()>& call) { call(); }
  [[nodiscard]] bool eventually(const std::function<bool()>& done) {
    for (int i = 0; i < 3000; ++i) {
      if (done()) return true;
      world_.run_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  Clock& clock() { return env_->clock; }

  std::unique_ptr<Membership> membership(std::string id, std::string boot,
                                         MembershipConfig config) {
    return std::make_unique<StoreMembership>(
        std::make_unique<LocalMemberStore>(access(), config.service), env_->clock,
        InstanceId{std::move(id)}, Incarnation{std::move(boot)}, config);
  }
  std::unique_ptr<PeerDirectory> directory() {
    return std::make_unique<LocalDirectory>(access(), DirectoryConfig{});
  }
  std::unique_ptr<StoreLeases> leases() {
    return std::make_unique<StoreLeases>(
        env_->home, std::make_unique<LocalLeaseStore>(access(), kContractLocks), env_->clock,
        env_->random);
  }
  std::unique_ptr<LoginFilter> login_filter(LoginFilterConfig config) {
    return std::make_unique<LocalLoginFilter>(access(), "nb:mgmt:loginfilter", config);
  }
  std::unique_ptr<Deadlines> deadlines() {
    return std::make_unique<LocalDeadlines>(access(), "nb:mgmt:ephemeral");
  }
  MessageBus& bus() {
    if (local_bus_) return *local_bus_;
    return env_->bus;
  }

  // The outsider.
  void flush() { world_.store().flush(); }
  void hset(const std::string& field, const std::string& value) { table().registry[field] = value; }
  void hdel(const std::string& field) { table().registry.erase(field); }
  void del_registry() { table().registry.clear(); }
  void del_epochs() { table().epochs.clear(); }
  std::string hget(const std::string& field) { return table().registry[field]; }
  void foreign_lock(const std::string& resource, const std::string& value) {
    world_.store().leases.locks[kContractLocks + resource] = {value, Instant::max()};
  }
  std::string lock_value(const std::string& resource) {
    return world_.store().leases.locks[kContractLocks + resource].token;
  }

 private:
  struct Idle final : sim::Process {
    boost::asio::awaitable<void> stop() override { co_return; }
  };
  template <class T>
  static boost::asio::awaitable<void> into(boost::asio::awaitable<T> work, std::optional<T>& out) {
    out.emplace(co_await std::move(work));
  }
  StoreAccess& access() { return direct_ ? *direct_ : env_->store; }
  DirectoryTable& table() { return world_.store().directories[kContractRegistry]; }

  sim::World world_;
  sim::Node* node_ = nullptr;
  sim::NodeEnv* env_ = nullptr;
  std::unique_ptr<StoreAccess> direct_;
  std::unique_ptr<LocalBus> local_bus_;
};

struct LocalRig : WorldRig {
  LocalRig() : WorldRig(true) {}
};
struct SimRig : WorldRig {
  SimRig() : WorldRig(false) {}
};

}  // namespace nb::ha
