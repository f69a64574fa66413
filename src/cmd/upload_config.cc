#include "cmd/upload_config.h"

#include "base/text.h"

#include <utility>

namespace nb::cmd {
namespace {

using config::check_listen_address;
using config::Option;

constexpr std::int64_t kMiB = std::int64_t{1} << 20U;
constexpr std::int64_t kTiB = std::int64_t{1} << 40U;
constexpr std::size_t kSigningKeyMin = 32;

// The variables without NB_ are upstream's.
constexpr Option<UploadServerConfig> kAddresses[] = {
    {.flag = "listen-address",
     .env = "SERVER_ADDRESS",
     .member = &UploadServerConfig::listen_address,
     .check = check_listen_address,
     .help = "address of the server"},
    {.flag = "public-url",
     .env = "SERVER_URL",
     .member = &UploadServerConfig::public_url,
     .default_text = "none, required",
     .help = "URL of this server for agents, which must be https:// for those of 2026"},
    {.flag = "metrics-port",
     .member = &UploadServerConfig::metrics_port,
     .help = "port of /metrics, /healthz and /readyz"},
    {.flag = "loops",
     .member = &UploadServerConfig::loops,
     .min = 1,
     .max = 1'024,
     .help = "threads that serve connections and write files"},
};
constexpr Option<UploadServerConfig> kTls[] = {
    {.flag = "tls-cert-file",
     .env = "SERVER_CERT_FILE",
     .member = &UploadServerConfig::cert_file,
     .help = "TLS certificate chain, PEM; read again when it changes"},
    {.flag = "tls-key-file",
     .env = "SERVER_KEY_FILE",
     .member = &UploadServerConfig::key_file,
     .help = "TLS private key, PEM"},
    {.flag = "trusted-proxies",
     .member = &UploadServerConfig::trusted_proxies,
     .check = config::check_cidr,
     .help = "addresses or prefixes of proxies whose X-Real-Ip and X-Forwarded-For count"},
};
constexpr Option<UploadServerConfig> kStore[] = {
    {.flag = "store-dir",
     .env = "STORE_DIR",
     .member = &UploadServerConfig::directory,
     .help = "directory of the bundles, absolute"},
    {.env = "BUCKET",
     .member = &UploadServerConfig::bucket,
     .hidden = true,
     .help = "object stores are not supported"},
    {.env = "NB_UPLOAD_SIGNING_KEY",
     .member = &UploadServerConfig::signing_key,
     .default_text = "a fresh one at each start",
     .help =
         "signs the URLs that are given out, at least 32 characters; the same on all instances"},
    {.flag = "bundle-bytes-max",
     .env = "NB_UPLOAD_BUNDLE_BYTES_MAX",
     .member = &UploadServerConfig::bundle_bytes_max,
     .min = 1,
     .max = kTiB,
     .help = "bytes of one bundle"},
    {.flag = "store-bytes-max",
     .env = "NB_UPLOAD_STORE_BYTES_MAX",
     .member = &UploadServerConfig::store_bytes_max,
     .min = kMiB,
     .max = 1'024 * kTiB,
     .help = "bytes of all bundles; then new ones are refused"},
    {.flag = "uploads-max",
     .env = "NB_UPLOAD_UPLOADS_MAX",
     .member = &UploadServerConfig::uploads_max,
     .min = 1,
     .max = 100'000,
     .help = "uploads at one time"},
    {.flag = "urls-per-minute",
     .env = "NB_UPLOAD_URLS_PER_MINUTE",
     .member = &UploadServerConfig::urls_per_minute,
     .min = 1,
     .max = 1'000'000,
     .help = "URLs for one IPv4 address or IPv6 /64"},
};

}  // namespace

void add_upload_rows(config::Table& table, UploadServerConfig& config) {
  table.section("Addresses").add(kAddresses, config);
  table.section("TLS and proxies").add(kTls, config);
  table.section("Bundles").add(kStore, config);
  add_log_rows(table, config.log, Service::kUpload);
  add_stop_rows(table, config.program);
  table.without_file();
}

Result<> finish_upload(UploadServerConfig& config) {
  if (!config.bucket.empty())
    return fail(Code::kInvalidArgument,
                "BUCKET: object stores are not supported, bundles are files in STORE_DIR");
  if (config.public_url.empty())
    return fail(Code::kInvalidArgument,
                "--public-url is missing (SERVER_URL): the URL of this server for agents");
  const auto url = parse_url(config.public_url);
  if (!url || (url->scheme != "https" && url->scheme != "http") || url->host.empty() ||
      config.public_url.find_first_of("?#\"\\ ") != std::string::npos)
    return fail(Code::kInvalidArgument, "--public-url {}: https://host[:port][/path]",
                config.public_url);
  while (config.public_url.ends_with('/')) config.public_url.pop_back();
  if (!config.directory.starts_with('/'))
    return fail(Code::kInvalidArgument, "--store-dir {}: must be absolute", config.directory);
  if (config.cert_file.empty() != config.key_file.empty())
    return fail(Code::kInvalidArgument,
                "--tls-cert-file and --tls-key-file belong together; --{} is missing",
                config.cert_file.empty() ? "tls-cert-file" : "tls-key-file");
  if (!config.signing_key.empty() && config.signing_key.reveal().size() < kSigningKeyMin)
    return fail(Code::kInvalidArgument, "NB_UPLOAD_SIGNING_KEY: fewer than {} characters",
                kSigningKeyMin);
  NB_LET(config.listener, listen_at("--listen-address", config.listen_address));
  config.listener.tls = !config.cert_file.empty();
  return {};
}

config::Command upload_command(config::Table& table, UploadServerConfig& config,
                               std::function<int(const config::Invocation&)> run) {
  return {.path = "run",
          .help = "Start the upload server (also without this word)",
          .table = &table,
          .finish = [&config](const config::Node&,
                              std::vector<std::string>&) { return finish_upload(config); },
          .run = std::move(run)};
}

}  // namespace nb::cmd
