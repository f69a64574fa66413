// signal: passes sealed messages between peers, on one instance or over many.
//
// Purpose      the two calls of signalexchange.SignalExchange; who is connected where; delivery to
//              peers of other instances.
// Not here     what the messages say (sealed end to end); HTTP/2 (net); Redis keys (ha).
// Start with   Service in service.h (build, add to a router, drain); Shard in shard.h is one loop's
//              half of it; Router in router.h the rules between instances, Exchange in exchange.h
//              their driver over the ports of ha.
// Threads      one Shard per loop owns the streams of its connections; LocalRegistry is shared;
//              Exchange lives on loop 0. Mail between them is batched: one post a turn.
// Limits       Options below. A message is delivered, dropped (no such peer), or its sender told.
// Failure      Redis away: local peers notice nothing, other messages are answered OK within 500 ms
//              and counted, all peers are registered again within 2 s of its return.
// Decisions    docs/decisions/0011-signal-answers-after-delivery.md, 0020-…
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace nb::signal {

struct Options {
  std::chrono::milliseconds send_timeout{10'000};  // a peer that reads nothing this long is cut off
  std::size_t message_bytes_max = std::size_t{64} * 1024;
  std::size_t queue_messages_max = 256;                 // per peer, the oldest goes
  std::size_t queue_bytes_max = std::size_t{1} << 20U;  // per peer
  std::size_t queue_bytes_total_max = std::size_t{512} << 20U;
  std::size_t mail_bytes_max = std::size_t{32} << 20U;  // per loop, from other loops
  std::size_t peers_max = 1'000'000;
  std::size_t peer_id_bytes_max = 512;
  std::size_t replace_burst = 5;
  std::chrono::milliseconds replace_window{10'000};
  std::chrono::milliseconds replace_delay{5'000};
  double source_connects_per_second = 0;  // 0: no limit
  double source_sends_per_second = 0;     // 0: no limit
};

}  // namespace nb::signal
