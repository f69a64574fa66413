// What the module counts; one per process, shared by its clients and subscribers.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <atomic>

namespace nb::redis {

/// Thread-safe.
struct Metrics {
  explicit Metrics(prometheus::Registry& registry);

  prometheus::Gauge& up;                  // nb_redis_up: 1 when every client is connected
  prometheus::Counter& reconnects_total;  // nb_redis_reconnects_total: connections after the first
  prometheus::Counter& connect_errors_total;  // nb_redis_connect_errors_total
  prometheus::Counter& commands_ok_total;     // nb_redis_commands_total{result="ok"}
  prometheus::Counter& commands_error_total;  //   "error": an error reply
  prometheus::Counter& commands_lost_total;   //   "lost": sent or queued, then the connection broke
  prometheus::Counter& commands_refused_total;  //   "refused": breaker open or too many pending
  prometheus::Histogram&
      command_seconds;                  // nb_redis_command_seconds: from call to reply, per batch
  prometheus::Gauge& pending_commands;  // nb_redis_pending_commands
  prometheus::Gauge& breaker_state;     // nb_redis_breaker_state: 0 closed, 1 half-open, 2 open
  prometheus::Counter& breaker_opened_total;  // nb_redis_breaker_opened_total
  prometheus::Gauge& pubsub_up;               // nb_redis_pubsub_up: 1 when every subscriber is live
  prometheus::Gauge& pubsub_channels;         // nb_redis_pubsub_channels: wanted
  prometheus::Counter& pubsub_messages_total;  // nb_redis_pubsub_messages_total
  prometheus::Counter& pubsub_gaps_total;      // nb_redis_pubsub_gaps_total: (re)connects

  // How many exist and how many of them are connected.
  std::atomic<int> clients{0}, clients_up{0}, subscribers{0}, subscribers_up{0};
  void refresh_up();
};

}  // namespace nb::redis
