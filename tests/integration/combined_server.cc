#include "integration/combined_server.h"

#include "support/certificate.h"
#include "support/netbird.h"
#include "support/paths.h"

#include <fstream>
#include <stdexcept>
#include <utility>

namespace nb::test {

using namespace std::chrono_literals;

CombinedServer::CombinedServer(CombinedOptions options)
    : options_(std::move(options)),
      port_(free_port()),
      metrics_port_(free_port()),
      health_port_(free_port()),
      stun_port_(free_port()) {
  if (options_.tls) make_certificate(cert_file(), key_file());
  configure(options_.yaml);
}

void CombinedServer::configure(const std::string& yaml) const {
  const auto text = [](std::uint16_t port) { return std::to_string(port); };
  std::ofstream(config()) << "server:\n"
                          << "  listenAddress: \"" << target() << "\"\n"
                          << "  exposedAddress: \"" << url() << "\"\n"
                          << "  metricsPort: " << text(metrics_port_) << "\n"
                          << "  healthcheckAddress: \"" << options_.listen << ":"
                          << text(health_port_) << "\"\n"
                          << "  stunPorts: [" << text(stun_port_) << "]\n"
                          << "  authSecret: \"combined-secret\"\n"
                          << "  logLevel: debug\n"
                          << "  dataDir: \"" << dir_.path().string() << "\"\n"
                          << (options_.tls ? "  tls:\n    certFile: \"" + cert_file() +
                                                 "\"\n    keyFile: \"" + key_file() + "\"\n"
                                           : "")
                          << yaml;
}

std::map<std::string, std::string> CombinedServer::environment() const {
  std::map<std::string, std::string> env = options_.env;
  env.emplace("NB_DRAIN_DELAY", "0s");
  if (!options_.legacy_port) env.emplace("NB_DISABLE_LEGACY_PORT", "true");
  return env;
}

void CombinedServer::start() {
  if (process_)
    process_->start();
  else
    process_ = std::make_unique<Process>(Command{
        .argv = {program_dir() + "/netbird-server", "--config", config()}, .env = environment()});
  if (!eventually([this] { return ready() || !process_->running(); }, 60s) || !ready())
    throw std::runtime_error("netbird-server is not ready:\n" + process_->output());
}

Finished CombinedServer::verb(std::vector<std::string> words,
                              std::map<std::string, std::string> more_env) const {
  std::vector<std::string> argv = {program_dir() + "/netbird-server", "--config", config()};
  argv.insert(argv.end(), words.begin(), words.end());
  more_env.merge(environment());
  return run({.argv = std::move(argv), .env = std::move(more_env)}, 180s);
}

std::string CombinedServer::setup_key() const {
  return printed_setup_key(verb({"setup-key", "create"}));
}

}  // namespace nb::test
