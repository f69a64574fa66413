// One QUIC connection, seen by the relay as a WebSocket. Private to relay/quic.
#pragma once

#include "net/event_loop.h"
#include "net/socket_address.h"
#include "net/websocket_endpoint.h"
#include "relay/quic/tls.h"

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace nb::relay::quic {

inline constexpr std::size_t kCidBytes = 16;  // of ours

/// Now, in ngtcp2's terms: nanoseconds of the steady clock. Not the turn's time, which may be older
/// than what ngtcp2 was told last.
[[nodiscard]] std::uint64_t timestamp();

/// A UDP peer.
using Remote = net::SocketAddress;

class Session;

/// What sessions need of their listener.
class SessionHost {
 public:
  [[nodiscard]] virtual net::EventLoop& loop() const = 0;
  [[nodiscard]] virtual const sockaddr_storage& local() const = 0;
  virtual void send(const Remote& to, std::span<const std::uint8_t> packet) = 0;
  virtual void random(std::span<std::uint8_t> out) = 0;
  virtual void add_id(const ngtcp2_cid& id, Session& session) = 0;
  virtual void remove_id(const ngtcp2_cid& id) = 0;
  /// Its handshake is over, well or not.
  virtual void proven() = 0;
  /// Its peer is to be served now.
  virtual std::unique_ptr<net::WebSocketEndpoint> serve(Session& session) = 0;
  virtual void oversize() = 0;
  /// Nothing of it is left but the object, which the host buries.
  virtual void ended(Session& session) = 0;

 protected:
  ~SessionHost() = default;
};

struct Accepted {
  ngtcp2_pkt_hd head{};
  ngtcp2_cid original{};  // the destination the client first chose
  bool retried = false;   // head.dcid is that of our Retry
  std::chrono::seconds idle{};
};

/// Lives on its host's loop.
class Session final : public net::Mortal,
                      public net::Timer,
                      public net::Flushable,
                      public net::WebSocketChannel {
 public:
  Session(SessionHost& host, const Remote& remote);
  ~Session() override;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Result<> begin(const Accepted& accepted, Tls::Made tls);
  void receive(const Remote& from, std::span<const std::uint8_t> datagram);
  void drain();
  /// Ends it with this turn; says so to the peer.
  void shut();

  // WebSocketChannel
  [[nodiscard]] net::EventLoop& loop() const override { return host_.loop(); }
  [[nodiscard]] const net::ClientAddress& client() const override { return client_; }
  void want_flush() override { host_.loop().touch(*this); }
  void wake_at(Instant at) override;
  [[nodiscard]] bool blocked() const override { return !pending_.empty(); }
  void close(net::websocket::CloseCode code) override;
  void abort() override;

  // Timer, Flushable
  void on_timer(Instant now) override;
  void flush() override;

 private:
  friend struct SessionCallbacks;
  enum class End : std::uint8_t { kNo, kWhenSent, kNow, kSilently };

  static ngtcp2_callbacks callbacks();
  [[nodiscard]] std::size_t message_max() const;
  void rearm();
  void produce();
  /// One packet; false: nothing can be sent now.
  bool write_packet();
  void fail_with(int code);
  void say_goodbye();
  void end();

  SessionHost& host_;
  Remote remote_;
  net::ClientAddress client_;
  Credentials credentials_;
  TlsSession tls_;
  ngtcp2_conn* conn_ = nullptr;
  ngtcp2_crypto_conn_ref ref_{};
  ngtcp2_connection_close_error reason_{};
  std::unique_ptr<net::WebSocketEndpoint> endpoint_;  // once the handshake is done
  std::vector<std::uint8_t> pending_;                 // frames of the endpoint, not sent yet
  std::size_t sent_ = 0;                              // of pending_
  Instant endpoint_at_ = Instant::max();
  End end_ = End::kNo;
  bool handshaking_ = true;
  bool ended_ = false;
};

}  // namespace nb::relay::quic
