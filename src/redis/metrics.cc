#include "redis/metrics.h"

#include "base/plain_metrics.h"

namespace nb::redis {

namespace {

prometheus::Counter& commands(prometheus::Registry& registry, const char* result) {
  return plain_counter(registry, "nb_redis_commands_total", "Commands to Redis by result",
                       {{"result", result}});
}

}  // namespace

Metrics::Metrics(prometheus::Registry& registry)
    : up(plain_gauge(registry, "nb_redis_up", "1 while every Redis client is connected")),
      reconnects_total(plain_counter(registry, "nb_redis_reconnects_total",
                                     "Connections to Redis after the first of each client")),
      connect_errors_total(plain_counter(registry, "nb_redis_connect_errors_total",
                                         "Attempts to connect to Redis that failed")),
      commands_ok_total(commands(registry, "ok")),
      commands_error_total(commands(registry, "error")),
      commands_lost_total(commands(registry, "lost")),
      commands_refused_total(commands(registry, "refused")),
      command_seconds(
          prometheus::BuildHistogram()
              .Name("nb_redis_command_seconds")
              .Help("Time from call to reply, per batch")
              .Register(registry)
              .Add({},
                   prometheus::Histogram::BucketBoundaries{0.0001, 0.00025, 0.0005, 0.001, 0.0025,
                                                           0.005, 0.01, 0.05, 0.25, 1, 5})),
      pending_commands(plain_gauge(registry, "nb_redis_pending_commands",
                                   "Commands waiting to be sent or answered")),
      breaker_state(plain_gauge(registry, "nb_redis_breaker_state",
                                "Circuit breaker of the client: 0 closed, 1 half-open, 2 open")),
      breaker_opened_total(plain_counter(registry, "nb_redis_breaker_opened_total",
                                         "Times the circuit breaker opened")),
      pubsub_up(plain_gauge(registry, "nb_redis_pubsub_up", "1 while every subscriber is live")),
      pubsub_channels(plain_gauge(registry, "nb_redis_pubsub_channels",
                                  "Channels subscribed or to be subscribed")),
      pubsub_messages_total(plain_counter(registry, "nb_redis_pubsub_messages_total",
                                          "Messages received from channels")),
      pubsub_gaps_total(
          plain_counter(registry, "nb_redis_pubsub_gaps_total",
                        "Times a subscriber became live, each after a possible gap")) {}

void Metrics::refresh_up() {
  up.Set(clients > 0 && clients_up == clients ? 1 : 0);
  pubsub_up.Set(subscribers > 0 && subscribers_up == subscribers ? 1 : 0);
}

}  // namespace nb::redis
