// One WebSocket after its handshake: frames on the outside, a WebSocketEndpoint inside.
#pragma once

#include "net/context.h"
#include "net/session.h"
#include "net/websocket_endpoint.h"
#include "net/websocket_messages.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace nb::net {

class WebSocketSession final : public Session,
                               private WebSocketChannel,
                               private websocket::MessageSink {
 public:
  /// `client` is who the handshake came from, behind trusted proxies. `routes` owns `route`.
  WebSocketSession(Carrier& carrier, ServerContext& context, const WebSocketRoute& route,
                   ClientAddress client);
  ~WebSocketSession() override;
  WebSocketSession(const WebSocketSession&) = delete;
  WebSocketSession& operator=(const WebSocketSession&) = delete;

  void prefetch() const override;
  void receive(std::span<const std::uint8_t> bytes) override;
  void produce(OutputBuffer& out) override;
  [[nodiscard]] bool finished() const override { return closed_; }
  [[nodiscard]] bool abandoned() const override { return abandoned_; }
  [[nodiscard]] bool has_more() const override { return !closed_ && endpoint_->has_more(); }
  void on_end_of_input() override;
  Instant on_timer(Instant now) override;
  void drain() override { endpoint_->drain(); }
  void shut() override;

 private:
  // WebSocketChannel
  [[nodiscard]] EventLoop& loop() const override { return context_.loop; }
  [[nodiscard]] const ClientAddress& client() const override { return client_; }
  void want_flush() override { carrier_.want_flush(); }
  [[nodiscard]] bool blocked() const override { return carrier_.blocked(); }
  void wake_at(Instant at) override { carrier_.wake_at(at); }
  void close(websocket::CloseCode code) override;
  void abort() override;

  // websocket::MessageSink
  bool on_message(const WebSocketMessage& message) override;
  bool on_control(websocket::Opcode type, std::string_view payload) override;

  Carrier& carrier_;
  ServerContext& context_;
  const ClientAddress client_;
  websocket::MessageReader reader_;
  std::string pong_;  // payload owed
  Instant close_by_ = Instant::max();
  websocket::CloseCode close_ = websocket::CloseCode::kNone;
  bool pong_due_ = false;
  bool closed_ = false;  // our close frame is written, or cannot be
  bool abandoned_ = false;
  std::unique_ptr<WebSocketEndpoint> endpoint_;  // last: it may still use the channel
};

}  // namespace nb::net
