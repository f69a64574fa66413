// What the connections and shards of one relay share.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "relay/metrics.h"
#include "relay/registry.h"
#include "relay/relay.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace nb::relay {

class Shard;

struct Shared {
  Shared(Options from, crypto::RelayTokens token_keys, RelayMetrics& to, const Clock& time,
         Logger lines)
      : options(std::move(from)),
        tokens(std::move(token_keys)),
        registry({.replacements_max = options.replace_burst,
                  .replacement_window = options.replace_window}),
        metrics(to),
        clock(time),
        log(std::move(lines)) {}

  const Options options;
  const crypto::RelayTokens tokens;
  Registry registry;
  RelayMetrics& metrics;
  const Clock& clock;
  const Logger log;
  std::vector<Shard*> shards{};  // by loop
  std::atomic<std::uint64_t> last_serial = 0;
  std::atomic<std::size_t> handshakes = 0;
  std::atomic<std::size_t> subscriptions = 0;
  std::atomic<std::size_t> peers = 0;
};

}  // namespace nb::relay
