// net: gRPC, HTTP/1.1, HTTP/2 and WebSocket tunnels on one listening port.
//
// Purpose      the servers' only transport; see design.md §3 and contract/management-grpc.md §1.
// Not here     what the services do; authentication; REST routing inside /api (management/rest).
// Start with   Server below, GrpcRouter in grpc.h, HttpRouter in http.h, then connection.h.
// Threads      one Loop per thread; a connection and all its calls stay on the loop that accepted
// it. Limits       ServerLimits; every one has a counter in NetMetrics. Failure      a bad peer
// loses its own connection or stream, with the status of its RFC.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "net/grpc.h"
#include "net/http.h"
#include "net/loop.h"

#include <boost/asio/awaitable.hpp>
#include <prometheus/registry.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace nb::net {

struct ServerLimits {
  std::size_t connections_max = 65'536;
  std::size_t connections_per_address_max = 0;  // 0: no limit (agents sit behind shared NAT)
  std::uint32_t streams_per_connection_max = 256;
  std::size_t header_bytes_max = 16 * 1024;
  /// Table of header compression that an HTTP/2 peer is asked to keep to, at most the default of
  /// RFC 9113 §6.5.2; see docs/decisions/0121-header-tables.md.
  std::uint32_t peer_table_bytes = 4'096;
  std::size_t message_bytes_max = 4 * 1024 * 1024;       // one gRPC message, after decompression
  std::size_t body_bytes_max = 4 * 1024 * 1024;          // one HTTP request body
  std::size_t write_buffer_bytes_max = 8 * 1024 * 1024;  // per connection, then streams wait
  std::chrono::milliseconds header_timeout{10'000};  // first byte to end of headers, TLS included
  std::chrono::milliseconds idle_timeout{std::chrono::minutes(5)};  // no stream and no ping
  std::chrono::milliseconds keepalive_time{30'000};  // our PING after silence; 0: never
  std::chrono::milliseconds keepalive_timeout{10'000};
  std::chrono::milliseconds age_max{0};  // 0: unlimited; ±10 % jitter, GOAWAY
  std::chrono::milliseconds age_grace{30'000};
  // Defence: resets, pings, settings and empty frames a peer may send per 10 s before GOAWAY.
  std::uint32_t resets_max = 1'000;
  std::uint32_t control_frames_max = 20'000;  // Go clients ping after almost every DATA frame
};

/// PEM files; watched, so a renewed pair is used for new connections without a restart.
struct TlsFiles {
  std::string cert_file;
  std::string key_file;
};

struct ListenerConfig {
  std::string address = "0.0.0.0";  // numeric; "::" is dual-stack
  std::uint16_t port = 0;           // 0: any free port, see Server::ports()
  bool tls = false;                 // uses ServerConfig::tls_files
};

struct ServerConfig {
  std::vector<ListenerConfig> listeners;
  TlsFiles tls_files{};
  ServerLimits limits{};
  std::vector<std::string> trusted_proxies{};  // CIDR; whose X-Forwarded-For and X-Real-Ip count
  std::vector<std::string> trusted_http_proxies{};  // CIDR; more to skip in X-Forwarded-For
  unsigned trusted_proxy_count = 0;                 // >0: index from the right instead
  std::vector<std::string>
      grpc_tunnel_paths{};  // WebSocket paths that carry a raw HTTP/2 connection
  /// What a socket may hold that has not left yet (TCP_NOTSENT_LOWAT); 0: the system's limit.
  std::size_t unsent_bytes_max = 0;
  /// What no route takes is a gRPC call made wrongly (505, 405, 415) instead of 404.
  bool unmatched_is_grpc = false;
};

class Server {
 public:
  Server(LoopPool& loops, std::shared_ptr<const GrpcRouter> grpc,
         std::shared_ptr<const HttpRouter> http, ServerConfig config,
         prometheus::Registry& registry, Logger log);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Binds every listener on every loop (SO_REUSEPORT) and begins to accept.
  /// Errors   kUnavailable: address in use; kInvalidArgument: bad address, certificate or CIDR.
  Result<> start();
  /// Bound port of each listener, in order.
  [[nodiscard]] std::vector<std::uint16_t> ports() const;
  /// Stops accepting, sends GOAWAY, lets calls end within `grace`, then closes. Streams are ended
  /// by their services before or during it. Safe to call from any thread; blocks until done.
  void drain(std::chrono::milliseconds grace);
  void stop();
  [[nodiscard]] std::size_t connections() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nb::net
