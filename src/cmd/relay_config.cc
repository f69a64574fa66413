#include "cmd/relay_config.h"

#include "base/text.h"
#include "relay/exposed_address.h"

#include <algorithm>
#include <thread>

namespace nb::cmd {

namespace {
using config::check_listen_address;
using config::Option;
using net::ServerLimits;

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kMiB = std::int64_t{1} << 20U;
constexpr std::int64_t kGiB = std::int64_t{1} << 30U;
constexpr std::string_view kLevels = "panic|fatal|error|warn|warning|info|debug|trace";

constexpr Option<RelayServerConfig> kAddresses[] = {
    {.flag = "listen-address",
     .letter = 'l',
     .member = &RelayServerConfig::listen_address,
     .check = check_listen_address,
     .help = "address of the relay: WebSocket, with TLS when certificates are given"},
    {.flag = "exposed-address",
     .letter = 'e',
     .member = &RelayServerConfig::exposed_address,
     .default_text = "none, required",
     .help = "address of this very instance for peers: host:port, rel:// or rels://"},
    {.flag = "metrics-port",
     .member = &RelayServerConfig::metrics_port,
     .help = "port of /metrics, /healthz and /readyz"},
    {.flag = "health-listen-address",
     .letter = 'H',
     .member = &RelayServerConfig::health_listen_address,
     .check = check_listen_address,
     .help = "address of /health, /healthz and /readyz"},
    {.flag = "loops",
     .member = &RelayServerConfig::loops,
     .max = 1'024,
     .default_text = "one per core",
     .help = "threads that serve connections"},
};
constexpr Option<RelayServerConfig> kSecrets[] = {
    {.flag = "auth-secret",
     .letter = 's',
     .member = &RelayServerConfig::auth_secret,
     .default_text = "none, required",
     .help = "secret shared with management, which signs peers' tokens with it"},
    {.flag = "auth-secret-previous",
     .member = &RelayServerConfig::auth_secret_previous,
     .help = "still accepted while the secret is being replaced"},
};
constexpr Option<RelayServerConfig> kProxies[] = {
    {.flag = "trusted-proxies",
     .member = &RelayServerConfig::trusted_proxies,
     .check = config::check_cidr,
     .help = "addresses or prefixes of proxies whose X-Real-Ip and X-Forwarded-For count"},
};
constexpr Option<RelayServerConfig> kQuic[] = {
    {.flag = "enable-quic",
     .member = &RelayServerConfig::enable_quic,
     .help = "also QUIC, on the UDP port of the same number; needs certificates"},
};
constexpr Option<RelayTlsConfig> kTls[] = {
    {.flag = "tls-cert-file",
     .letter = 'c',
     .member = &RelayTlsConfig::cert_file,
     .help = "TLS certificate chain, PEM; read again when it changes"},
    {.flag = "tls-key-file",
     .letter = 'k',
     .member = &RelayTlsConfig::cert_key,
     .help = "TLS private key, PEM"},
    {.flag = "letsencrypt-data-dir",
     .letter = 'd',
     .member = &RelayTlsConfig::letsencrypt_dir,
     .help = "directory of the certificate cache"},
    {.flag = "letsencrypt-domains",
     .letter = 'a',
     .member = &RelayTlsConfig::letsencrypt_domains,
     .check = config::check_domain,
     .help = "domains to get certificates for"},
    {.flag = "letsencrypt-email",
     .member = &RelayTlsConfig::letsencrypt_email,
     .hidden = true,
     .help = "mail address for the certificate authority"},
    {.flag = "letsencrypt-aws-route53",
     .member = &RelayTlsConfig::letsencrypt_aws_route53,
     .hidden = true,
     .help = "prove domains through Route 53"},
};
constexpr Option<RelayServerConfig> kStunSwitch[] = {
    {.flag = "enable-stun",
     .member = &RelayServerConfig::enable_stun,
     .help = "answer STUN Binding requests over UDP"},
};
constexpr Option<RelayServerConfig> kStunLog[] = {
    {.flag = "stun-log-level",
     .member = &RelayServerConfig::stun_log_level,
     .allowed = kLevels,
     .help = "what the STUN server logs"},
};
constexpr Option<stun::Options> kStun[] = {
    {.flag = "stun-ports",
     .member = &stun::Options::ports,
     .min = 1,
     .max = 65'535,
     .help = "UDP ports of the STUN server"},
    {.flag = "stun-source-rate",
     .member = &stun::Options::source_per_second,
     .max = 1'000'000,
     .help = "answers per second to one IPv4 address or IPv6 /64, on each thread; 0: no limit"},
    {.flag = "stun-source-burst",
     .member = &stun::Options::source_burst,
     .min = 1,
     .max = 1'000'000,
     .help = "answers to it at once"},
};
constexpr Option<relay::Options> kRelay[] = {
    {.flag = "relay-queue-bytes",
     .member = &relay::Options::queue_bytes_max,
     .min = 256 * 1024,
     .max = kGiB,
     .help = "bytes waiting for one peer; then its newest packets are dropped"},
    {.flag = "relay-queue-bytes-total",
     .member = &relay::Options::queue_bytes_total_max,
     .min = kMiB,
     .max = 1'024 * kGiB,
     .help = "bytes waiting for all peers"},
    {.flag = "relay-loop-bytes",
     .member = &relay::Options::loop_bytes_max,
     .min = kMiB,
     .max = kGiB,
     .help = "bytes on their way from other threads to one"},
    {.flag = "relay-handshake-timeout",
     .member = &relay::Options::handshake_timeout,
     .min = 100,
     .max = kHourMs,
     .help = "time for a connection to show a valid token"},
    {.flag = "relay-write-timeout",
     .member = &relay::Options::write_timeout,
     .min = 100,
     .max = kHourMs,
     .help = "time for a peer to take what waits for it; then its connection is ended"},
    {.flag = "relay-max-handshakes",
     .member = &relay::Options::handshakes_max,
     .min = 1,
     .max = 10'000'000,
     .help = "connections without a valid token yet"},
    {.flag = "relay-max-subscriptions",
     .member = &relay::Options::subscriptions_max,
     .min = 1,
     .max = 10'000'000,
     .help = "peers that one peer may watch"},
    {.flag = "relay-max-subscriptions-total",
     .member = &relay::Options::subscriptions_total_max,
     .min = 1,
     .max = 1'000'000'000,
     .help = "the same, of all peers"},
    {.flag = "relay-replace-burst",
     .member = &relay::Options::replace_burst,
     .min = 1,
     .max = 1'000'000,
     .help = "connections of one peer id that may displace another within the window"},
    {.flag = "relay-replace-window",
     .member = &relay::Options::replace_window,
     .min = 100,
     .max = kHourMs,
     .help = "that window"},
    {.flag = "relay-drain-time",
     .member = &relay::Options::drain_time,
     .max = 20'000,
     .help = "on SIGTERM: time over which peers are sent to other relays"},
    {.env = "NB_RELAY_HC_ATTEMPT_THRESHOLD",
     .member = &relay::Options::health_failures_max,
     .min = 1,
     .max = 1'000,
     .help = "health checks a peer may leave unanswered in a row, less one"},
};
constexpr Option<ServerLimits> kLimits[] = {
    {.flag = "max-connections",
     .member = &ServerLimits::connections_max,
     .min = 1,
     .max = 10'000'000,
     .help = "open connections"},
    {.flag = "max-connections-per-address",
     .member = &ServerLimits::connections_per_address_max,
     .max = 10'000'000,
     .help = "open connections from one address; 0: no limit"},
    {.flag = "header-timeout",
     .member = &ServerLimits::header_timeout,
     .min = 100,
     .max = kHourMs,
     .help = "time for TLS and the WebSocket handshake"},
};

}  // namespace

void add_relay_service_rows(config::Table& table, RelayServerConfig& config) {
  table.section("Relay").add(kSecrets, config).add(kRelay, config.relay);
  table.section("STUN").add(kStunLog, config).add(kStun, config.stun);
}

void add_relay_rows(config::Table& table, RelayServerConfig& config) {
  config.limits.header_timeout = std::chrono::seconds(5);  // contract §3.6
  table.section("Addresses").add(kAddresses, config).add(kQuic, config);
  table.section("Access").add(kSecrets, config).add(kProxies, config);
  table.section("TLS").add(kTls, config.tls);
  table.section("STUN").add(kStunSwitch, config).add(kStunLog, config).add(kStun, config.stun);
  table.section("Peers").add(kRelay, config.relay);
  table.section("Limits of connections").add(kLimits, config.limits);
  add_log_rows(table, config.log, Service::kRelay);
  add_stop_rows(table, config.program);
  add_ha_rows(table, config.ha, Service::kRelay);
  table.without_file();
}

Result<> finish_relay(RelayServerConfig& config, const config::Table& table) {
  const RelayTlsConfig& tls = config.tls;
  if (tls.cert_file.empty() != tls.cert_key.empty()) {
    return fail(Code::kInvalidArgument,
                "--tls-cert-file and --tls-key-file belong together; --{} is missing",
                tls.cert_file.empty() ? "tls-cert-file" : "tls-key-file");
  }
  if (!tls.letsencrypt_domains.empty() && !tls.enabled()) {
    return fail(Code::kInvalidArgument,
                "--letsencrypt-domains: certificates are not fetched by this version; give "
                "--tls-cert-file and --tls-key-file, or end TLS at the proxy");
  }
  if (config.enable_quic && !tls.enabled())
    return fail(Code::kInvalidArgument,
                "--enable-quic needs --tls-cert-file and --tls-key-file: there is no QUIC without "
                "TLS, and a proxy that ends TLS does not pass it on");
  if (config.exposed_address.empty())
    return fail(Code::kInvalidArgument,
                "--exposed-address is missing: the address of this instance for peers");
  if (config.auth_secret.empty())
    return fail(Code::kInvalidArgument,
                "--auth-secret is missing (NB_AUTH_SECRET or NB_AUTH_SECRET_FILE): the secret "
                "that management has as Relay.Secret");
  const auto url = relay::instance_url(config.exposed_address, tls.enabled());
  if (!url) return fail(Code::kInvalidArgument, "--exposed-address: {}", url.error().text);
  config.relay.instance_url = *url;
  NB_LET(config.listener, listen_at("--listen-address", config.listen_address));
  config.listener.tls = tls.enabled();
  NB_LET(config.health_listener,
         listen_at("--health-listen-address", config.health_listen_address));
  config.stun.listen_address = config.listener.address;
  std::vector<std::string> about_signing;  // of messages between instances: there are none
  NB_TRY(finish_ha(config.ha, table, about_signing));
  if (config.loops == 0) config.loops = std::max(1U, std::thread::hardware_concurrency());
  return {};
}

config::Command relay_command(config::Table& table, RelayServerConfig& config,
                              std::function<int(const config::Invocation&)> run) {
  return {.path = "run",
          .help = "Start the relay (also without this word)",
          .table = &table,
          .finish = [&table, &config](
                        const config::Node&,
                        std::vector<std::string>&) { return finish_relay(config, table); },
          .run = std::move(run)};
}

}  // namespace nb::cmd
