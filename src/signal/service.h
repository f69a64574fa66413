// The signal service of one process: a shard per loop, and optionally the way to other instances.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/grpc.h"
#include "net/loop.h"
#include "signal/shard.h"
#include "signal/signal.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace nb::signal {

/// Built before the server, destroyed after its loops stopped.
class Service {
 public:
  Service(net::LoopPool& loops, Options options, SignalMetrics& metrics, const Clock& clock,
          Logger log);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  /// Before the loops start: `receive` gets the mail for other instances, on loop 0.
  void use_home(std::function<void(std::vector<HomeMail>)> receive);
  /// The two methods.
  void add_to(net::GrpcRouter& router);
  /// Begins the once-a-second check of slow peers on each loop.
  void start();
  /// Streams of this peer are opened on two instances in turn.
  void flapped(std::string_view peer);
  /// Ends every stream with UNAVAILABLE, spread evenly over `time`, and refuses new ones. Blocks.
  void drain(std::chrono::milliseconds time);
  [[nodiscard]] Shard& shard(std::size_t loop) { return *shards_[loop]; }
  [[nodiscard]] ShardContext& context() { return context_; }

 private:
  [[nodiscard]] Shard& shard_of(net::GrpcCall& call);
  class Checker;

  net::LoopPool& loops_;
  ShardContext context_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::unique_ptr<Checker>> checkers_;
};

}  // namespace nb::signal
