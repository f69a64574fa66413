#include "cmd/server_config.h"

#include "base/text.h"
#include "cmd/mgmt_file.h"
#include "relay/exposed_address.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace nb::cmd {

/// server_rows.cc
Result<> read_stuns(const config::Node& file, std::vector<HostConfig>& out);

namespace {
using config::Node;

constexpr const char* kKeyFile = "encryption.key";

struct Exposed {
  bool tls = true;
  std::string host;  // with brackets if it is an IPv6 address
  std::uint16_t port = 443;
  [[nodiscard]] std::string authority() const { return fmt::format("{}:{}", host, port); }
  /// As browsers write it: without the port that everybody expects.
  [[nodiscard]] std::string site() const {
    const bool usual = port == (tls ? 443 : 80);
    return fmt::format("{}://{}", tls ? "https" : "http", usual ? host : authority());
  }
};

/// https://host:port, http://host:port, or bare host[:port], which means https.
Result<Exposed> parse_exposed(const std::string& text) {
  constexpr std::string_view kName = "server.exposedAddress";
  if (text.empty())
    return fail(Code::kInvalidArgument,
                "{} is missing: how clients reach this server, such as https://host:443", kName);
  const bool scheme = text.find("://") != std::string::npos;
  const auto url = parse_url(scheme ? text : "https://" + text);
  if (!url) return fail(Code::kInvalidArgument, "{} {}: {}", kName, text, url.error().text);
  if (url->scheme != "https" && url->scheme != "http")
    return fail(Code::kInvalidArgument, "{} {}: must begin with https:// or http://", kName, text);
  if (url->host.empty() || !url->user.empty() || url->path.size() > 1 || !url->query.empty())
    return fail(Code::kInvalidArgument, "{}: only a host and a port may follow https://", kName);
  Exposed out;
  out.tls = url->scheme == "https";
  out.host = url->host.find(':') == std::string::npos ? url->host : "[" + url->host + "]";
  out.port = url->port != 0 ? url->port : (out.tls ? 443 : 80);
  return out;
}

std::string below(const std::string& dir, const std::string& file) {
  return file.starts_with('/') ? file : dir + (dir.ends_with('/') ? "" : "/") + file;
}

Result<> finish_stun(ServerConfig& config, const Node& file, const Exposed& exposed) {
  std::vector<HostConfig>& stuns = config.mgmt.stuns;
  NB_TRY(read_stuns(file, stuns));
  config.run_stun = stuns.empty();
  for (HostConfig& stun : stuns) {
    if (stun.uri.empty()) return fail(Code::kInvalidArgument, "server.stuns: uri is missing");
    const bool secure = stun.uri.starts_with("stuns:") || stun.uri.starts_with("turns:");
    if (stun.proto.empty()) stun.proto = secure ? "dtls" : "udp";
  }
  if (!config.run_stun) return {};
  auto& ports = config.relay.stun.ports;
  if (ports.empty()) ports = {3478};
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (std::find(ports.begin(), ports.begin() + static_cast<std::ptrdiff_t>(i), ports[i]) !=
        ports.begin() + static_cast<std::ptrdiff_t>(i))
      return fail(Code::kInvalidArgument, "server.stunPorts: {} stands there twice", ports[i]);
    HostConfig stun;
    stun.proto = "udp";
    stun.uri = fmt::format("stun:{}:{}", exposed.host, ports[i]);
    stuns.push_back(std::move(stun));
  }
  return {};
}

Result<> finish_signal_uri(ServerConfig& config, const Exposed& exposed) {
  std::string uri = config.file.signal_uri;
  HostConfig& signal = config.mgmt.signal;
  config.run_signal = uri.empty();
  signal.proto = exposed.tls ? "https" : "http";
  signal.uri = exposed.authority();
  if (config.run_signal) return {};
  signal.proto = uri.starts_with("http://") ? "http" : "https";
  if (const auto scheme = uri.find("://"); scheme != std::string::npos) uri.erase(0, scheme + 3);
  while (uri.ends_with('/')) uri.pop_back();
  if (uri.empty()) return fail(Code::kInvalidArgument, "server.signalUri: the host is missing");
  signal.uri = uri;
  return {};
}

Result<> finish_relay_address(ServerConfig& config, const Exposed& exposed,
                              std::vector<std::string>& warnings) {
  RelayConfig& relays = config.mgmt.relay;
  RelayServerConfig& relay = config.relay;
  config.run_relay = relays.addresses.empty();
  if (!config.run_relay) {
    if (relays.secret.empty()) relays.secret = relay.auth_secret;
    if (relays.secret.empty() && !config.mgmt.only_looks)
      return fail(Code::kInvalidArgument,
                  "server.relays.addresses without server.relays.secret or server.authSecret");
    return {};
  }
  if (relay.auth_secret.empty() && !config.mgmt.only_looks)
    return fail(Code::kInvalidArgument,
                "server.authSecret is missing (also NB_AUTH_SECRET or NB_AUTH_SECRET_FILE): the "
                "relay's secret");
  const std::string& own = config.file.relay_exposed_address;
  const bool shared = own.empty();
  const std::string address =
      shared ? fmt::format("{}://{}", exposed.tls ? "rels" : "rel", exposed.authority()) : own;
  // A proxy may end TLS: what the exposed address says counts, not our own listener.
  const auto url = relay::instance_url(address, exposed.tls && !address.starts_with("rel://"));
  if (!url) return fail(Code::kInvalidArgument, "server.relayExposedAddress: {}", url.error().text);
  if (shared && config.mgmt.service.ha.enabled)
    warnings.emplace_back(
        "server.relayExposedAddress is not set: with several instances behind one name, peers of "
        "different instances would not meet at their relays");
  relay.relay.instance_url = *url;
  relays.addresses = {*url};
  relays.secret = relay.auth_secret;
  return {};
}

Result<> finish_auth(ServerConfig& config, const Exposed& exposed) {
  EmbeddedIdpConfig& idp = config.mgmt.embedded_idp;
  const ServerFile& file = config.file;
  const std::string site = exposed.site();
  if (idp.issuer.empty()) idp.issuer = site + "/oauth2";
  if (idp.dashboard_redirect_uris.empty())
    idp.dashboard_redirect_uris = {site + "/nb-auth", site + "/nb-silent-auth"};
  const std::string& engine =
      file.auth_store_engine.empty() ? file.auth_storage_type : file.auth_store_engine;
  idp.storage_type = engine == "postgres" ? "postgres" : "sqlite3";
  const std::string name = file.auth_store_file.empty() ? "idp.db" : file.auth_store_file;
  idp.storage_file = below(config.mgmt.datadir, name);
  if (config.mgmt.only_looks) return {};
  if (idp.storage_type == "postgres" && config.mgmt.auth_store_dsn.empty())
    return fail(Code::kInvalidArgument,
                "server.authStore.engine postgres needs server.authStore.dsn (or "
                "NB_AUTH_STORE_DSN)");
  if (idp.storage_type != "postgres" && config.mgmt.service.ha.enabled)
    return fail(Code::kInvalidArgument,
                "HA needs one database for all instances: set server.authStore.engine to postgres");
  return {};
}

Result<> check_acme(const ServerConfig& config) {
  if (!config.file.letsencrypt_enabled || config.mgmt.service.tls.enabled()) return {};
  return fail(Code::kInvalidArgument,
              "server.tls.letsencrypt.enabled: certificates are not fetched by this version; give "
              "server.tls.certFile and keyFile, which are read again when they change, or end TLS "
              "at the proxy");
}

Result<> read_file_lists(ServerConfig& config, const Node& file) {
  const Node* const server = file.find("server");
  if (server == nullptr || !server->is_map())
    return fail(Code::kInvalidArgument, "{}: the section \"server:\" is missing",
                config.mgmt.config_file);
  return read_sync_versions(file, "server.perAccountSupportedSyncMessageVersions", config.mgmt);
}

/// One process: what the whole of it has, every part has.
void share(ServerConfig& config) {
  config.signal.service = config.mgmt.service;
  config.mgmt.ha.signal_registry_key = config.signal.registry_key;
  RelayServerConfig& relay = config.relay;
  relay.log = config.mgmt.service.log;
  relay.ha = config.mgmt.service.ha;
  relay.listener = config.listener;
  relay.stun.listen_address = config.listener.address;
  relay.enable_stun = config.run_stun;
}
}  // namespace

Result<> finish_server(ServerConfig& config, const config::Table& table, const Node& file,
                       std::vector<std::string>& warnings) {
  NB_TRY(read_file_lists(config, file));
  ServiceConfig& service = config.mgmt.service;
  NB_LET(const Exposed exposed, parse_exposed(config.file.exposed_address));
  NB_LET(config.listener, listen_at("server.listenAddress", config.file.listen_address));
  NB_LET(config.health_listener,
         listen_at("server.healthcheckAddress", config.file.health_address));
  NB_TRY(check_acme(config));
  service.listen_address = config.listener.address;
  service.port = config.listener.port;
  config.listener.tls = service.tls.enabled();
  NB_TRY(finish_stun(config, file, exposed));
  NB_TRY(finish_signal_uri(config, exposed));
  NB_TRY(finish_relay_address(config, exposed, warnings));
  NB_TRY(finish_auth(config, exposed));
  NB_TRY(derive_mgmt(config.mgmt, table, warnings));
  finish_signal_service(config.signal, table);
  if (config.health_listener.port == config.listener.port)
    return fail(Code::kInvalidArgument, "server.healthcheckAddress: is the main port");
  share(config);
  return {};
}

config::Command server_command(config::Table& table, ServerConfig& config) {
  return {.table = &table,
          .read_file = [&config](std::vector<std::string>&) -> Result<std::optional<Node>> {
            const std::string& path = config.mgmt.config_file;
            NB_LET(const std::string text, config::read_file(path));
            auto node = config::parse_yaml(text);
            if (!node) return fail(node.error().code, "{}: {}", path, node.error().text);
            return std::move(*node);
          },
          .finish =
              [&table, &config](const Node& file, std::vector<std::string>& warnings) {
                return finish_server(config, table, file, warnings);
              }};
}

Result<> ensure_server_key(ServerConfig& config, const std::function<Secret()>& make_key,
                           std::vector<std::string>& warnings) {
  MgmtConfig& mgmt = config.mgmt;
  if (!mgmt.data_store_encryption_key.empty()) return {};
  const std::string path = below(mgmt.datadir, kKeyFile);
  auto text = config::read_file(path, 4'096);
  if (text) {
    drop_line_ends(*text);
    if (const auto good = config::check_base64_key32(*text); !good)
      return fail(good.error().code, "{}: {}", path, good.error().text);
    mgmt.data_store_encryption_key = Secret(*text);
    return {};
  }
  if (text.error().code != Code::kNotFound) return text.error();
  constexpr std::string_view kWhat =
      "server.store.encryptionKey is missing (also NB_DATASTORE_ENCRYPTION_KEY or its _FILE form)";
  std::error_code error;
  const std::string store = below(mgmt.datadir, mgmt.store.sqlite_file);
  const bool fresh = mgmt.store.engine == "sqlite" &&
                     (!std::filesystem::exists(store.substr(0, store.find('?')), error) ||
                      std::filesystem::file_size(store.substr(0, store.find('?')), error) == 0);
  if (!fresh || mgmt.service.ha.enabled)
    return fail(Code::kFailedPrecondition,
                "{}: the database may hold what another key encrypted; a key is made only at the "
                "first start on SQLite",
                kWhat);
  Secret key = make_key();
  std::filesystem::create_directories(mgmt.datadir, error);
  NB_TRY(config::write_file_atomically(path, fmt::format("{}\n", key.reveal()), 0600));
  mgmt.data_store_encryption_key = std::move(key);
  warnings.push_back(fmt::format("{}: a new encryption key was made; keep a copy of it", path));
  return {};
}

}  // namespace nb::cmd
