// netbird-server: management, signal, relay and STUN in one process and on one port.
#include "base/build_info.h"
#include "base/config/cli.h"
#include "base/log_keys.h"
#include "cmd/host.h"
#include "cmd/mgmt_admin.h"
#include "cmd/mgmt_server.h"
#include "cmd/mgmt_settings.h"
#include "cmd/migrate_store.h"
#include "cmd/relay_health.h"
#include "cmd/relay_part.h"
#include "cmd/server_config.h"
#include "cmd/signal_part.h"
#include "cmd/static_site.h"
#include "crypto/field_cipher.h"
#include "crypto/random.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace nb::cmd {
namespace {

net::ServerConfig main_server(const ServerConfig& config) {
  net::ServerConfig server = mgmt_server(config.mgmt);
  if (config.run_signal) {
    server.grpc_tunnel_paths.emplace_back("/ws-proxy/signal");
    server.limits.peer_table_bytes = kSignalPeerTableBytes;
  }
  if (config.run_relay) server.unsent_bytes_max = kRelayUnsentBytesMax;
  return server;
}

/// What the parts do not serve: paths of those that are off, the dashboard, health.
class SitePart final : public Part {
 public:
  SitePart(const ServerConfig& config, Host& host) : config_(config), host_(host) {}

  Result<> add_to(Routes& routes) override {
    if (!config_.run_signal) add_absent(*routes.http, "/ws-proxy/signal");
    if (!config_.run_relay) {
      add_absent(*routes.http, "/relay");
      add_process_health(*routes.ops, host_.health, host_.clock);
    }
    if (config_.file.dashboard_dir.empty()) return {};
    NB_LET(auto site, StaticSite::load(config_.file.dashboard_dir));
    add_static_site(*routes.http, std::move(site));
    return {};
  }
  void loops_started() override {}

 private:
  static void add_absent(net::HttpRouter& router, std::string path) {
    router.exact(std::move(path),
                 [](net::HttpRequest) -> boost::asio::awaitable<net::HttpResponse> {
                   co_return net::HttpResponse::text(404, "not found\n");
                 });
  }
  const ServerConfig& config_;
  Host& host_;
};

Result<std::unique_ptr<Assembly>> assemble(ServerConfig& config, Host& host) {
  std::vector<std::string> warnings;
  crypto::SystemRandom random;
  NB_TRY(ensure_server_key(
      config, [&random] { return crypto::FieldCipher::generate_key(random); }, warnings));
  for (const std::string& warning : warnings) host.log.warn(warning);

  auto out = std::make_unique<Assembly>(host, config.mgmt.service.loops, kMgmtLoops);
  if (config.run_relay) {
    NB_LET(auto relay,
           make_relay_part(config.relay, host, out->loops(), {.health_prefix = "relay_"}));
    out->add(std::move(relay));
  }
  if (config.run_stun) out->add(make_stun_part(config.relay, host, out->loops()));
  NB_LET(auto mgmt, make_mgmt_part(config.mgmt, host, out->loops()));
  out->add(std::move(mgmt));
  if (config.run_signal) {
    NB_LET(auto signal,
           make_signal_part(config.signal, host, out->loops(),
                            {.metrics_prefix = "signal_", .health_prefix = "signal_"}));
    out->add(std::move(signal));
  }
  out->add(std::make_unique<SitePart>(config, host));
  ListenOptions options{.main = main_server(config),
                        .ops = ops_server({.address = config.listener.address,
                                           .port = config.mgmt.service.metrics_port},
                                          config.health_listener),
                        .sentence = "server listens",
                        .about = log::f("url", config.mgmt.embedded_idp.issuer)};
  if (config.run_relay)
    options.drain = std::max(options.drain, config.relay.relay.drain_time + kRelayGoodbyeMargin);
  NB_TRY(out->listen(std::move(options)));
  return out;
}

int serve(ServerConfig& config, const config::Invocation& invocation) {
  return run_host({.program = "netbird-server",
                   .component = "combined",
                   .log = config.mgmt.service.log,
                   .limits = config.mgmt.service.program},
                  invocation.warnings, [&config](Host& host) { return assemble(config, host); });
}

}  // namespace
}  // namespace nb::cmd

int main(int argc, char** argv) {
  using namespace nb;
  cmd::ServerConfig config;
  config::Table table;
  cmd::add_server_rows(table, config);
  config::Cli cli("netbird-server", "everything that a NetBird network needs, in one process",
                  std::string(build_version()));
  config::Command command = cmd::server_command(table, config);
  command.path = "run";
  command.help = "run the server (also without this word)";
  command.run = [&config](const config::Invocation& invocation) {
    return cmd::serve(config, invocation);
  };
  cli.command(std::move(command));
  cli.fallback("run");
  cmd::MgmtAdmin admin(cmd::server_verbs());
  admin.add_to(cli);
  admin.add(cli, cmd::migrate_store_verb());
  return cli.main(argc, argv);
}
