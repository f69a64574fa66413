// Settings of netbird-upload (contract/signal-relay-ops.md §9.2).
#pragma once

#include "base/config/cli.h"
#include "cmd/common_config.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace nb::cmd {

struct UploadServerConfig {
  std::string listen_address = "0.0.0.0:8080";
  std::string public_url;
  std::string directory = "/var/lib/netbird";
  std::string bucket;  // an object store's; refused
  std::string cert_file;
  std::string key_file;
  Secret signing_key;  // empty: a fresh one at each start
  std::uint16_t metrics_port = 9090;
  std::uint64_t bundle_bytes_max = 150ULL << 20U;
  std::uint64_t store_bytes_max = 10ULL << 30U;
  std::uint32_t uploads_max = 32;
  std::uint32_t urls_per_minute = 12;  // of one address
  std::vector<std::string> trusted_proxies;
  std::uint32_t loops = 1;
  LogConfig log;
  ProgramLimits program;
  net::ServerLimits limits;

  // After finish_upload():
  net::ListenerConfig listener;
};

/// All rows of `netbird-upload`, bound to `config`, which must outlive the table and not move.
void add_upload_rows(config::Table& table, UploadServerConfig& config);
/// Fills derived values.
/// Errors   no public URL or one that is none, a bucket, a relative directory, half a certificate
///          pair, a short key.
Result<> finish_upload(UploadServerConfig& config);
config::Command upload_command(config::Table& table, UploadServerConfig& config,
                               std::function<int(const config::Invocation&)> run);

}  // namespace nb::cmd
