// The relay of one process: a shard per loop.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "crypto/relay_token.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/websocket_endpoint.h"
#include "relay/metrics.h"
#include "relay/relay.h"

#include <cstddef>
#include <memory>
#include <vector>

namespace nb::relay {

/// Built before the server whose router it is added to, destroyed after the loops have stopped.
class Service {
 public:
  Service(net::LoopPool& loops, Options options, crypto::RelayTokens tokens, RelayMetrics& metrics,
          const Clock& clock, Logger log);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  /// GET /relay, WebSocket (contract §3.6).
  void add_to(net::HttpRouter& router);
  /// A peer that came another way, on the loop of its channel, which outlives the endpoint.
  std::unique_ptr<net::WebSocketEndpoint> serve(net::WebSocketChannel& channel,
                                                Transport transport);
  /// Begins the periodic look at activity and slow readers; the loops run.
  void start();
  /// Peers with a valid token.
  [[nodiscard]] std::size_t peers() const;

 private:
  class Sweeper;
  std::unique_ptr<struct Shared> shared_;
  net::LoopPool& loops_;
  std::vector<std::unique_ptr<class Shard>> shards_;
  std::vector<std::unique_ptr<Sweeper>> sweepers_;
};

}  // namespace nb::relay
