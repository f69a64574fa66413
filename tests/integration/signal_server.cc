#include "signal_server.h"

#include "support/netbird.h"
#include "support/paths.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace nb::test {
namespace {

SignalServerOptions with(SignalServerOptions options, const std::string& instance,
                         const std::string& redis) {
  options.instance = instance;
  options.redis = redis;
  return options;
}

}  // namespace

SignalServer::SignalServer(SignalServerOptions options)
    : options_(std::move(options)), port_(free_port()), metrics_port_(free_port()) {
  std::vector<std::string> argv = {program(),          "run",
                                   "--port",           std::to_string(port_),
                                   "--metrics-port",   std::to_string(metrics_port_),
                                   "--listen-address", options_.listen,
                                   "--log-file",       "console"};
  if (!options_.legacy_port) argv.push_back("--disable-legacy-port");
  argv.insert(argv.end(), options_.arguments.begin(), options_.arguments.end());
  std::map<std::string, std::string> env = options_.env;
  env.emplace("NB_DRAIN_DELAY", "100ms");
  env.merge(ha_environment(options_.redis, options_.instance));
  process_ = std::make_unique<Process>(Command{.argv = std::move(argv), .env = std::move(env)});
  await_ready();
}

SignalServer::~SignalServer() {
  EXPECT_EQ(process_->sanitizer_report(), "");
  if (!testing::Test::HasFailure()) return;
  std::printf("---- output of %s\n%s\n", options_.instance.c_str(), process_->output().c_str());
  std::istringstream page(http_get(metrics_port_, "/metrics", options_.listen).body);
  for (std::string line; std::getline(page, line);) {
    // What moved, without the histograms.
    if (line.starts_with("#") || line.ends_with(" 0") || line.find("_bucket") != std::string::npos)
      continue;
    std::printf("  %s\n", line.c_str());
  }
}

std::string SignalServer::program() {
  return program_dir() + "/netbird-signal";
}

void SignalServer::start() {
  process_->start();
  await_ready();
}

void SignalServer::await_ready() {
  if (options_.wait && !becomes_ready())
    throw std::runtime_error("netbird-signal did not become ready:\n" + process_->output());
}

bool SignalServer::ready() const {
  return http_get(metrics_port_, "/readyz", options_.listen).status == 200;
}

bool SignalServer::becomes_ready(milliseconds limit) const {
  return eventually([&] { return ready() && accepts(port_, options_.listen); }, limit);
}

double SignalServer::metric(const std::string& line) const {
  return metric_line(metrics_port_, line, options_.listen);
}

SignalPair::SignalPair(SignalServerOptions common)
    : one(with(common, "signal-1", redis.address())),
      two(with(common, "signal-2", redis.address())) {}

std::string SignalPair::owner(const std::string& peer) const {
  return redis.cli({"HGET", "nb:signal:registry", peer});
}

bool SignalPair::owned_by(const std::string& peer, const std::string& instance,
                          milliseconds limit) const {
  return eventually([&] { return owner(peer) == instance; }, limit);
}

}  // namespace nb::test
