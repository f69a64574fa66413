#include "cmd/relay_part.h"

#include "cmd/level_sink.h"
#include "cmd/relay_cluster.h"
#include "cmd/relay_health.h"
#include "relay/quic/listener.h"
#include "relay/service.h"
#include "stun/server.h"

#include <atomic>
#include <utility>

namespace nb::cmd {
namespace {

crypto::RelayTokens tokens_of(const RelayServerConfig& config) {
  std::vector<Secret> secrets = {config.auth_secret};
  if (!config.auth_secret_previous.empty()) secrets.push_back(config.auth_secret_previous);
  return crypto::RelayTokens(secrets);
}

relay::quic::Options quic_options(const RelayServerConfig& config) {
  return {.address = config.listener.address,
          .port = config.listener.port,
          .cert_file = config.tls.cert_file,
          .key_file = config.tls.cert_key,
          .sessions_max = static_cast<std::uint32_t>(config.limits.connections_max)};
}

class RelayPart final : public Part {
 public:
  RelayPart(const RelayServerConfig& config, Host& host, net::LoopPool& loops)
      : config_(config),
        host_(host),
        metrics_(*host.metrics),
        quic_metrics_(*host.metrics),
        service_(loops, config.relay, tokens_of(config), metrics_, host.clock, host.log) {
    if (!config.enable_quic) return;
    quic_ = std::make_unique<relay::quic::Listener>(
        loops, quic_options(config),
        [this](net::WebSocketChannel& channel) {
          return service_.serve(channel, relay::Transport::kQuic);
        },
        quic_metrics_, host.log);
  }

  Result<> add_to(Routes& routes) override {
    service_.add_to(*routes.http);
    const auto added = add_relay_health(*routes.ops,
                                        {.instance_url = config_.relay.instance_url,
                                         .local_address = config_.listener.address,
                                         .local_tls = config_.listener.tls,
                                         .quic = config_.enable_quic,
                                         .local_port = [this] { return bound_port_.load(); }},
                                        host_.clock);
    if (!added)
      return fail(added.error().code, "cannot watch the listener: {}", added.error().text);
    return {};
  }
  void loops_started() override { service_.start(); }
  Result<> start() override {
    if (quic_) NB_TRY(quic_->start());
    if (cluster) cluster->start();
    return {};
  }
  void stop() override {
    if (quic_) quic_->stop();
    if (cluster) cluster->stop();
  }
  void end_streams() override {
    if (quic_) quic_->drain(config_.relay.drain_time + kRelayGoodbyeMargin);
  }
  void listening(const std::vector<std::uint16_t>& ports) override {
    bound_port_ = ports.empty() ? std::uint16_t{0} : ports.front();
  }

  [[nodiscard]] const relay::Service& service() const { return service_; }

  std::unique_ptr<RelayCluster> cluster;  // HA on

 private:
  const RelayServerConfig& config_;
  Host& host_;
  relay::RelayMetrics metrics_;
  relay::quic::Metrics quic_metrics_;
  relay::Service service_;
  std::unique_ptr<relay::quic::Listener> quic_;  // null: off
  std::atomic<std::uint16_t> bound_port_ = 0;
};

class StunPart final : public Part {
 public:
  StunPart(const RelayServerConfig& config, Host& host, net::LoopPool& loops)
      : metrics_(*host.metrics),
        server_(loops, config.stun, metrics_,
                Logger(std::make_shared<LevelSink>(host.sink, config.stun_log_level))) {}
  Result<> add_to(Routes& /*routes*/) override { return {}; }
  void loops_started() override {}
  Result<> start() override { return server_.start(); }
  void stop() override { server_.stop(); }

 private:
  stun::StunMetrics metrics_;
  stun::Server server_;
};

}  // namespace

Result<std::unique_ptr<Part>> make_relay_part(const RelayServerConfig& config, Host& host,
                                              net::LoopPool& loops,
                                              const RelayPartOptions& options) {
  auto part = std::make_unique<RelayPart>(config, host, loops);
  auto cluster = RelayCluster::make(config.ha, config.relay.instance_url, loops, part->service(),
                                    host, options.health_prefix);
  if (!cluster) return fail(cluster.error().code, "cannot use Redis: {}", cluster.error().text);
  part->cluster = *std::move(cluster);
  return part;
}

std::unique_ptr<Part> make_stun_part(const RelayServerConfig& config, Host& host,
                                     net::LoopPool& loops) {
  return std::make_unique<StunPart>(config, host, loops);
}

}  // namespace nb::cmd
