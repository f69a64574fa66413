// One agent's connection to a relay: WebSocket and relay messages on a bare socket.
//
// Like the official client in all that costs the relay: an own mask, one binary message per packet,
// health checks echoed at once. The mask is fixed per peer, so that a packet's frame is made once
// and only its stamp is masked anew: the generator must cost less than what it measures.
// Source   contract/signal-relay-ops.md §3.1–3.4; RFC 6455
#pragma once

#include "load/socket_client.h"
#include "relay/messages.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace nb::bench {

/// Stands at the beginning of each packet's payload.
struct PacketStamp {
  std::uint32_t run = 0;   // of the generator: packets of another one are not ours
  std::uint32_t flow = 0;  // number of the sender
  std::uint64_t number = 0;
  std::uint64_t time_ns = 0;
};
inline constexpr std::size_t kStampBytes = sizeof(PacketStamp);
static_assert(kStampBytes == 24);

class RelayPeer final : public SocketClient {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    /// Authenticated.
    virtual void on_open(RelayPeer& peer) = 0;
    /// `whole`: sender and payload are as the sender of that flow made them.
    virtual void on_packet(RelayPeer& peer, const PacketStamp& stamp, bool whole) = 0;
    virtual void on_closed(RelayPeer& peer, std::string_view reason) = 0;
  };
  struct Identity {
    std::uint32_t number = 0;
    relay::PeerId id{};
    crypto::RelayToken token{};
  };

  RelayPeer(int fd, std::string_view authority, Identity identity, Owner& owner);

  /// The peer that packets go to and come from; `bytes` of payload each.
  void pair_with(const relay::PeerId& other, std::size_t bytes);
  /// Queues one packet.
  void send_packet(const PacketStamp& stamp);

  [[nodiscard]] std::uint32_t number() const { return number_; }

 private:
  enum class State : std::uint8_t { kUpgrade, kAuthenticate, kOpen };

  bool parse(std::string_view data) override;
  /// Answer to the upgrade; false: closed.
  bool on_upgrade(std::string_view& data);
  bool on_frame(unsigned opcode, std::string_view payload);
  bool on_message(std::string_view message);
  bool on_transport(std::string_view message);
  void put_frame(unsigned opcode, std::string_view payload);
  void on_broken(std::string_view reason) override;

  Owner& owner_;
  const std::uint32_t number_;
  State state_ = State::kUpgrade;
  const std::array<std::uint8_t, 4> mask_;
  std::string auth_;      // message; empty once sent
  std::string packet_;    // frame of a packet with an empty stamp, masked
  std::string expected_;  // message of a packet of the other peer, less the stamp
};

}  // namespace nb::bench
