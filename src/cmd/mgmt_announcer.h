// What a management instance says of itself in its row, and the orders that it finds there.
#pragma once

#include "cmd/host.h"
#include "cmd/mgmt_cluster.h"
#include "ha/announcer.h"
#include "management/app/instance_keeper.h"
#include "management/app/sync_hub.h"
#include "management/store/instance_rows.h"

#include <boost/asio/awaitable.hpp>

#include <memory>

namespace nb::cmd {

/// Lives on the home of the cluster.
class MgmtAnnouncer {
 public:
  struct Ports {
    Host& host;
    management::InstanceRows& rows;
    const management::app::SyncHub& hub;
    const management::app::InstanceKeeper& keeper;
    MgmtCluster* cluster = nullptr;  // null: HA is off
  };
  MgmtAnnouncer(Ports ports, management::InstanceId instance, std::int64_t incarnation);

  /// Until cancelled; for a TaskGroup.
  boost::asio::awaitable<void> run();

 private:
  [[nodiscard]] ha::InstanceFacts facts() const;
  boost::asio::awaitable<void> tell(ha::FactsTeller::Told told);

  const Ports ports_;
  const management::InstanceId instance_;
  const std::int64_t incarnation_;
  Instant told_until_{};
  std::unique_ptr<ha::BusProbe> probe_;
};

}  // namespace nb::cmd
