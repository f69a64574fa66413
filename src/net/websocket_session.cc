#include "net/websocket_session.h"

#include <algorithm>
#include <utility>

namespace nb::net {

namespace {
/// For a peer to take what is owed to it once the end is decided.
constexpr auto kCloseTime = std::chrono::seconds(5);
}  // namespace

WebSocketSession::WebSocketSession(Carrier& carrier, ServerContext& context,
                                   const WebSocketRoute& route, ClientAddress client)
    : carrier_(carrier),
      context_(context),
      client_(std::move(client)),
      reader_(route.message_bytes_max) {
  endpoint_ = route.make(static_cast<WebSocketChannel&>(*this));
  carrier_.wake_at(context_.loop.now());
}

WebSocketSession::~WebSocketSession() = default;

void WebSocketSession::prefetch() const {
  prefetch_bytes(endpoint_.get(), 256);
}

void WebSocketSession::receive(std::span<const std::uint8_t> bytes) {
  if (closed_ || close_ != websocket::CloseCode::kNone) return;
  const auto bad = reader_.feed(bytes, *this);
  if (bad != websocket::CloseCode::kNone) close(bad);
}

bool WebSocketSession::on_message(const WebSocketMessage& message) {
  endpoint_->on_message(message);
  return close_ == websocket::CloseCode::kNone && !closed_;
}

bool WebSocketSession::on_control(websocket::Opcode type, std::string_view payload) {
  if (type == websocket::Opcode::kPing) {
    pong_ = payload;  // RFC 6455 §5.5.3: the newest ping's answer is enough
    pong_due_ = true;
    carrier_.want_flush();
  } else if (type == websocket::Opcode::kClose) {
    close(websocket::CloseCode::kNormal);
    return false;
  }
  return true;
}

void WebSocketSession::close(websocket::CloseCode code) {
  if (close_ != websocket::CloseCode::kNone) return;
  close_ = code;
  close_by_ = context_.loop.now() + kCloseTime;
  carrier_.wake_at(close_by_);
  carrier_.want_flush();
}

void WebSocketSession::abort() {
  abandoned_ = true;
  closed_ = true;
  carrier_.want_flush();
}

void WebSocketSession::produce(OutputBuffer& out) {
  if (closed_) return;
  if (pong_due_) {
    websocket::put_frame(out, websocket::Opcode::kPong, pong_);
    std::string().swap(pong_);
    pong_due_ = false;
  }
  endpoint_->produce(out);
  if (close_ == websocket::CloseCode::kNone || endpoint_->has_more()) return;
  websocket::put_close(out, close_);
  closed_ = true;
}

void WebSocketSession::on_end_of_input() {
  closed_ = true;
}

Instant WebSocketSession::on_timer(Instant now) {
  if (now >= close_by_) {
    abort();
    return now + kCloseTime;
  }
  if (close_ != websocket::CloseCode::kNone) return close_by_;
  return endpoint_->on_timer(now);
}

void WebSocketSession::shut() {
  endpoint_->shut();
  close(websocket::CloseCode::kGoingAway);
}

}  // namespace nb::net
