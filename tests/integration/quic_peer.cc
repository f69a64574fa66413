#include "quic_peer.h"

#include "relay/raw_peer.h"

#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>

namespace nb::test {

using namespace std::chrono_literals;

namespace {

ngtcp2_tstamp stamp() {
  return static_cast<ngtcp2_tstamp>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return out;
}

}  // namespace

struct QuicPeer::Impl {
  Impl(std::uint16_t port, std::string alpn) : remote(loopback(port)), alpn_text(std::move(alpn)) {
    open_socket();
    start_tls();
    start();
    pump([this] { return established || over; }, 10s);
  }
  ~Impl() {
    ngtcp2_conn_del(conn);
    gnutls_deinit(tls);
    gnutls_certificate_free_credentials(credentials);
    ::close(fd);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void open_socket() {
    if (fd >= 0) ::close(fd);
    fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int probe = IP_PMTUDISC_PROBE;
    setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe);
    sockaddr_in any = loopback(0);
    bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof any);
    // Of the first socket: the library does not learn that another one took its place.
    socklen_t size = sizeof local;
    if (local.sin_port == 0) getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size);
  }
  void start_tls() {
    gnutls_init(&tls, GNUTLS_CLIENT);
    gnutls_priority_set_direct(tls, "NORMAL:-VERS-ALL:+VERS-TLS1.3:%DISABLE_TLS13_COMPAT_MODE",
                               nullptr);
    ngtcp2_crypto_gnutls_configure_client_session(tls);
    gnutls_certificate_allocate_credentials(&credentials);
    gnutls_credentials_set(tls, GNUTLS_CRD_CERTIFICATE, credentials);
    const gnutls_datum_t protocol{reinterpret_cast<unsigned char*>(alpn_text.data()),
                                  static_cast<unsigned>(alpn_text.size())};
    gnutls_alpn_set_protocols(tls, &protocol, 1, 0);
    ref = {.get_conn =
               [](ngtcp2_crypto_conn_ref* of) { return static_cast<Impl*>(of->user_data)->conn; },
           .user_data = this};
    gnutls_session_set_ptr(tls, &ref);
  }
  ngtcp2_path path() {
    return {.local = {reinterpret_cast<sockaddr*>(&local), sizeof local},
            .remote = {reinterpret_cast<sockaddr*>(&remote), sizeof remote},
            .user_data = nullptr};
  }
  static ngtcp2_cid new_cid() {
    ngtcp2_cid out{};
    out.datalen = 16;
    gnutls_rnd(GNUTLS_RND_RANDOM, out.data, out.datalen);
    return out;
  }
  void start() {
    ngtcp2_callbacks calls{};
    calls.client_initial = ngtcp2_crypto_client_initial_cb;
    calls.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
    calls.encrypt = ngtcp2_crypto_encrypt_cb;
    calls.decrypt = ngtcp2_crypto_decrypt_cb;
    calls.hp_mask = ngtcp2_crypto_hp_mask_cb;
    calls.recv_retry = ngtcp2_crypto_recv_retry_cb;
    calls.update_key = ngtcp2_crypto_update_key_cb;
    calls.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
    calls.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
    calls.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
    calls.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
    calls.rand = [](std::uint8_t* out, std::size_t size, const ngtcp2_rand_ctx*) {
      gnutls_rnd(GNUTLS_RND_NONCE, out, size);
    };
    calls.get_new_connection_id = [](ngtcp2_conn*, ngtcp2_cid* id, std::uint8_t* token,
                                     std::size_t size, void*) {
      id->datalen = size;
      gnutls_rnd(GNUTLS_RND_RANDOM, id->data, size);
      gnutls_rnd(GNUTLS_RND_RANDOM, token, NGTCP2_STATELESS_RESET_TOKENLEN);
      return 0;
    };
    calls.handshake_completed = [](ngtcp2_conn*, void* user) {
      static_cast<Impl*>(user)->established = true;
      return 0;
    };
    calls.recv_datagram = [](ngtcp2_conn*, std::uint32_t, const std::uint8_t* bytes,
                             std::size_t size, void* user) {
      static_cast<Impl*>(user)->inbox.emplace_back(reinterpret_cast<const char*>(bytes), size);
      return 0;
    };
    ngtcp2_settings settings;
    ngtcp2_settings_default(&settings);
    settings.initial_ts = stamp();
    settings.max_tx_udp_payload_size = 1'452;
    ngtcp2_transport_params params;
    ngtcp2_transport_params_default(&params);
    params.max_idle_timeout = 240 * NGTCP2_SECONDS;
    params.max_datagram_frame_size = 65'535;
    const ngtcp2_cid theirs = new_cid();
    const ngtcp2_cid ours = new_cid();
    const ngtcp2_path way = path();
    ngtcp2_conn_client_new(&conn, &theirs, &ours, &way, NGTCP2_PROTO_VER_V1, &calls, &settings,
                           &params, nullptr, this);
    ngtcp2_conn_set_tls_native_handle(conn, tls);
  }

  void write_all() {
    std::array<std::uint8_t, 1'452> packet;
    while (!over) {
      ngtcp2_path_storage way;
      ngtcp2_path_storage_zero(&way);
      ngtcp2_pkt_info info{};
      ngtcp2_ssize size = 0;
      if (!outbox.empty()) {
        std::string& first = outbox.front();
        const ngtcp2_vec part{reinterpret_cast<std::uint8_t*>(first.data()), first.size()};
        int taken = 0;
        size = ngtcp2_conn_writev_datagram(conn, &way.path, &info, packet.data(), packet.size(),
                                           &taken, 0, 0, &part, 1, stamp());
        if (taken != 0) outbox.pop_front();
      } else {
        size = ngtcp2_conn_write_pkt(conn, &way.path, &info, packet.data(), packet.size(), stamp());
      }
      if (size < 0) over = true;
      if (size <= 0) break;
      ::sendto(fd, packet.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL,
               reinterpret_cast<sockaddr*>(&remote), sizeof remote);
    }
    ngtcp2_conn_update_pkt_tx_time(conn, stamp());
  }
  void read_all() {
    std::array<std::uint8_t, 2'048> datagram;
    for (;;) {
      const ssize_t size = ::recv(fd, datagram.data(), datagram.size(), MSG_DONTWAIT);
      if (size <= 0) return;
      const ngtcp2_path way = path();
      const ngtcp2_pkt_info info{};
      const int code = ngtcp2_conn_read_pkt(conn, &way, &info, datagram.data(),
                                            static_cast<std::size_t>(size), stamp());
      if (code == 0) continue;
      over = true;
      ngtcp2_connection_close_error reason{};
      ngtcp2_conn_get_connection_close_error(conn, &reason);
      if (code == NGTCP2_ERR_DRAINING &&
          reason.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION)
        application_code = static_cast<int>(reason.error_code);
      return;
    }
  }
  bool pump(const std::function<bool()>& done, std::chrono::milliseconds limit) {
    const auto until = std::chrono::steady_clock::now() + limit;
    for (;;) {
      read_all();
      if (!over && ngtcp2_conn_get_expiry(conn) <= stamp() &&
          ngtcp2_conn_handle_expiry(conn, stamp()) != 0)
        over = true;
      if (!over) write_all();
      if (done()) return true;
      const auto now = std::chrono::steady_clock::now();
      if (over || now >= until) return done();
      pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
      ::poll(&waiting, 1, 5);
    }
  }

  sockaddr_in remote;
  sockaddr_in local{};
  std::string alpn_text;
  int fd = -1;
  gnutls_session_t tls = nullptr;
  gnutls_certificate_credentials_t credentials = nullptr;
  ngtcp2_crypto_conn_ref ref{};
  ngtcp2_conn* conn = nullptr;
  bool established = false;
  bool over = false;
  int application_code = -2;
  std::deque<std::string> inbox;
  std::deque<std::string> outbox;
};

QuicPeer::QuicPeer(std::uint16_t port, const std::string& alpn)
    : impl_(std::make_unique<Impl>(port, alpn)) {}
QuicPeer::~QuicPeer() = default;

bool QuicPeer::connected() const {
  return impl_->established && !impl_->over;
}

std::size_t QuicPeer::message_max() const {
  return ngtcp2_conn_get_path_max_tx_udp_payload_size(impl_->conn) -
         (1 + NGTCP2_MAX_CIDLEN + 4 + 16 + 3);
}

std::chrono::milliseconds QuicPeer::idle_limit() const {
  const ngtcp2_transport_params* told = ngtcp2_conn_get_remote_transport_params(impl_->conn);
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::nanoseconds(told != nullptr ? told->max_idle_timeout : 0));
}

bool QuicPeer::send(std::string_view message) {
  if (!connected() || message.size() > message_max()) return false;
  impl_->outbox.emplace_back(message);
  return impl_->pump([this] { return impl_->outbox.empty(); }, 10s);
}

std::optional<std::string> QuicPeer::next(std::chrono::milliseconds limit) {
  const std::string health("\x01\x05", 2);
  for (;;) {
    impl_->pump([this] { return !impl_->inbox.empty(); }, limit);
    if (impl_->inbox.empty()) return std::nullopt;
    std::string message = std::move(impl_->inbox.front());
    impl_->inbox.pop_front();
    if (message != health) return message;
    send(health);
  }
}

int QuicPeer::close_code(std::chrono::milliseconds limit) {
  impl_->pump([this] { return impl_->over; }, limit);
  return impl_->over ? impl_->application_code : -1;
}

bool QuicPeer::authenticate(std::string_view key, const std::string& url) {
  return send(relay::make_auth(relay::testing::id(key), relay::testing::token())) &&
         next() == relay::make_auth_response(url);
}

void QuicPeer::rebind() {
  impl_->open_socket();
}

void QuicPeer::close() {
  std::array<std::uint8_t, 1'452> packet;
  ngtcp2_path_storage way;
  ngtcp2_path_storage_zero(&way);
  ngtcp2_pkt_info info{};
  ngtcp2_connection_close_error reason{};
  ngtcp2_connection_close_error_default(&reason);
  ngtcp2_connection_close_error_set_application_error(&reason, 0, nullptr, 0);
  const ngtcp2_ssize size = ngtcp2_conn_write_connection_close(
      impl_->conn, &way.path, &info, packet.data(), packet.size(), &reason, stamp());
  if (size > 0)
    ::sendto(impl_->fd, packet.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL,
             reinterpret_cast<sockaddr*>(&impl_->remote), sizeof impl_->remote);
  impl_->over = true;
}

}  // namespace nb::test
