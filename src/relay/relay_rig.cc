#include "relay/relay_rig.h"

#include <gtest/gtest.h>

namespace nb::relay::testing {

namespace {
Options named(Options options) {
  options.instance_url = kUrl;
  return options;
}
}  // namespace

Rig::Rig(Options options, std::size_t loop_count)
    : loops(loop_count),
      service(loops, named(std::move(options)), crypto::RelayTokens({Secret(std::string(kSecret))}),
              metrics, clock, {}) {
  const auto router = std::make_shared<net::HttpRouter>();
  service.add_to(*router);
  net::ServerConfig config;
  config.listeners = {{.address = "127.0.0.1"}};
  server = std::make_unique<net::Server>(loops, nullptr, router, config, registry, Logger());
  loops.start();
  service.start();
  EXPECT_TRUE(server->start());
  port = server->ports().front();
  url = kUrl;
}

Rig::~Rig() {
  server->stop();
  loops.stop();
}

}  // namespace nb::relay::testing
