// management/grpc: the ManagementService that agents call.
//
// Purpose      all RPCs of contract/management-grpc.md §3.1 on net/: envelope, conversion, streams.
// Not here     rules and storage (app/, store/), HTTP (net/), configuration files (cmd/).
// Start with   Service below; sync_session.h for the stream; envelope.h for the boxes.
// Threads      a call lives on the loop of its connection; maps are made on map threads and come
//              back by post. Service itself is made and destroyed by one thread.
// Limits       ServiceOptions; message sizes by net/, fields of meta by meta.h.
// Failure      statuses of §4; nothing ends with CANCELLED; infrastructure is UNAVAILABLE.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "crypto/random.h"
#include "management/app/exposures.h"
#include "management/app/jobs.h"
#include "management/app/peer_sessions.h"
#include "management/app/stream_admission.h"
#include "management/app/sync_hub.h"
#include "management/grpc/address_limiter.h"
#include "management/grpc/envelope.h"
#include "management/grpc/map_encoder.h"
#include "management/grpc/mgmt_metrics.h"
#include "management/grpc/netbird_config.h"
#include "net/grpc.h"
#include "net/loop.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nb::management::grpc {

/// What the flow RPCs answer; nothing: NOT_FOUND.
struct FlowSettings {
  std::string provider = "HOSTED";  // device flow
  std::string client_id;
  std::string client_secret;
  std::string domain;
  std::string audience;
  std::string device_auth_endpoint;
  std::string token_endpoint;
  std::string authorization_endpoint;
  std::string scope;
  bool use_id_token = false;
  std::vector<std::string> redirect_urls;
  bool disable_prompt_login = false;
  std::uint32_t login_flag = 0;
};

/// What depends on the identity provider.
struct LoginSettings {
  EncoderSettings encoder;
  std::optional<FlowSettings> device_flow;
  std::optional<FlowSettings> pkce_flow;
  /// The provider has not been reached yet: flows are UNAVAILABLE, and maps are made again now and
  /// then, since those that name the provider are not whole.
  bool awaited = false;
};

struct ServiceOptions {
  LoginSettings login;
  MapForms map_forms;
  AddressLimits address_limits;
  app::StreamAdmissionOptions sync_admission;
  std::chrono::milliseconds unary_deadline{8'000};  // where the client set none
  std::chrono::milliseconds drain_spread{2'000};    // streams end spread over this
};

/// Told when a peer's stream opens and ends here (the peer directory); may be empty.
struct PresenceHandlers {
  std::function<void(const std::string& peer_key, std::int64_t epoch)> opened;
  std::function<void(const std::string& peer_key, std::int64_t epoch)> closed;
};

struct ServicePorts {
  app::SyncHub& hub;
  app::PeerSessions& sessions;
  app::Jobs& jobs;
  app::Exposures& exposures;
  ServerKeyRing& keys;
  const NetbirdConfigs& configs;
  crypto::RandomSource& random;  // thread-safe
  Clock& clock;
  MgmtMetrics& metrics;
  PresenceHandlers presence{};
  /// Database reachable and not draining; asked by isHealthy.
  std::function<bool()> healthy{};
};

struct ServiceState;

class Service {
 public:
  Service(ServicePorts ports, net::LoopPool& loops, ServiceOptions options, Logger log);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  void add_to(net::GrpcRouter& router);
  /// The provider has been reached. Any thread.
  void learn(LoginSettings login);
  /// Starts the refresh of credentials; the loops run.
  void start();
  /// Ends every stream with UNAVAILABLE, spread over options.drain_spread, and waits until their
  /// peers are marked disconnected, at most `limit`. From now on Sync is refused. Blocks.
  void drain(std::chrono::milliseconds limit);
  /// Cancels what is left. Blocks; the loops must still run.
  void stop();
  [[nodiscard]] std::size_t streams() const;
  /// Sync calls that wait for their turn.
  [[nodiscard]] std::size_t waiting() const;
  /// The same of Job calls.
  [[nodiscard]] std::size_t jobs_waiting() const;
  /// Of maps that are kept for peers that come back.
  [[nodiscard]] std::size_t recent_map_bytes() const;

 private:
  std::shared_ptr<ServiceState> state_;
};

}  // namespace nb::management::grpc
