#include "redis/stream.h"

#include "base/look_up.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <netinet/tcp.h>
#include <openssl/ssl.h>

#include <utility>

namespace nb::redis {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

// Unacknowledged bytes end the connection by then, whatever else fails to notice.
constexpr int kTcpUserTimeoutMs = 10'000;

Error broken(const error_code& ec) {
  return fail(Code::kUnavailable, "{}", ec == asio::error::eof ? "closed by server" : ec.message());
}

void tune(tcp::socket& socket) {
  error_code ignored;  // an option that cannot be set costs speed, not correctness
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  using user_timeout = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>;
  socket.set_option(user_timeout(kTcpUserTimeoutMs), ignored);
}

/// The same over a TCP socket and over TLS on one.
template <class Layer>
class StreamOver final : public Stream {
 public:
  template <class... Args>
  explicit StreamOver(Args&&... args) : layer_(std::forward<Args>(args)...) {}

  Layer& layer() { return layer_; }

  asio::awaitable<Result<std::size_t>> read(std::span<char> room) override {
    error_code ec;
    const std::size_t size = co_await layer_.async_read_some(
        asio::buffer(room.data(), room.size()), asio::redirect_error(asio::use_awaitable, ec));
    if (ec) co_return broken(ec);
    co_return size;
  }

  void send(std::string_view bytes, Done done) override {
    asio::async_write(layer_, asio::buffer(bytes.data(), bytes.size()),
                      [done = std::move(done)](error_code ec, std::size_t /*size*/) { done(ec); });
  }

  asio::awaitable<Result<>> write(std::string bytes) override {
    error_code ec;
    co_await asio::async_write(layer_, asio::buffer(bytes),
                               asio::redirect_error(asio::use_awaitable, ec));
    if (ec) co_return broken(ec);
    co_return Result<>{};
  }

  bool readable() override {
    error_code ec;
    return layer_.lowest_layer().available(ec) > 0 && !ec;
  }

  void close() override {
    error_code ignored;
    layer_.lowest_layer().close(ignored);
  }

 private:
  Layer layer_;
};

using TcpStream = StreamOver<tcp::socket>;
/// The context must outlive the stream.
struct TlsHolder {
  explicit TlsHolder(asio::ssl::context made) : context(std::move(made)) {}
  asio::ssl::context context;
};
class TlsStream final : public Stream {
 public:
  TlsStream(tcp::socket socket, asio::ssl::context context)
      : context_(std::move(context)), inner_(std::move(socket), context_.context) {}
  asio::ssl::stream<tcp::socket>& layer() { return inner_.layer(); }
  asio::awaitable<Result<std::size_t>> read(std::span<char> room) override {
    return inner_.read(room);
  }
  void send(std::string_view bytes, Done done) override { inner_.send(bytes, std::move(done)); }
  asio::awaitable<Result<>> write(std::string bytes) override {
    return inner_.write(std::move(bytes));
  }
  bool readable() override { return inner_.readable(); }
  void close() override { inner_.close(); }

 private:
  TlsHolder context_;
  StreamOver<asio::ssl::stream<tcp::socket>> inner_;
};

/// Files are read at each connect, so that renewed certificates need no restart.
Result<asio::ssl::context> make_context(const TlsOptions& tls) {
  asio::ssl::context context(asio::ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  error_code ec;
  context.set_verify_mode(asio::ssl::verify_peer, ec);
  if (tls.ca_file.empty()) {
    context.set_default_verify_paths(ec);
  } else {
    context.load_verify_file(tls.ca_file, ec);
  }
  if (ec) {
    return fail(Code::kFailedPrecondition, "TLS: CA file '{}' cannot be used: {}", tls.ca_file,
                ec.message());
  }
  if (!tls.cert_file.empty()) {
    context.use_certificate_chain_file(tls.cert_file, ec);
    if (!ec) context.use_private_key_file(tls.key_file, asio::ssl::context::pem, ec);
    if (ec) {
      return fail(Code::kFailedPrecondition,
                  "TLS: certificate '{}' with its key cannot be used: {}", tls.cert_file,
                  ec.message());
    }
  }
  return context;
}

void name_server(asio::ssl::stream<tcp::socket>& layer, const std::string& name) {
  layer.set_verify_callback(asio::ssl::host_name_verification(name));
  error_code not_numeric;
  asio::ip::make_address(name, not_numeric);
  // RFC 6066 §3: no literal addresses in the server name extension.
  if (not_numeric) {
    SSL_ctrl(layer.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             const_cast<char*>(name.c_str()));
  }
}

}  // namespace

struct Deadline::State {
  explicit State(const asio::any_io_executor& home) : timer(home) {}
  asio::steady_timer timer;
  bool over = false;
};

Deadline::Deadline(const asio::any_io_executor& home, std::chrono::milliseconds limit,
                   std::function<void()> expire)
    : state_(std::make_shared<State>(home)) {
  state_->timer.expires_after(limit);
  state_->timer.async_wait([state = state_, expire = std::move(expire)](error_code ec) {
    // Cancelling a timer that already fired does not take its handler back.
    if (!ec && !state->over) expire();
  });
}

Deadline::~Deadline() {
  state_->over = true;
  state_->timer.cancel();
}

std::string to_text(const Address& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", address.host, address.port)
            : fmt::format("{}:{}", address.host, address.port);
}

asio::awaitable<Result<std::shared_ptr<Stream>>> dial(Address address, TlsOptions tls,
                                                      std::shared_ptr<DialControl> control) {
  const auto home = co_await asio::this_coro::executor;
  const auto cancelled = [] { return fail(Code::kUnavailable, "no connection in time"); };
  error_code ec;

  const auto resolver = std::make_shared<tcp::resolver>(look_up_executor());
  control->close_current = [resolver] { resolver->cancel(); };
  const auto found = co_await resolver->async_resolve(
      address.host, std::to_string(address.port), asio::redirect_error(asio::use_awaitable, ec));
  if (control->cancelled) co_return cancelled();
  if (ec) co_return fail(Code::kUnavailable, "name look-up: {}", ec.message());

  const auto plain = std::make_shared<TcpStream>(home);
  control->close_current = [plain] { plain->close(); };
  co_await asio::async_connect(plain->layer(), found,
                               asio::redirect_error(asio::use_awaitable, ec));
  if (control->cancelled) co_return cancelled();
  if (ec) co_return broken(ec);
  tune(plain->layer());
  if (!tls.enabled) co_return std::shared_ptr<Stream>(plain);

  NB_CO_LET(auto context, make_context(tls));
  const auto secure = std::make_shared<TlsStream>(std::move(plain->layer()), std::move(context));
  control->close_current = [secure] { secure->close(); };
  name_server(secure->layer(), tls.server_name.empty() ? address.host : tls.server_name);
  co_await secure->layer().async_handshake(asio::ssl::stream_base::client,
                                           asio::redirect_error(asio::use_awaitable, ec));
  if (control->cancelled) co_return cancelled();
  if (ec) co_return fail(Code::kUnavailable, "TLS handshake: {}", ec.message());
  co_return std::shared_ptr<Stream>(secure);
}

}  // namespace nb::redis
