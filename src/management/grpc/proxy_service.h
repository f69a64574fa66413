// The ProxyService that reverse proxies call.
//
// Purpose      streams of mappings, reports, logins of visitors; what proxies say and are told.
// Not here     services as administrators see them (rest, store/edits); the sign-in over HTTP
//              (management/auth).
// Start with   ProxyService below; proxy_session.h for the streams; proxy_mapping.h for what goes
//              over them; proxy_calls.cc for the rest.
// Threads      a call lives on the loop of its connection. ProxyService itself is made and
//              destroyed by one thread.
// Limits       ProxyOptions; proxy_requests.cc; visitors' tries: app/visitor_gate.h; message sizes
//              by net/.
// Failure      infrastructure is UNAVAILABLE; a stream outlives a database that is away.
// Decisions    docs/decisions/0116-proxy-seals.md, 0117-proxies-follow-the-database.md,
//              0118, 0123
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "ha/rate_limiter.h"
#include "management/app/geo_database.h"
#include "management/app/hasher.h"
#include "management/app/proxy_seals.h"
#include "management/store/proxy_store.h"
#include "net/grpc.h"
#include "net/loop.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace nb::management::grpc {

struct ProxyOptions {
  std::chrono::milliseconds poll{2'000};  // streams look for changes at least so often
  std::chrono::milliseconds heartbeat{30'000};
  std::chrono::milliseconds whole{60'000};  // and read everything anew, whoever changed it
  std::chrono::milliseconds unary_deadline{8'000};
  std::size_t streams_max = 10'000;  // per instance
};

struct ProxyPorts {
  ProxyStore& store;
  app::ProxySeals& seals;
  app::Hasher& hasher;
  ha::RateLimiter& limiter;
  crypto::RandomSource& random;  // thread-safe
  Clock& clock;
  const app::GeoDatabase* geo = nullptr;
  /// Where a browser goes to sign in and come back to the URL; empty: no identity provider.
  std::function<Task<std::string>(Instant deadline, std::string url)> sign_in_url{};
  /// Told about the ephemeral peers that proxies make.
  std::function<void(const Peer&)> on_idle{};
};

struct ProxyServiceState;

class ProxyService {
 public:
  ProxyService(ProxyPorts ports, net::LoopPool& loops, ProxyOptions options, Logger log);
  ~ProxyService();
  ProxyService(const ProxyService&) = delete;
  ProxyService& operator=(const ProxyService&) = delete;

  void add_to(net::GrpcRouter& router);
  /// Something may have changed: every stream looks. Any thread.
  void news();
  /// Ends every stream with UNAVAILABLE; new ones are refused. Any thread.
  void drain();
  /// Cancels what is left. Blocks; the loops must still run.
  void stop();
  [[nodiscard]] std::size_t streams() const;

 private:
  std::shared_ptr<ProxyServiceState> state_;
};

}  // namespace nb::management::grpc
