// Who is alive, how they are, and the order to drain: what operators see through `ha status`,
// `ha drain` and GET /api/ha/status.
#pragma once

#include "base/clock.h"
#include "ha/instance_board.h"
#include "ha/peer_directory.h"
#include "management/store/instance_rows.h"

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nb::management::app {

struct HaInstance {
  std::string service;  // management, signal, relay
  std::string id;
  bool alive = false;
  std::int64_t alive_ms = 0;           // until its lease ends; 0: it is gone
  std::optional<std::uint64_t> peers;  // nothing: not known
  bool drain_ordered = false;
  ha::InstanceFacts facts;

  /// serving, not_ready, draining, drained; alive: an older version that does not tell; gone.
  [[nodiscard]] std::string state() const;
};

struct HaPart {
  bool up = true;
  std::string error;  // of one that is down
};

struct HaReport {
  bool ha = false;
  std::string engine;  // postgres, sqlite
  HaPart database;
  HaPart redis;  // HA on
  WallTime at{};
  std::optional<std::int64_t> waiting_events;  // of activity, not in their database yet
  std::vector<HaInstance> instances;           // by service and id
};

struct HaBoard {
  std::string service;
  ha::InstanceBoard* board;
};
struct HaReportPorts {
  InstanceRows* rows = nullptr;         // null: see database_error
  std::vector<HaBoard> boards{};        // on `home`; none: HA is off
  ha::PeerDirectory* signal = nullptr;  // on `home`: counts peers of servers that do not tell
  boost::asio::any_io_executor home{};  // of the boards
  const Clock& clock;
};
struct HaReportOptions {
  bool ha = false;
  std::string engine = "sqlite";
  std::string database_error{};  // why there are no rows
};

/// Reads only. What is away is reported as down, the rest is shown.
/// Threads  any executor.
class HaOverview {
 public:
  HaOverview(HaReportPorts ports, HaReportOptions options);

  [[nodiscard]] Task<HaReport> report(Instant deadline) const;

  /// Orders the live instance `id` (of `service`; empty: of any) to drain. It does once it sees the
  /// order in its store; see ha/instance_board.h. The ones that were ordered, as they were then.
  /// Errors   kNotFound: no live instance has that id; kFailedPrecondition: instances of several
  ///          services have it and none was named; kUnavailable: its store is away.
  [[nodiscard]] Task<std::vector<HaInstance>> drain(Instant deadline, std::string id,
                                                    std::string service) const;

 private:
  const HaReportPorts ports_;
  const HaReportOptions options_;
};

}  // namespace nb::management::app
