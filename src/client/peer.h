// A peer without a tunnel device: joins a network and exchanges packets with its other peers
// through relays, as an official agent does with NB_FORCE_RELAY. What a packet holds is its user's
// business. Source   contract/client-agent.md §1.7, §1.9, §1.10
#pragma once

#include "base/backoff.h"
#include "base/log.h"
#include "base/task_group.h"
#include "client/management_client.h"
#include "client/relay_client.h"
#include "client/signal_client.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::client {

struct PeerOptions {
  GrpcTarget management{};
  Host host{};
  std::string signal_address{};  // instead of what management says, for tests
  RelayOptions relay{};
  SignalTimes signal{};
  BackoffLimits sync_retry{.first = std::chrono::milliseconds(800),
                           .most = std::chrono::seconds(30)};
  BackoffLimits offer_retry{.first = std::chrono::milliseconds(800),
                            .most = std::chrono::seconds(30)};
};

class Peer {
 public:
  using Receiver = std::function<void(const std::string& from, std::string_view packet)>;

  Peer(const boost::asio::any_io_executor& home, const crypto::PrivateKey& key, PeerOptions options,
       Logger log);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  [[nodiscard]] const std::string& key() const { return identity_.key; }
  void on_packet(Receiver receiver) { receiver_ = std::move(receiver); }
  /// Logs in, and from then on stays in the network until stop().
  /// Errors   those of ManagementClient::login(); kInvalidArgument: certificate files.
  boost::asio::awaitable<Result<>> join(std::string setup_key);
  boost::asio::awaitable<void> stop();

  /// False: there is no tunnel to this peer now, or it is full.
  bool send(const std::string& peer, std::string_view packet);
  [[nodiscard]] bool connected(const std::string& peer) const;
  /// Instance URL of the relay a connected peer is reached through; empty: none.
  [[nodiscard]] std::string relay_of(const std::string& peer) const;
  [[nodiscard]] std::string home_relay() const { return relay_.instance_url(); }
  [[nodiscard]] const std::string& address() const { return address_; }
  /// Keys that the newest map allows.
  [[nodiscard]] std::vector<std::string> peers() const;
  [[nodiscard]] std::uint64_t serial() const { return serial_; }

 private:
  struct Link;

  boost::asio::awaitable<void> follow();
  boost::asio::awaitable<void> offer_loop(std::shared_ptr<Link> link);
  boost::asio::awaitable<void> tell(std::string peer, SignalKind kind);
  boost::asio::awaitable<void> open(std::shared_ptr<Link> link, std::string url, std::string ip);
  void take_update(const NetworkUpdate& update);
  void take_servers(const ServerConfig& servers);
  void take_peers(const std::vector<std::string>& peers);
  void take_message(const SignalMessage& message);
  void wake_links();
  void remove(const std::shared_ptr<Link>& link);
  [[nodiscard]] bool controls(const std::string& peer) const { return identity_.key > peer; }

  const Identity identity_;
  const PeerOptions options_;
  const Logger log_;
  crypto::SystemRandom random_;
  TaskGroup tasks_;
  RelayClient relay_;
  std::shared_ptr<GrpcChannel> management_channel_;
  std::unique_ptr<ManagementClient> management_;
  std::shared_ptr<GrpcChannel> signal_channel_;
  std::unique_ptr<SignalClient> signal_;
  std::map<std::string, std::shared_ptr<Link>> links_;  // by key
  std::string address_;
  std::uint64_t serial_ = 0;
  Receiver receiver_;
};

}  // namespace nb::client
