// One peer's connection, from the handshake to its end.
// Source   contract/signal-relay-ops.md §3.3, §3.4
#pragma once

#include "base/metrics.h"
#include "net/websocket_endpoint.h"
#include "relay/messages.h"
#include "relay/presence_book.h"
#include "relay/registry.h"
#include "relay/relay.h"
#include "relay/send_queue.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace nb::relay {

class Shard;
struct Shared;

/// Lives on its shard's loop.
class PeerConnection final : public net::WebSocketEndpoint {
 public:
  PeerConnection(net::WebSocketChannel& channel, Shard& shard, Transport transport);
  ~PeerConnection() override;
  PeerConnection(const PeerConnection&) = delete;
  PeerConnection& operator=(const PeerConnection&) = delete;

  // WebSocketEndpoint
  void on_message(const net::WebSocketMessage& message) override;
  void produce(net::OutputBuffer& out) override;
  [[nodiscard]] bool has_more() const override;
  Instant on_timer(Instant now) override;
  void drain() override;
  void shut() override;

  // For the shard
  /// Room for a frame of a packet from `sender`; empty: it is dropped and counted.
  std::span<std::uint8_t> room(std::size_t frame_bytes, std::size_t message_bytes,
                               std::size_t sender);
  void on_presence(const PeerId& id, bool online, std::uint64_t order);
  void on_displaced();
  /// Ends a peer that has taken nothing of what waits for it within the write time-out.
  void check_slow(Instant now);
  [[nodiscard]] bool open() const { return state_ == State::kOpen; }
  [[nodiscard]] bool reachable_as(const PeerId& id) const { return open() && id == id_; }
  [[nodiscard]] bool active(Instant now) const;
  [[nodiscard]] std::size_t queued_bytes() const { return queue_.bytes(); }

 private:
  enum class State : std::uint8_t { kHandshake, kOpen, kLeaving };

  void authenticate(const net::WebSocketMessage& message);
  void accept(const AuthRequest& request);
  void refuse(FastCounter& counter, net::websocket::CloseCode code, std::string_view why);
  void end(FastCounter& counter, net::websocket::CloseCode code);
  void say_goodbye();
  void subscribe(const net::WebSocketMessage& message);
  void unsubscribe(const net::WebSocketMessage& message);
  [[nodiscard]] std::optional<std::vector<PeerId>> ids_of(const net::WebSocketMessage& message);
  [[nodiscard]] FastGauge& peers_of_transport() const;
  void leave_handshake();
  void leave_registry();
  void check_health(Instant now);
  void produce_control(net::OutputBuffer& out);

  net::WebSocketChannel& channel_;
  Shard& shard_;
  Shared& shared_;
  const Transport transport_;
  const Route route_;
  const Instant since_;
  PeerId id_{};
  State state_ = State::kHandshake;
  bool owe_response_ = false;
  bool owe_health_ = false;
  bool owe_goodbye_ = false;
  bool health_answered_ = true;  // since the last check
  std::uint32_t health_failures_ = 0;
  Instant health_at_{};
  Instant check_at_{};
  Instant goodbye_at_ = Instant::max();
  Instant active_at_;
  Instant waiting_since_{};  // for the socket to take more
  std::unique_ptr<PresenceBook> presence_;
  SendQueue queue_;
};

}  // namespace nb::relay
