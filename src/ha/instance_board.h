// InstanceBoard: what the instances of one service say of themselves, and orders to them, seen from
// outside.
#pragma once

#include "base/result.h"
#include "ha/ids.h"
#include "ha/instance_facts.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <vector>

namespace nb::ha {

struct BoardEntry {
  InstanceId id;
  Incarnation incarnation;  // empty: not alive
  bool alive = false;
  std::chrono::milliseconds left{0};  // alive: until it must have renewed
  bool drain_ordered = false;         // of this incarnation
  InstanceFacts facts;                // of a dead one: its last
};

/// Lives on its store's home. Whoever may write to the store can order a drain.
/// Errors   kUnavailable: the store is away.
class InstanceBoard {
 public:
  virtual ~InstanceBoard() = default;
  /// Writes nothing, whatever stands there. Ordered by id, at most 1000: the living, and those that
  /// died within the last hour without saying good-bye.
  virtual boost::asio::awaitable<Result<std::vector<BoardEntry>>> list() = 0;
  /// A fact in the store, not a message: it stands until that incarnation saw it. It ends with the
  /// process: a restarted instance serves again.
  virtual boost::asio::awaitable<Result<>> order_drain(InstanceId id, Incarnation incarnation) = 0;
  /// Whether this very incarnation is to drain.
  virtual boost::asio::awaitable<Result<bool>> drain_ordered(InstanceId id,
                                                             Incarnation incarnation) = 0;
};

}  // namespace nb::ha
