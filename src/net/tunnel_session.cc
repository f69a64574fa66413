#include "net/tunnel_session.h"

#include "base/assert.h"

#include <algorithm>

namespace nb::net {

namespace {
constexpr std::size_t kInboundMax = 1024 * 1024;
constexpr std::size_t kOutboundMax = 32 * 1024;
}  // namespace

TunnelSession::TunnelSession(Carrier& carrier, ServerContext& context, PeerAddress client)
    : carrier_(carrier), context_(context), client_(client), reader_(kInboundMax) {
  inner_ = std::make_unique<Http2Session>(static_cast<Carrier&>(*this), context);
  context_.metrics.ws_active.Increment();
}

TunnelSession::~TunnelSession() {
  inner_.reset();
  context_.metrics.ws_active.Decrement();
}

void TunnelSession::receive(std::span<const std::uint8_t> bytes) {
  if (closed_ || close_ != websocket::CloseCode::kNone) return;
  const auto bad = reader_.feed(bytes, *this);
  if (bad == websocket::CloseCode::kNone) return;
  context_.metrics.ws_read_error.Increment();
  close_ = bad;
  carrier_.want_flush();
}

void TunnelSession::on_payload(websocket::Opcode type, std::span<const std::uint8_t> bytes) {
  if (type != websocket::Opcode::kBinary) return;  // text is ignored, as upstream does
  context_.metrics.ws_to_grpc_bytes.Increment(static_cast<double>(bytes.size()));
  if (inner_->finished()) {
    context_.metrics.ws_pipe_error.Increment();
    return;
  }
  inner_->receive(bytes);
}

void TunnelSession::on_control(websocket::Opcode type, std::string_view payload) {
  if (type == websocket::Opcode::kPing) {
    pong_ = payload;  // RFC 6455 §5.5.3: the newest ping's answer is enough
    pong_due_ = true;
  } else if (type == websocket::Opcode::kClose) {
    close_ = websocket::CloseCode::kNormal;
  }
  carrier_.want_flush();
}

void TunnelSession::produce(OutputBuffer& out) {
  thread_local OutputBuffer inner_out;
  if (closed_) return;
  if (pong_due_) {
    websocket::put_frame(out, websocket::Opcode::kPong, pong_);
    std::string().swap(pong_);
    pong_due_ = false;
  }
  inner_out.clear();
  inner_->produce(inner_out);
  auto bytes = inner_out.view();
  if (!bytes.empty()) {
    context_.metrics.grpc_to_ws_bytes.Increment(static_cast<double>(bytes.size()));
  }
  while (!bytes.empty()) {
    const std::size_t part = std::min(bytes.size(), kOutboundMax);
    websocket::put_frame(out, websocket::Opcode::kBinary,
                         {reinterpret_cast<const char*>(bytes.data()), part});
    bytes = bytes.subspan(part);
  }
  if (inner_->finished() && close_ == websocket::CloseCode::kNone) {
    close_ = websocket::CloseCode::kNormal;
  }
  if (shut_ && close_ == websocket::CloseCode::kNone) close_ = websocket::CloseCode::kGoingAway;
  if (close_ != websocket::CloseCode::kNone) {
    websocket::put_close(out, close_);
    closed_ = true;
  }
}

void TunnelSession::on_end_of_input() {
  context_.metrics.ws_read_error.Increment();
  input_ended_ = true;
  closed_ = true;
}

void TunnelSession::shut() {
  shut_ = true;
  inner_->shut();
  carrier_.want_flush();
}

void TunnelSession::replace_session(std::unique_ptr<Session>, std::string_view,
                                    std::span<const std::uint8_t>) {
  NB_BUG("an HTTP/2 session is not replaced");
}

}  // namespace nb::net
