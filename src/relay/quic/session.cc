#include "relay/quic/session.h"

#include "base/assert.h"
#include "net/address.h"

#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

namespace nb::relay::quic {

namespace {

constexpr std::size_t kPacketMax = 1'452;  // Ethernet less IPv6 and UDP; found by probing
/// Of a short header, its packet number, the tag, and a DATAGRAM frame with its length.
constexpr std::size_t kPacketHead = 1 + NGTCP2_MAX_CIDLEN + 4 + 16 + 3;
/// Packets in one turn, so that a fast peer leaves the loop's other work its share.
constexpr int kPacketsPerTurn = 128;
constexpr std::string_view kGoodbye = "normal closure";

Session& self(void* user) {
  return *static_cast<Session*>(user);
}

/// The next frame of an endpoint: net::websocket::put_frame() made it.
struct Frame {
  std::span<const std::uint8_t> payload;
  std::size_t size = 0;
};
std::optional<Frame> next_frame(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < 2) return std::nullopt;
  std::size_t head = 2;
  std::size_t size = bytes[1];
  NB_ASSERT(size < 127);  // messages are below 64 KiB
  if (size == 126) {
    NB_ASSERT(bytes.size() >= 4);
    head = 4;
    size = static_cast<std::size_t>(bytes[2]) << 8U | bytes[3];
  }
  NB_ASSERT(bytes.size() >= head + size);
  return Frame{bytes.subspan(head, size), head + size};
}

}  // namespace

std::uint64_t timestamp() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

/// What ngtcp2 asks of us. Nothing here may end the session: it is in the middle of its work.
struct SessionCallbacks {
  static int new_id(ngtcp2_conn*, ngtcp2_cid* id, std::uint8_t* token, std::size_t size,
                    void* user) {
    Session& session = self(user);
    id->datalen = size;
    session.host_.random({id->data, size});
    session.host_.random({token, NGTCP2_STATELESS_RESET_TOKENLEN});
    session.host_.add_id(*id, session);
    return 0;
  }
  static int old_id(ngtcp2_conn*, const ngtcp2_cid* id, void* user) {
    self(user).host_.remove_id(*id);
    return 0;
  }
  static int done(ngtcp2_conn*, void* user) {
    Session& session = self(user);
    session.handshaking_ = false;
    session.host_.proven();
    session.endpoint_ = session.host_.serve(session);
    return 0;
  }
  static int message(ngtcp2_conn*, std::uint32_t, const std::uint8_t* bytes, std::size_t size,
                     void* user) {
    Session& session = self(user);
    if (session.endpoint_ && session.end_ == Session::End::kNo)
      session.endpoint_->on_message(net::WebSocketMessage(false, {bytes, size}, 0));
    return 0;
  }
  static void random(std::uint8_t* out, std::size_t size, const ngtcp2_rand_ctx*) {
    gnutls_rnd(GNUTLS_RND_NONCE, out, size);
  }
  static ngtcp2_conn* connection(ngtcp2_crypto_conn_ref* ref) { return self(ref->user_data).conn_; }
};

Session::Session(SessionHost& host, const Remote& remote) : host_(host), remote_(remote) {
  const auto address = net::PeerAddress::from(remote.storage);
  client_ = {address.text(), address.port};
  ngtcp2_connection_close_error_default(&reason_);
}

Session::~Session() {
  NB_ASSERT(ended_ || conn_ == nullptr);
}

ngtcp2_callbacks Session::callbacks() {
  ngtcp2_callbacks out{};
  out.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
  out.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
  out.encrypt = ngtcp2_crypto_encrypt_cb;
  out.decrypt = ngtcp2_crypto_decrypt_cb;
  out.hp_mask = ngtcp2_crypto_hp_mask_cb;
  out.update_key = ngtcp2_crypto_update_key_cb;
  out.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
  out.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
  out.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
  out.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
  out.rand = SessionCallbacks::random;
  out.get_new_connection_id = SessionCallbacks::new_id;
  out.remove_connection_id = SessionCallbacks::old_id;
  out.handshake_completed = SessionCallbacks::done;
  out.recv_datagram = SessionCallbacks::message;
  return out;
}

Result<> Session::begin(const Accepted& accepted, Tls::Made tls) {
  credentials_ = std::move(tls.credentials);
  tls_ = std::move(tls.session);
  ngtcp2_settings settings;
  ngtcp2_settings_default(&settings);
  settings.initial_ts = timestamp();
  settings.max_tx_udp_payload_size = kPacketMax;
  settings.token = accepted.head.token;
  ngtcp2_transport_params params;
  ngtcp2_transport_params_default(&params);
  params.max_idle_timeout = static_cast<ngtcp2_duration>(accepted.idle.count()) * NGTCP2_SECONDS;
  params.max_datagram_frame_size = 65'535;
  params.active_connection_id_limit = 4;
  params.original_dcid = accepted.original;
  if (accepted.retried) {
    params.retry_scid = accepted.head.dcid;
    params.retry_scid_present = 1;
  }
  ngtcp2_cid own{};
  own.datalen = kCidBytes;
  host_.random({own.data, own.datalen});
  sockaddr_storage local = host_.local();
  const ngtcp2_path path{.local = {reinterpret_cast<sockaddr*>(&local), remote_.size},
                         .remote = {reinterpret_cast<sockaddr*>(&remote_.storage), remote_.size},
                         .user_data = nullptr};
  const ngtcp2_callbacks calls = callbacks();
  const int code =
      ngtcp2_conn_server_new(&conn_, &accepted.head.scid, &own, &path, accepted.head.version,
                             &calls, &settings, &params, nullptr, this);
  if (code != 0) return fail(Code::kInternal, "QUIC connection: {}", ngtcp2_strerror(code));
  ref_ = {.get_conn = SessionCallbacks::connection, .user_data = this};
  gnutls_session_set_ptr(tls_.get(), &ref_);
  ngtcp2_conn_set_tls_native_handle(conn_, tls_.get());
  host_.add_id(own, *this);
  // Until it has heard from us the client goes on writing to the id that it chose.
  host_.add_id(accepted.head.dcid, *this);
  return {};
}

void Session::receive(const Remote& from, std::span<const std::uint8_t> datagram) {
  if (ended_) return;
  sockaddr_storage local = host_.local();
  Remote sender = from;
  const ngtcp2_path path{.local = {reinterpret_cast<sockaddr*>(&local), sender.size},
                         .remote = {reinterpret_cast<sockaddr*>(&sender.storage), sender.size},
                         .user_data = nullptr};
  const ngtcp2_pkt_info info{};
  const int code =
      ngtcp2_conn_read_pkt(conn_, &path, &info, datagram.data(), datagram.size(), timestamp());
  if (code != 0) fail_with(code);
  want_flush();
}

void Session::fail_with(int code) {
  // The peer closed, or there is nobody to tell.
  if (code == NGTCP2_ERR_DRAINING || code == NGTCP2_ERR_CLOSING || code == NGTCP2_ERR_DROP_CONN ||
      code == NGTCP2_ERR_RETRY || code == NGTCP2_ERR_IDLE_CLOSE ||
      code == NGTCP2_ERR_HANDSHAKE_TIMEOUT) {
    end_ = End::kSilently;
    return;
  }
  if (code == NGTCP2_ERR_CRYPTO)
    ngtcp2_connection_close_error_set_transport_error_tls_alert(
        &reason_, ngtcp2_conn_get_tls_alert(conn_), nullptr, 0);
  else
    ngtcp2_connection_close_error_set_transport_error_liberr(&reason_, code, nullptr, 0);
  if (end_ != End::kSilently) end_ = End::kNow;
}

void Session::close(net::websocket::CloseCode /*code*/) {
  if (end_ != End::kNo) return;
  ngtcp2_connection_close_error_set_application_error(
      &reason_, 0, reinterpret_cast<const std::uint8_t*>(kGoodbye.data()), kGoodbye.size());
  end_ = End::kWhenSent;
  want_flush();
}

void Session::abort() {
  if (end_ == End::kNo || end_ == End::kWhenSent) {
    ngtcp2_connection_close_error_set_application_error(&reason_, 0, nullptr, 0);
    end_ = End::kNow;
  }
  want_flush();
}

void Session::drain() {
  if (ended_) return;
  if (endpoint_) return endpoint_->drain();
  close(net::websocket::CloseCode::kGoingAway);
}

void Session::shut() {
  if (ended_) return;
  if (endpoint_ && end_ == End::kNo) endpoint_->shut();
  flush();
  if (ended_) return;
  say_goodbye();
  end();
}

void Session::wake_at(Instant at) {
  endpoint_at_ = std::min(endpoint_at_, at);
  rearm();
}

void Session::rearm() {
  if (ended_ || conn_ == nullptr) return;
  Instant at = endpoint_at_;
  const ngtcp2_tstamp expiry = ngtcp2_conn_get_expiry(conn_);
  if (expiry != UINT64_MAX)
    at = std::min(at, Instant(std::chrono::nanoseconds(static_cast<std::int64_t>(expiry))));
  if (at == Instant::max())
    host_.loop().cancel(*this);
  else
    host_.loop().arm(*this, at);
}

void Session::on_timer(Instant now) {
  if (ended_) return;
  if (endpoint_ && now >= endpoint_at_) {
    endpoint_at_ = Instant::max();
    endpoint_at_ = std::min(endpoint_at_, endpoint_->on_timer(now));
  }
  if (ngtcp2_conn_get_expiry(conn_) <= timestamp()) {
    const int code = ngtcp2_conn_handle_expiry(conn_, timestamp());
    if (code != 0) fail_with(code);
  }
  want_flush();
}

std::size_t Session::message_max() const {
  return ngtcp2_conn_get_path_max_tx_udp_payload_size(conn_) - kPacketHead;
}

void Session::produce() {
  if (!endpoint_ || !endpoint_->has_more()) return;
  net::OutputBuffer& out = host_.loop().output();
  out.clear();
  endpoint_->produce(out);
  const auto frames = out.view();
  pending_.assign(frames.begin(), frames.end());
  sent_ = 0;
  out.clear();
}

bool Session::write_packet() {
  std::array<std::uint8_t, kPacketMax> packet;
  ngtcp2_path_storage path;
  ngtcp2_path_storage_zero(&path);
  ngtcp2_pkt_info info{};
  std::optional<Frame> frame;
  while ((frame = next_frame(std::span(pending_).subspan(sent_)))) {
    if (frame->payload.size() <= message_max()) break;
    host_.oversize();
    sent_ += frame->size;
  }
  ngtcp2_ssize size = 0;
  int taken = 0;
  if (frame) {
    const ngtcp2_vec part{const_cast<std::uint8_t*>(frame->payload.data()), frame->payload.size()};
    size =
        ngtcp2_conn_writev_datagram(conn_, &path.path, &info, packet.data(), packet.size(), &taken,
                                    NGTCP2_WRITE_DATAGRAM_FLAG_NONE, 0, &part, 1, timestamp());
    if (taken != 0) sent_ += frame->size;
    // The peer takes no datagrams, or none of this size: it cannot be served.
    if (size == NGTCP2_ERR_INVALID_STATE || size == NGTCP2_ERR_INVALID_ARGUMENT) {
      host_.oversize();
      sent_ += frame->size;
      return true;
    }
  } else {
    size =
        ngtcp2_conn_write_pkt(conn_, &path.path, &info, packet.data(), packet.size(), timestamp());
  }
  if (sent_ == pending_.size()) {
    pending_.clear();
    sent_ = 0;
  }
  if (size < 0) {
    fail_with(static_cast<int>(size));
    return false;
  }
  if (size == 0) return false;
  Remote to;
  to.size = path.path.remote.addrlen;
  std::memcpy(&to.storage, path.path.remote.addr, to.size);
  host_.send(to, std::span(packet).first(static_cast<std::size_t>(size)));
  return true;
}

void Session::flush() {
  if (ended_) return;
  if (end_ == End::kNo || end_ == End::kWhenSent) {
    if (pending_.empty()) produce();
    int packets = 0;
    while (packets < kPacketsPerTurn && write_packet()) ++packets;
    ngtcp2_conn_update_pkt_tx_time(conn_, timestamp());
    const bool more = endpoint_ && endpoint_->has_more();
    if (packets == kPacketsPerTurn || (pending_.empty() && more)) want_flush();
    if (end_ == End::kWhenSent && pending_.empty() && !more) end_ = End::kNow;
  }
  if (end_ == End::kNow) say_goodbye();
  if (end_ == End::kNow || end_ == End::kSilently) return end();
  rearm();
}

void Session::say_goodbye() {
  std::array<std::uint8_t, kPacketMax> packet;
  ngtcp2_path_storage path;
  ngtcp2_path_storage_zero(&path);
  ngtcp2_pkt_info info{};
  const ngtcp2_ssize size = ngtcp2_conn_write_connection_close(
      conn_, &path.path, &info, packet.data(), packet.size(), &reason_, timestamp());
  if (size > 0) host_.send(remote_, std::span(packet).first(static_cast<std::size_t>(size)));
}

void Session::end() {
  ended_ = true;
  host_.loop().cancel(*this);
  endpoint_.reset();
  if (std::exchange(handshaking_, false)) host_.proven();
  ngtcp2_conn_del(std::exchange(conn_, nullptr));
  host_.ended(*this);
}

}  // namespace nb::relay::quic
