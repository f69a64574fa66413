// The store of one account in a simulated database, as one instance reaches it.
#pragma once

#include "ha/sim/world.h"
#include "sim/mgmt_stub_store.h"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace nb::sim {

/// How long a call is on its way to the database, and again on its way back.
struct StoreWay {
  std::chrono::microseconds delay_max;
  std::chrono::microseconds lost_call{0};  // until a call to a database that is away has failed
  bool reads_come_back = true;  // false: their answers take no time, which keeps old seeds
};

/// Answers take time, and some are lost after the deed.
class SimStore : public management::StubStore {
 public:
  SimStore(NodeEnv& env, std::string account, StoreWay way)
      : env_(env), account_(std::move(account)), way_(way) {}

  management::Task<management::AccountSnapshotPtr> snapshot(Instant,
                                                            management::AccountId) override {
    if (!co_await way()) co_return away();
    auto out = std::make_shared<management::AccountSnapshot>();
    out->account = account_now();
    out->peers = management::EntityTable<management::Peer>(peers());
    if (way_.reads_come_back && !co_await way()) co_return away();
    co_return out;
  }
  management::Task<std::vector<management::AccountSerial>> serials(
      Instant, std::vector<management::AccountId> ids) override {
    if (!co_await way()) co_return away();
    std::vector<management::AccountSerial> out;
    for (auto& id : ids) out.push_back({std::move(id), serial()});
    if (way_.reads_come_back && !co_await way()) co_return away();
    co_return out;
  }

  /// One way; false: the call is lost.
  boost::asio::awaitable<bool> way() {
    const auto delay = env_.random() % static_cast<std::uint64_t>(way_.delay_max.count());
    co_await env_.clock.sleep_for(std::chrono::microseconds(100 + delay));
    const std::uint64_t cut = cut_one_in();
    if (cut != 0 && env_.random() % cut == 0) co_return false;
    if (!down()) co_return true;
    if (way_.lost_call.count() > 0) co_await env_.clock.sleep_for(way_.lost_call);
    co_return false;
  }

  static Error away() { return fail(Code::kUnavailable, "database away"); }
  [[nodiscard]] NodeEnv& env() const { return env_; }

 protected:
  [[nodiscard]] management::Account account_now() const {
    management::Account out;
    out.id = management::AccountId(account_);
    out.serial = serial();
    return out;
  }
  /// "p7" with this name.
  static management::Peer peer(const std::string& id, std::string name) {
    management::Peer out;
    out.id = management::PeerId(id);
    out.key = management::PeerKey("key-" + id);
    out.dns_label = "c" + name;
    out.name = std::move(name);
    const int number = std::stoi(id.substr(1));
    out.ip = *management::IpAddress::parse(fmt::format("100.64.0.{}", number + 1));
    return out;
  }

  [[nodiscard]] virtual bool down() const = 0;
  /// Of so many ways one finds its connection cut; 0: none does.
  [[nodiscard]] virtual std::uint64_t cut_one_in() const { return 0; }
  [[nodiscard]] virtual std::uint64_t serial() const = 0;
  [[nodiscard]] virtual std::vector<management::Peer> peers() const = 0;

 private:
  NodeEnv& env_;
  const std::string account_;
  const StoreWay way_;
};

}  // namespace nb::sim
