// Tells every instance's streams of proxies that something was committed.
#pragma once

#include "base/log.h"
#include "base/task_group.h"
#include "ha/message_bus.h"
#include "management/app/changes.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <functional>
#include <memory>
#include <string>

namespace nb::management::app {

/// Passes on what it is told, and says that there is news, here and over the bus: a hint without
/// content. Streams ask the database what it is, and do so every few seconds without a hint too.
/// Threads  news() and those of Changes any; everything else on home.
class ProxyNotices final : public Changes {
 public:
  /// `bus` may be null. `on_news` is called on home.
  ProxyNotices(boost::asio::any_io_executor home, Changes& next, ha::MessageBus* bus,
               std::string channel, std::function<void()> on_news);
  ~ProxyNotices() override;

  void start();
  boost::asio::awaitable<void> stop();
  /// Somebody else heard of a change.
  void news();

  void committed(const AccountId& account, std::uint64_t serial) override;
  void end_peer(const AccountId& account, const PeerId& peer, EndReason reason) override;
  void proxies_changed() override;

 private:
  boost::asio::awaitable<void> publish();

  struct Life;
  const boost::asio::any_io_executor home_;
  Changes& next_;
  ha::MessageBus* const bus_;
  const std::string channel_;
  const std::function<void()> on_news_;
  ha::Subscription subscription_;
  std::unique_ptr<TaskGroup> tasks_;
  std::shared_ptr<Life> life_;
  bool publishing_ = false;
  bool again_ = false;
};

}  // namespace nb::management::app
