// netbird-conformance: the transport with the interop TestService, for h2spec and interop clients.
// usage: netbird-conformance [port [tls-cert tls-key [tls-port]]]; prints the bound ports, one a
// line.
#include "net/health.h"
#include "net/server.h"
#include "tests/conformance/interop_service.h"

#include <prometheus/registry.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

int main(int argc, char** argv) {
  using namespace nb;
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGINT);
  sigaddset(&end, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &end, nullptr);

  auto grpc = std::make_shared<net::GrpcRouter>();
  auto http = std::make_shared<net::HttpRouter>();
  conformance::add_test_service(*grpc);
  conformance::add_echo_routes(*http);
  net::Health::make({"grpc.testing.TestService"})->add_routes(*grpc);

  net::ServerConfig config;
  config.grpc_tunnel_paths = {"/ws-proxy/test"};
  const auto port_at = [&](int index) {
    return static_cast<std::uint16_t>(argc > index ? std::strtoul(argv[index], nullptr, 10) : 0);
  };
  config.listeners.push_back({.address = "127.0.0.1", .port = port_at(1)});
  if (argc > 3) {
    config.tls_files = {argv[2], argv[3]};
    config.listeners.push_back({.address = "127.0.0.1", .port = port_at(4), .tls = true});
  }

  net::LoopPool loops(2);
  loops.start();
  prometheus::Registry registry;
  net::Server server(loops, grpc, http, config, registry, Logger());
  if (const auto started = server.start(); !started) {
    std::fprintf(stderr, "%s\n", started.error().text.c_str());
    return 1;
  }
  for (const auto port : server.ports()) std::printf("%u\n", unsigned{port});
  std::fflush(stdout);
  int signal = 0;
  sigwait(&end, &signal);
  server.drain(std::chrono::seconds(2));
  loops.stop();
  return 0;
}
