// Management as a peer uses it: log in, then follow the network.
// Source   contract/client-agent.md §1.3–1.5; contract/management-grpc.md §2, §3
#pragma once

#include "base/log.h"
#include "client/grpc_channel.h"
#include "client/identity.h"
#include "client/relay_client.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nb::client {

/// A STUN or TURN server; credentials for TURN only.
struct IceServer {
  std::string uri{};
  std::string user{};
  std::string password{};
};

/// What management says of the other servers.
struct ServerConfig {
  GrpcTarget signal{};
  RelayServers relay{};  // empty: relays are off
  std::vector<IceServer> stuns{};
  std::vector<IceServer> turns{};
};

struct NetworkUpdate {
  std::optional<ServerConfig> servers{};  // nothing: as before
  bool has_map = false;                   // what follows counts only with it
  std::uint64_t serial = 0;
  std::string address{};             // our own, with prefix length
  std::vector<std::string> peers{};  // keys of those we may talk to
};

struct Host {
  std::string name = "headless";
  std::string version = "0.70.0";  // of the agent we are taken for
};

class ManagementClient {
 public:
  static constexpr std::chrono::seconds kCallTime{10};

  /// `identity` must outlive it.
  ManagementClient(const boost::asio::any_io_executor& home, std::shared_ptr<GrpcChannel> channel,
                   const Identity& identity, Host host, Logger log);
  ~ManagementClient();

  /// With a setup key the first time, empty later.
  /// Errors   the server's; kDataLoss: its answer cannot be opened.
  boost::asio::awaitable<Result<NetworkUpdate>> login(std::string setup_key);
  /// Follows the network until the stream ends, whose status is returned.
  boost::asio::awaitable<Error> sync(std::function<void(const NetworkUpdate&)> on_update);
  /// Ends sync(), for instance to get fresh credentials with the next one.
  void end_sync();

 private:
  boost::asio::awaitable<Result<crypto::BoxSession>> server_box();

  const boost::asio::any_io_executor home_;
  const std::shared_ptr<GrpcChannel> channel_;
  const Identity& identity_;
  const Host host_;
  const Logger log_;
  crypto::SystemRandom random_;
  std::shared_ptr<GrpcStream> stream_;
};

}  // namespace nb::client
