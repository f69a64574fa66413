#include "cmd/signal_part.h"

#include "cmd/signal_cluster.h"
#include "signal/service.h"

#include <utility>

namespace nb::cmd {
namespace {

/// How long clients have to go elsewhere once streams are being ended (contract/signal-relay-ops.md
/// §2.2 S19, §7.5: the process is gone 10 s after SIGTERM, the drain delay included).
constexpr std::chrono::milliseconds kEndStreamsIn{2'000};

signal::Options options_of(const SignalLimits& limits) {
  return {.send_timeout = limits.send_timeout,
          .message_bytes_max = limits.message_bytes_max,
          .queue_messages_max = limits.queue_messages_max,
          .queue_bytes_max = limits.queue_bytes_max,
          .queue_bytes_total_max = limits.queue_bytes_total_max,
          .peers_max = limits.peers_max,
          .peer_id_bytes_max = limits.peer_id_bytes_max,
          .replace_burst = limits.replace_burst,
          .replace_window = limits.replace_window,
          .source_connects_per_second = static_cast<double>(limits.source_connects_per_second),
          .source_sends_per_second = static_cast<double>(limits.source_sends_per_second)};
}

class SignalPart final : public Part {
 public:
  SignalPart(const SignalConfig& config, Host& host, net::LoopPool& loops,
             const SignalPartOptions& options)
      : metrics(*host.metrics, options.metrics_prefix),
        service(loops, options_of(config.limits), metrics, host.clock, host.log) {}

  Result<> add_to(Routes& routes) override {
    service.add_to(*routes.grpc);
    routes.services.emplace_back("signalexchange.SignalExchange");
    return {};
  }
  void loops_started() override { service.start(); }
  Result<> start() override {
    if (cluster) cluster->start();
    return {};
  }
  void stop() override {
    if (cluster) cluster->stop();
  }
  void end_streams() override { service.drain(kEndStreamsIn); }

  signal::SignalMetrics metrics;
  signal::Service service;
  std::unique_ptr<SignalCluster> cluster;  // HA on
};

}  // namespace

Result<std::unique_ptr<Part>> make_signal_part(const SignalConfig& config, Host& host,
                                               net::LoopPool& loops,
                                               const SignalPartOptions& options) {
  auto part = std::make_unique<SignalPart>(config, host, loops, options);
  auto cluster =
      SignalCluster::make(config, loops, part->service, part->metrics, host, options.health_prefix);
  if (!cluster) return fail(cluster.error().code, "cannot use Redis: {}", cluster.error().text);
  part->cluster = *std::move(cluster);
  return part;
}

}  // namespace nb::cmd
