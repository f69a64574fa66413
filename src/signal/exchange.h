// The driver of Router: performs its effects over the ports of ha, and keeps local peers known.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/task_group.h"
#include "ha/membership.h"
#include "ha/message_bus.h"
#include "ha/peer_directory.h"
#include "signal/exchange_host.h"
#include "signal/mail.h"
#include "signal/metrics.h"
#include "signal/registrar.h"
#include "signal/router.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nb::signal {

struct ExchangePorts {
  ha::Membership& membership;
  ha::PeerDirectory& directory;
  ha::MessageBus& bus;
};

/// Lives on its home executor; stop() before destruction.
class Exchange {
 public:
  Exchange(boost::asio::any_io_executor home, ExchangePorts ports, Registrar::Options registrar,
           Router::Options router, std::uint64_t random, SignalMetrics& metrics, Clock& clock,
           Logger log);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  void start(ExchangeHost& host);
  boost::asio::awaitable<void> stop();
  /// The first beat was answered: others know us, so peers may be registered.
  void joined();
  /// From the shards, in order of each.
  void receive(std::vector<HomeMail> mail);
  /// Redis is known to be away.
  void store_lost();
  /// After store_lost(), or when anything may have been lost.
  void store_back();
  [[nodiscard]] const Router& router() const { return router_; }

 private:
  [[nodiscard]] bool alive(const ha::Holder& holder) const;
  void attach(const AttachMail& mail);
  void detach(const DetachMail& mail);
  void on_bus(const ha::Delivery& delivery);
  void claimed(const std::string& peer, const ha::Claimed& claimed);
  void restored(const std::string& peer);
  void lost(const std::string& peer);
  void evict(const RouterEffects::Evict& evict);
  void schedule();
  void perform();
  void deliver(RouterEffects::Deliver deliver);
  void count();
  boost::asio::awaitable<void> find(std::string peer);
  boost::asio::awaitable<void> publish(std::vector<ha::BusMessage> messages);
  boost::asio::awaitable<void> forget(std::vector<ha::PeerHolder> seen);
  boost::asio::awaitable<void> repair(std::string peer);
  boost::asio::awaitable<void> tick_while_due();

  const boost::asio::any_io_executor home_;
  ExchangePorts ports_;
  const std::string channel_;
  const std::string arrivals_channel_;
  SignalMetrics& metrics_;
  Clock& clock_;
  Logger log_;
  Router router_;
  Registrar registrar_;
  TaskGroup tasks_;
  ExchangeHost* host_ = nullptr;
  ha::Subscription subscription_;
  ha::Subscription arrivals_;
  std::unordered_map<std::string, std::uint64_t> local_;  // peer -> its newest stream
  RouterCounts counted_;
  std::int64_t pending_shown_ = 0;
  bool scheduled_ = false;
  bool ticking_ = false;
  bool stopped_ = false;
};

}  // namespace nb::signal
