#include "base/ip.h"
#include "cmd/common_config.h"

namespace nb::cmd {

namespace {
using config::Option;
using net::ServerLimits;

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kGiB = std::int64_t{1} << 30U;

Result<> check_ip(std::string_view value) {
  if (!IpAddress::parse(value)) return fail(Code::kInvalidArgument, "not an IP address");
  return {};
}

Result<> check_loopback(std::string_view value) {
  const bool local = value.starts_with("127.") || value.starts_with("localhost:") ||
                     value.starts_with("[::1]:") || value.starts_with(":");
  if (!local) return fail(Code::kInvalidArgument, "must be on loopback");
  return config::check_listen_address(value);
}

constexpr Option<ServiceConfig> kPorts[] = {
    {.flag = "port",
     .member = &ServiceConfig::port,
     .default_text = "443 with TLS, else 80",
     .help = "main port: gRPC, HTTP and WebSocket"},
    {.flag = "listen-address",
     .member = &ServiceConfig::listen_address,
     .check = check_ip,
     .default_text = "all addresses",
     .help = "IP address that all ports are bound to"},
};
constexpr Option<ServiceConfig> kLegacyPort[] = {
    {.flag = "disable-legacy-port",
     .member = &ServiceConfig::disable_legacy_port,
     .help = "do not open the second gRPC port that old agents use"},
};
constexpr Option<ServiceConfig> kMetricsSignal[] = {
    {.flag = "metrics-port",
     .member = &ServiceConfig::metrics_port,
     .help = "port of /metrics, /healthz and /readyz"},
};
constexpr Option<ServiceConfig> kMetricsManagement[] = {
    {.flag = "metrics-port",
     .aliases = {"NB_MGMT_METRICS_PORT"},
     .member = &ServiceConfig::metrics_port,
     .help = "port of /metrics, /healthz and /readyz"},
};
constexpr Option<ServiceConfig> kHealthPort[] = {
    {.flag = "health-port",
     .member = &ServiceConfig::health_port,
     .default_text = "none",
     .help = "extra port for /healthz and /readyz"},
};
constexpr Option<ServiceConfig> kRest[] = {
    {.flag = "loops",
     .member = &ServiceConfig::loops,
     .max = 1'024,
     .default_text = "one per two cores",
     .help = "threads that serve connections"},
    {.flag = "blocking-threads",
     .member = &ServiceConfig::blocking_threads,
     .max = 1'024,
     .default_text = "two per core, at least 4",
     .help = "threads for work that blocks"},
    {.env = "NB_PPROF_ADDR",
     .member = &ServiceConfig::pprof_address,
     .check = check_loopback,
     .hidden = true,
     .help = "debug listener of upstream"},
};

constexpr Option<TlsConfig> kTls[] = {
    {.flag = "cert-file",
     .key = "HttpConfig.CertFile",
     .member = &TlsConfig::cert_file,
     .help = "TLS certificate chain, PEM; read again when it changes"},
    {.flag = "cert-key",
     .key = "HttpConfig.CertKey",
     .member = &TlsConfig::cert_key,
     .help = "TLS private key, PEM"},
};
constexpr Option<TlsConfig> kDomain[] = {
    {.flag = "letsencrypt-domain",
     .key = "HttpConfig.LetsEncryptDomain",
     .member = &TlsConfig::letsencrypt_domain,
     .check = config::check_domain,
     .help = "domain to get a certificate for"},
};
constexpr Option<TlsConfig> kSignalTls[] = {
    {.flag = "letsencrypt-data-dir",
     .aliases = {"NB_SSL_DIR"},
     .member = &TlsConfig::letsencrypt_dir,
     .help = "directory of the certificate cache"},
    {.flag = "letsencrypt-email",
     .member = &TlsConfig::letsencrypt_email,
     .hidden = true,
     .help = "mail address for the certificate authority"},
};
constexpr Option<TlsConfig> kSslDir[] = {
    {.flag = "ssl-dir",
     .env = "-",
     .member = &TlsConfig::ssl_dir,
     .help = "deprecated: --letsencrypt-data-dir"},
};

constexpr Option<ServiceConfig> kProxies[] = {
    {.flag = "trusted-proxies",
     .member = &ServiceConfig::trusted_proxies,
     .check = config::check_cidr,
     .help = "addresses or prefixes of proxies whose X-Forwarded-For counts; default: nobody's"},
    {.flag = "trusted-proxy-count",
     .member = &ServiceConfig::trusted_proxy_count,
     .max = 32,
     .help = "proxies in front of us; the client is that many entries from the right"},
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
    {.flag = "max-streams-per-connection",
     .member = &ServerLimits::streams_per_connection_max,
     .min = 1,
     .max = 100'000,
     .help = "HTTP/2 streams of one connection"},
    {.flag = "max-header-bytes",
     .member = &ServerLimits::header_bytes_max,
     .min = 4'096,
     .max = 1 << 20U,
     .help = "headers of one request"},
    {.flag = "max-message-bytes",
     .member = &ServerLimits::message_bytes_max,
     .min = 4'096,
     .max = kGiB,
     .help = "one gRPC message, decompressed"},
    {.flag = "max-body-bytes",
     .member = &ServerLimits::body_bytes_max,
     .min = 4'096,
     .max = kGiB,
     .help = "body of one HTTP request"},
    {.flag = "max-write-buffer-bytes",
     .member = &ServerLimits::write_buffer_bytes_max,
     .min = 64 * 1024,
     .max = kGiB,
     .help = "unsent bytes of one connection before its streams wait"},
    {.flag = "header-timeout",
     .member = &ServerLimits::header_timeout,
     .min = 100,
     .max = kHourMs,
     .help = "time for TLS and the headers of a request"},
    {.flag = "idle-timeout",
     .member = &ServerLimits::idle_timeout,
     .min = 1'000,
     .max = 24 * kHourMs,
     .help = "life of a connection without streams"},
    {.flag = "keepalive-time",
     .member = &ServerLimits::keepalive_time,
     .max = kHourMs,
     .help = "silence before we ping; 0s: never"},
    {.flag = "keepalive-timeout",
     .member = &ServerLimits::keepalive_timeout,
     .min = 1'000,
     .max = kHourMs,
     .help = "wait for the answer to our ping"},
    {.flag = "max-connection-age",
     .member = &ServerLimits::age_max,
     .max = 720 * kHourMs,
     .help = "age at which a connection is asked to move, ±10 %; 0s: never"},
    {.flag = "max-connection-age-grace",
     .member = &ServerLimits::age_grace,
     .min = 100,
     .max = 24 * kHourMs,
     .help = "time for its streams to end then"},
    {.flag = "max-resets",
     .member = &ServerLimits::resets_max,
     .min = 10,
     .max = 10'000'000,
     .help = "stream resets of a peer in 10 s before it is sent away"},
    {.flag = "max-control-frames",
     .member = &ServerLimits::control_frames_max,
     .min = 100,
     .max = 100'000'000,
     .help = "ping, settings and empty frames of a peer in 10 s before it is sent away"},
};

constexpr Option<ProgramLimits> kProgram[] = {
    {.flag = "drain-delay",
     .member = &ProgramLimits::drain_delay,
     .max = 600'000,
     .help = "time between not ready and the end of accepting, on SIGTERM"},
    {.flag = "stop-timeout",
     .member = &ProgramLimits::stop_total,
     .min = 100,
     .max = 600'000,
     .help = "time for everything to stop after that"},
};
}  // namespace

void add_service_rows(config::Table& table, ServiceConfig& config, Service service) {
  table.section("Ports");
  if (service != Service::kCombined) table.add(kPorts, config);
  table.add(kLegacyPort, config);
  if (service == Service::kManagement) {
    table.add(kMetricsManagement, config);
  } else {
    table.add(kMetricsSignal, config);
  }
  if (service != Service::kCombined) table.add(kHealthPort, config);
  table.add(kRest, config);
  table.section("TLS").add(kTls, config.tls);
  if (service != Service::kCombined) table.add(kDomain, config.tls);
  if (service == Service::kSignal) table.add(kSignalTls, config.tls).add(kSslDir, config.tls);
  table.section("Proxies in front of us").add(kProxies, config);
  table.section("Limits of connections").add(kLimits, config.limits);
  add_stop_rows(table, config.program);
}

void add_stop_rows(config::Table& table, ProgramLimits& limits) {
  table.section("Stopping").add(kProgram, limits);
}

}  // namespace nb::cmd
