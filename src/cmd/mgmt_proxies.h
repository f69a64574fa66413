// Reverse proxies of netbird-mgmt: their store, their secrets, the service that they connect to,
// and who is told of news.
#pragma once

#include "base/log.h"
#include "base/task_group.h"
#include "cmd/mgmt_api.h"
#include "cmd/mgmt_config.h"
#include "cmd/mgmt_core.h"
#include "ha/message_bus.h"
#include "management/app/account_commands.h"
#include "management/app/geo_database.h"
#include "management/app/hasher.h"
#include "management/app/proxy_notices.h"
#include "management/app/proxy_seals.h"
#include "management/grpc/envelope.h"
#include "management/grpc/proxy_service.h"
#include "management/store/proxy_store.h"

#include <functional>
#include <memory>

namespace nb::cmd {

class MgmtProxies {
 public:
  /// All of it outlives this; `bus` may be null.
  struct Ports {
    const MgmtConfig& config;
    MgmtCore& core;
    boost::asio::any_io_executor home;
    management::app::Changes& next;  // told of every change, too
    ha::MessageBus* bus = nullptr;
    const management::grpc::ServerKeyRing& keys;
    std::function<bool()> announce{};  // SqlStoreOptions::announce
  };
  MgmtProxies(Ports ports, Logger log);

  management::ProxyStore& store() { return *store_; }
  management::app::ProxySeals& seals() { return seals_; }
  /// What changes are told to, so that proxies hear of them.
  management::app::ProxyNotices& notices() { return notices_; }
  management::grpc::ProxyService& service() { return *service_; }

  /// The rest, which needs the API.
  void open(MgmtApi& api, net::LoopPool& loops, const management::app::GeoDatabase* geo,
            management::app::AccountCommands::OnIdle on_idle);
  /// On home; the tasks end with the group.
  void start(TaskGroup& tasks);
  boost::asio::awaitable<void> stop() { return notices_.stop(); }

 private:
  boost::asio::awaitable<void> prune();

  const Ports ports_;
  const Logger log_;
  std::unique_ptr<management::ProxyStore> store_;
  management::app::ProxySeals seals_;
  management::app::Hasher hasher_;  // of visitors' secrets
  management::app::ProxyNotices notices_;
  std::unique_ptr<management::grpc::ProxyService> service_;
};

}  // namespace nb::cmd
