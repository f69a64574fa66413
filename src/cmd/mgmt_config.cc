#include "cmd/mgmt_config.h"

#include "base/text.h"
#include "cmd/mgmt_file.h"

#include <algorithm>
#include <thread>

namespace nb::cmd {

namespace {
using config::Node;

constexpr std::string_view kKeyName = "DataStoreEncryptionKey";

/// Parts that other parts decide.
void derive(MgmtConfig& config, const config::Table& table) {
  MgmtHaConfig& ha = config.ha;
  if (!table.is_set("--mgmt-heartbeat-interval")) {
    ha.heartbeat_interval = std::min(ha.heartbeat_interval, ha.peer_ttl / 3);
  }
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  if (config.store.max_open_conns == 0) config.store.max_open_conns = std::max(4U, cores);
  if (config.limits.map_threads == 0) config.limits.map_threads = std::max(1U, cores - 1);
  if (!config.embedded_idp.enabled) return;
  if (config.embedded_idp.storage_file.empty()) {
    const bool slash = config.datadir.ends_with('/');
    config.embedded_idp.storage_file = config.datadir + (slash ? "idp.db" : "/idp.db");
  }
}

void trust_proxies(MgmtConfig& config) {
  auto& trusted = config.service.trusted_proxies;
  for (const auto* list : {&config.trusted_peers, &config.trusted_http_proxies}) {
    trusted.insert(trusted.end(), list->begin(), list->end());
  }
  if (config.service.trusted_proxy_count == 0) {
    config.service.trusted_proxy_count = config.trusted_http_proxies_count;
  }
}

Result<> check_parts(const MgmtConfig& config) {
  if (config.only_looks) return {};
  const auto& idp = config.embedded_idp;
  if (idp.enabled && config.disable_single_account_mode) {
    return fail(Code::kInvalidArgument,
                "--disable-single-account-mode cannot be used with EmbeddedIdP.Enabled");
  }
  if (idp.enabled && idp.issuer.empty()) {
    return fail(Code::kInvalidArgument, "EmbeddedIdP.Issuer is missing");
  }
  if (idp.enabled && idp.storage_type == "postgres" && idp.storage_dsn.empty() &&
      config.auth_store_dsn.empty()) {
    return fail(Code::kInvalidArgument,
                "EmbeddedIdP.Storage.Type postgres needs EmbeddedIdP.Storage.Config.DSN or "
                "NB_AUTH_STORE_DSN");
  }
  if (!config.relay.addresses.empty() && config.relay.secret.empty()) {
    return fail(Code::kInvalidArgument, "Relay.Addresses without Relay.Secret");
  }
  if (config.turn.time_based_credentials && config.turn.secret.empty()) {
    return fail(Code::kInvalidArgument,
                "TURNConfig.TimeBasedCredentials without TURNConfig.Secret");
  }
  if (config.service.ha.enabled && config.data_store_encryption_key.empty()) {
    return fail(Code::kInvalidArgument,
                "{} is required with HA and must be the same on all instances "
                "(NB_DATASTORE_ENCRYPTION_KEY_FILE or the config file)",
                kKeyName);
  }
  return {};
}

void warn(const Node& file, const MgmtConfig& config, std::vector<std::string>& warnings) {
  if (!config.idp_manager_type.empty() && !config.embedded_idp.enabled)
    warnings.push_back(
        fmt::format("config file: IdpManagerConfig.ManagerType \"{}\": users are not read from "
                    "other identity providers, and not deleted there; names come from tokens",
                    escape_control(config.idp_manager_type)));
  const Node* const datadir = file.find("Datadir");
  if (datadir == nullptr || !datadir->scalar() || datadir->text().empty()) return;
  const auto plain = [](std::string_view path) {
    while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    return path;
  };
  if (plain(datadir->text()) != plain(config.datadir)) {
    warnings.push_back(fmt::format("config file: Datadir \"{}\" is not used; --datadir is \"{}\"",
                                   escape_control(datadir->text()), config.datadir));
  }
}
}  // namespace

Result<std::optional<Node>> read_mgmt_file(const std::string& path, const config::Environment& env,
                                           bool required, std::vector<std::string>& warnings) {
  const auto text = config::read_file(path);
  if (!text && text.error().code == Code::kNotFound && !required) {
    warnings.push_back(fmt::format("{} does not exist: only flags and variables count", path));
    return std::nullopt;
  }
  if (!text) return text.error();
  const auto expanded = config::expand_template(*text, env);
  if (!expanded) return fail(expanded.error().code, "{}: {}", path, expanded.error().text);
  auto node = config::parse_json(*expanded);
  if (!node) return fail(node.error().code, "{}: {}", path, node.error().text);
  return std::move(*node);
}

Result<> derive_mgmt(MgmtConfig& config, const config::Table& table,
                     std::vector<std::string>& warnings) {
  if (equals_ignore_case(config.device_flow.provider, "none")) config.device_flow.provider.clear();
  if (config.device_flow.scope.empty()) config.device_flow.scope = "openid";
  if (equals_ignore_case(config.idp_manager_type, "none")) config.idp_manager_type.clear();
  trust_proxies(config);
  // Commands on the stores have no ports to check.
  if (table.find("--metrics-port") != nullptr) NB_TRY(finish_service(config.service, warnings));
  NB_TRY(finish_ha(config.service.ha, table, warnings));
  warn_of_ignored(table, warnings);
  derive(config, table);
  return check_parts(config);
}

Result<> finish_mgmt(MgmtConfig& config, const config::Table& table, const Node& file,
                     std::vector<std::string>& warnings) {
  NB_TRY(read_mgmt_lists(file, config));
  config.file = file;
  NB_TRY(derive_mgmt(config, table, warnings));
  warn(file, config, warnings);
  return {};
}

config::Command mgmt_command(config::Table& table, MgmtConfig& config,
                             const config::Environment& env) {
  return {.table = &table,
          .read_file =
              [&table, &config, env](std::vector<std::string>& warnings) {
                const bool required = table.is_set("--config");
                return read_mgmt_file(config.config_file, env, required, warnings);
              },
          .finish =
              [&table, &config](const Node& file, std::vector<std::string>& warnings) {
                return finish_mgmt(config, table, file, warnings);
              }};
}

Result<> ensure_encryption_key(MgmtConfig& config, const std::function<Secret()>& make_key,
                               std::vector<std::string>& warnings) {
  if (!config.data_store_encryption_key.empty()) return {};
  if (config.service.ha.enabled) {
    return fail(Code::kFailedPrecondition, "{} is required with HA", kKeyName);
  }
  Secret key = make_key();
  NB_TRY(config::check_base64_key32(key.reveal()));
  const auto text = config::read_file(config.config_file);
  if (!text && text.error().code != Code::kNotFound) return text.error();
  const auto patched = config::patch_json_key(text ? *text : "{}", kKeyName, key.reveal());
  if (!patched) {
    return fail(patched.error().code, "{}: cannot add {}: {}", config.config_file, kKeyName,
                patched.error().text);
  }
  NB_TRY(config::write_file_atomically(config.config_file, *patched));
  config.data_store_encryption_key = std::move(key);
  warnings.push_back(fmt::format("{}: a new {} was made and written; keep a copy of it",
                                 config.config_file, kKeyName));
  return {};
}

}  // namespace nb::cmd
