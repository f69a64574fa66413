// netbird-upload: reads its configuration, wires the part, runs until SIGTERM.
#include "cmd/host.h"
#include "cmd/sole_command.h"
#include "cmd/upload_config.h"
#include "crypto/encoding.h"
#include "crypto/random.h"
#include "upload/upload.h"

#include <utility>

namespace nb::cmd {
namespace {

constexpr std::size_t kSigningKeyBytes = 32;

class UploadPart final : public Part {
 public:
  static Result<std::unique_ptr<UploadPart>> make(const UploadServerConfig& config, Host& host) {
    auto store = upload::BundleStore::open(config.directory, config.store_bytes_max, host.log);
    if (!store) return fail(store.error().code, "cannot store bundles: {}", store.error().text);
    return std::unique_ptr<UploadPart>(new UploadPart(config, host, *std::move(store)));
  }
  Result<> add_to(Routes& routes) override {
    service_.add_to(*routes.http);
    return {};
  }
  void loops_started() override {}

 private:
  UploadPart(const UploadServerConfig& config, Host& host,
             std::unique_ptr<upload::BundleStore> store)
      : store_(std::move(store)),
        metrics_(*host.metrics),
        service_(options(config), *store_, metrics_, random_, host.clock, host.log),
        running_(
            host.metrics->watch_gauge("nb_upload_running", "uploads at this moment",
                                      [this] { return static_cast<double>(service_.running()); })),
        bytes_(host.metrics->watch_gauge("nb_upload_store_bytes", "bytes of all bundles",
                                         [this] { return static_cast<double>(store_->bytes()); })) {
  }
  upload::Options options(const UploadServerConfig& config) {
    upload::Options out;
    out.public_url = config.public_url;
    out.signing_key = config.signing_key;
    if (out.signing_key.empty())
      out.signing_key = Secret(crypto::to_hex(random_.bytes<kSigningKeyBytes>()));
    out.bundle_bytes_max = config.bundle_bytes_max;
    out.uploads_max = config.uploads_max;
    out.urls_per_address = {.per_second = config.urls_per_minute / 60.0,
                            .burst = static_cast<double>(config.urls_per_minute)};
    return out;
  }

  crypto::SystemRandom random_;
  const std::unique_ptr<upload::BundleStore> store_;
  upload::Metrics metrics_;
  upload::Service service_;
  const MetricRegistry::Watch running_;
  const MetricRegistry::Watch bytes_;
};

net::ServerConfig main_server(const UploadServerConfig& config) {
  net::ServerConfig server;
  server.listeners = {config.listener};
  server.tls_files = {config.cert_file, config.key_file};
  server.limits = config.limits;
  server.trusted_proxies = config.trusted_proxies;
  return server;
}

Result<std::unique_ptr<Assembly>> assemble(const UploadServerConfig& config, Host& host) {
  auto out = std::make_unique<Assembly>(host, config.loops);
  NB_LET(auto part, UploadPart::make(config, host));
  out->add(std::move(part));
  NB_TRY(out->listen(
      {.main = main_server(config),
       .ops = ops_server({.address = config.listener.address, .port = config.metrics_port}, {}),
       .sentence = "upload server listens",
       .about = log::f("url", config.public_url)}));
  return out;
}

HostOptions host_options(const UploadServerConfig& config) {
  return {.program = "netbird-upload",
          .component = "upload",
          .log = config.log,
          .limits = config.program};
}

}  // namespace
}  // namespace nb::cmd

int main(int argc, char** argv) {
  using namespace nb::cmd;
  return run_sole_command<UploadServerConfig>(argc, argv,
                                              {.purpose = "keeps debug bundles of NetBird agents",
                                               .add_rows = add_upload_rows,
                                               .command = upload_command,
                                               .options = host_options,
                                               .assemble = assemble});
}
