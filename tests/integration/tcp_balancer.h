// A balancer that passes TCP on and names the client in a PROXY header (version 2).
#pragma once

#include <string>

namespace nb::test {

/// For HaProxy: one server, "address:port", whose clients all come from 192.0.2.7.
inline std::string tcp_balancer(const std::string& server) {
  return R"(defaults
  mode tcp
  timeout connect 2s
  timeout client 1m
  timeout server 1m
frontend main
  bind 127.0.0.1:{port}
  tcp-request connection set-src str(192.0.2.7)
  default_backend servers
backend servers
  server only )" +
         server + " send-proxy-v2\n";
}

}  // namespace nb::test
