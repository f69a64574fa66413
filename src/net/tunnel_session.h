// /ws-proxy/*: a WebSocket whose binary messages carry a whole HTTP/2 connection.
// Source   contract/signal-relay-ops.md §1.5.
#pragma once

#include "net/context.h"
#include "net/http2_session.h"
#include "net/session.h"
#include "net/websocket.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace nb::net {

class TunnelSession final : public Session, private Carrier, private websocket::Sink {
 public:
  /// `client` is who the handshake came from, behind trusted proxies.
  TunnelSession(Carrier& carrier, ServerContext& context, PeerAddress client);
  ~TunnelSession() override;
  TunnelSession(const TunnelSession&) = delete;
  TunnelSession& operator=(const TunnelSession&) = delete;

  void receive(std::span<const std::uint8_t> bytes) override;
  void produce(OutputBuffer& out) override;
  [[nodiscard]] bool finished() const override { return closed_; }
  [[nodiscard]] bool abandoned() const override { return input_ended_ || inner_->abandoned(); }
  [[nodiscard]] bool has_more() const override { return inner_->has_more(); }
  void on_end_of_input() override;
  Instant on_timer(Instant now) override { return inner_->on_timer(now); }
  void drain() override { inner_->drain(); }
  void shut() override;

 private:
  // Carrier of the inner connection
  void want_flush() override { carrier_.want_flush(); }
  void wake_at(Instant at) override { carrier_.wake_at(at); }
  void replace_session(std::unique_ptr<Session>, std::string_view,
                       std::span<const std::uint8_t>) override;
  [[nodiscard]] const PeerAddress& peer() const override { return client_; }
  [[nodiscard]] bool tls() const override { return carrier_.tls(); }
  [[nodiscard]] bool blocked() const override { return carrier_.blocked(); }

  // websocket::Sink
  void on_payload(websocket::Opcode type, std::span<const std::uint8_t> bytes) override;
  void on_control(websocket::Opcode type, std::string_view payload) override;

  Carrier& carrier_;
  ServerContext& context_;
  const PeerAddress client_;
  websocket::Reader reader_;
  std::unique_ptr<Http2Session> inner_;
  std::string pong_;  // payload owed
  bool pong_due_ = false;
  bool input_ended_ = false;
  bool shut_ = false;
  bool closed_ = false;  // our close frame is written
  websocket::CloseCode close_ = websocket::CloseCode::kNone;
};

}  // namespace nb::net
