#include "cmd/common_config.h"

#include "base/text.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <random>
#include <thread>

namespace nb::cmd {

namespace {
std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return {};
  return name.data();
}

std::string random_id() {
  std::random_device random;
  std::string bytes;
  for (int i = 0; i < 16; ++i) bytes.push_back(static_cast<char>(random() & 0xFFU));
  return to_hex(bytes);
}

bool ipv6_available() {
  return std::ifstream("/proc/net/if_inet6").peek() != EOF;
}

Result<redis::Address> redis_address(std::string_view text, std::uint16_t default_port) {
  if (text.find(':') == std::string_view::npos)
    return redis::Address{std::string(text), default_port};
  NB_LET(auto parsed, parse_host_port(text));
  if (parsed.host.empty()) return fail(Code::kInvalidArgument, "the host is missing");
  return redis::Address{std::move(parsed.host), parsed.port};
}

/// redis[s]://[user:password@]host[:port][/db]
Result<> apply_redis_url(redis::Options& options, std::string_view text) {
  NB_LET(const Url url, parse_url(text));
  if (url.host.empty()) return fail(Code::kInvalidArgument, "the host is missing");
  options.address = {url.host, url.port == 0 ? options.address.port : url.port};
  options.tls.enabled |= url.scheme == "rediss";
  if (!url.user.empty()) options.user = url.user;
  if (!url.password.empty()) options.password = Secret(url.password);
  std::string db = url.path.size() > 1 ? url.path.substr(1) : "";
  if (url.query.starts_with("db=")) db = url.query.substr(3);
  if (db.empty()) return {};
  if (db.size() > 5 || db.find_first_not_of("0123456789") != std::string::npos) {
    return fail(Code::kInvalidArgument, "the database must be a number");
  }
  options.db = std::stoi(db);
  return {};
}
}  // namespace

std::string all_addresses() {
  return ipv6_available() ? "::" : "0.0.0.0";
}

Result<net::ListenerConfig> listen_at(std::string_view name, const std::string& text) {
  const auto parsed = parse_host_port(text);
  if (!parsed) return fail(Code::kInvalidArgument, "{} {}: {}", name, text, parsed.error().text);
  net::ListenerConfig out;
  out.address = parsed->host.empty() ? all_addresses() : parsed->host;
  out.port = parsed->port;
  return out;
}

Result<> finish_service(ServiceConfig& config, std::vector<std::string>& warnings) {
  TlsConfig& tls = config.tls;
  if (!tls.ssl_dir.empty() && tls.letsencrypt_dir.empty()) tls.letsencrypt_dir = tls.ssl_dir;
  if (tls.cert_file.empty() != tls.cert_key.empty()) {
    return fail(Code::kInvalidArgument,
                "--cert-file and --cert-key belong together; --{} is missing",
                tls.cert_file.empty() ? "cert-file" : "cert-key");
  }
  if (!tls.letsencrypt_domain.empty() && !tls.enabled()) {
    return fail(Code::kInvalidArgument,
                "--letsencrypt-domain {}: certificates are not fetched by this version; give "
                "--cert-file and --cert-key, or end TLS at the proxy",
                tls.letsencrypt_domain);
  }
  if (config.port == 0) config.port = tls.enabled() ? 443 : 80;
  if (config.metrics_port == config.port && config.port != 0) {
    return fail(Code::kInvalidArgument, "--metrics-port {}: is the main port", config.port);
  }
  if (config.listen_address.empty()) config.listen_address = all_addresses();
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  // One loop carries some 18,000 signal messages a second, and threads come only as the load asks
  // (decision 0114). The other cores have SQL and maps.
  if (config.loops == 0) config.loops = std::max(1U, cores / 2);
  if (config.blocking_threads == 0) config.blocking_threads = std::max(4U, 2 * cores);
  if (config.trusted_proxies.empty() && config.trusted_proxy_count > 0) {
    warnings.emplace_back(
        "--trusted-proxy-count has no effect without --trusted-proxies: nobody's "
        "X-Forwarded-For counts");
  }
  if (config.limits.keepalive_time.count() > 0 &&
      config.limits.keepalive_timeout >= config.limits.idle_timeout) {
    return fail(Code::kInvalidArgument, "--keepalive-timeout must be below --idle-timeout");
  }
  return {};
}

Result<> finish_ha(HaConfig& config, const config::Table& table,
                   std::vector<std::string>& warnings) {
  if (config.instance_id.empty()) config.instance_id = host_name();
  if (config.instance_id.empty()) config.instance_id = random_id();
  const auto* password = table.find("NB_HA_REDIS_PASSWORD");
  if (password != nullptr) config.redis.password_file = password->origin.file;
  if (!config.enabled) return {};
  if (config.redis.tls_cert_file.empty() != config.redis.tls_key_file.empty()) {
    return fail(Code::kInvalidArgument,
                "--ha-redis-tls-cert-file and --ha-redis-tls-key-file belong together");
  }
  if (config.secret.empty()) {
    if (!config.secret_previous.empty()) {
      return fail(Code::kInvalidArgument, "a previous secret without a present one");
    }
    warnings.emplace_back(
        "no secret is set: whoever can write to Redis can send messages to any peer "
        "(NB_HA_SECRET_FILE)");
  }
  const auto options = redis_options(config.redis, {});
  return options ? Result<>() : Result<>(options.error());
}

Result<redis::Options> redis_options(const RedisConfig& config, std::string client_name) {
  redis::Options out;
  out.user = config.user;
  out.password = config.password;
  out.password_file = config.password_file;
  out.db = static_cast<int>(config.db);
  out.tls = {config.tls_enabled, config.tls_ca_file, config.tls_cert_file, config.tls_key_file,
             config.tls_server_name};
  out.client_name = std::move(client_name);
  out.dial_timeout = config.dial_timeout;
  out.read_timeout = config.read_timeout;
  out.write_timeout = config.write_timeout;
  out.sentinel_master = config.sentinel_master;
  out.sentinel_user = config.sentinel_user;
  out.sentinel_password = config.sentinel_password;
  constexpr std::uint16_t kSentinelPort = 26'379;
  for (const std::string& text : config.sentinel_addresses) {
    const auto address = redis_address(text, kSentinelPort);
    if (!address) {
      return fail(Code::kInvalidArgument, "--ha-redis-sentinels: {}", address.error().text);
    }
    out.sentinels.push_back(*address);
  }
  const std::string_view address = config.address.reveal();
  if (address.empty()) return fail(Code::kInvalidArgument, "--ha-redis-address is empty");
  if (address.find("://") != std::string_view::npos) {
    const auto applied = apply_redis_url(out, address);
    if (!applied) {
      return fail(Code::kInvalidArgument, "--ha-redis-address: {}", applied.error().text);
    }
    return out;
  }
  const auto parsed = redis_address(address, out.address.port);
  if (!parsed) {
    return fail(Code::kInvalidArgument, "--ha-redis-address: {}", parsed.error().text);
  }
  out.address = *parsed;
  return out;
}

net::ServerConfig net_config(const ServiceConfig& config, std::uint16_t legacy_port) {
  net::ServerConfig out;
  const bool tls = config.tls.enabled();
  out.listeners.push_back({config.listen_address, config.port, tls});
  if (!config.disable_legacy_port && config.port != legacy_port) {
    out.listeners.push_back({config.listen_address, legacy_port, tls});
  }
  out.tls_files = {config.tls.cert_file, config.tls.cert_key};
  out.limits = config.limits;
  out.trusted_proxies = config.trusted_proxies;
  out.trusted_proxy_count = config.trusted_proxy_count;
  return out;
}

}  // namespace nb::cmd
