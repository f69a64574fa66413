#include "client/web_socket.h"

#include "base/clock.h"
#include "base/ip.h"
#include "net/resolve.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <openssl/ssl.h>

#include <utility>
#include <vector>

namespace nb::client {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using asio::ip::tcp;
using boost::system::error_code;

namespace {
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

Error failed(const std::string& host, std::string_view step, const error_code& error) {
  const bool late = error == beast::error::timeout || error == asio::error::timed_out;
  return fail(late ? Code::kDeadlineExceeded : Code::kUnavailable, "{}: {}: {}", host, step,
              error.message());
}

using TlsStream = beast::ssl_stream<beast::tcp_stream>;

/// Plain: beast::tcp_stream; over TLS: TlsStream, whose context must live as long.
template <class Transport>
class Socket final : public WebSocket {
 public:
  Socket(Transport transport, std::shared_ptr<asio::ssl::context> tls,
         const WebSocketTarget& target)
      : tls_(std::move(tls)), stream_(std::move(transport)), host_(target.host) {
    stream_.binary(true);
    stream_.auto_fragment(false);  // one message is one frame (contract §3.1)
    stream_.read_message_max(target.message_bytes_max);
  }

  asio::awaitable<Result<>> upgrade(std::string host_field, std::string path) {
    const auto [error] = co_await stream_.async_handshake(host_field, path, kAwait);
    if (error) co_return failed(host_, "WebSocket handshake", error);
    auto& lowest = beast::get_lowest_layer(stream_);
    lowest.expires_never();
    error_code none;
    remote_ip_ = lowest.socket().remote_endpoint(none).address().to_string();
    co_return Result<>();
  }

  asio::awaitable<Result<std::string>> read() override {
    const auto [error, size] = co_await stream_.async_read(buffer_, kAwait);
    if (error) co_return failed(host_, "reading", error);
    if (!stream_.got_binary()) co_return fail(Code::kInvalidArgument, "{}: a text message", host_);
    std::string message = beast::buffers_to_string(buffer_.data());
    buffer_.consume(buffer_.size());
    co_return message;
  }

  asio::awaitable<Result<>> write(std::string message) override {
    const auto buffer = asio::buffer(message);
    const auto [error, size] = co_await stream_.async_write(buffer, kAwait);
    if (error) co_return failed(host_, "writing", error);
    co_return Result<>();
  }

  void abort() override { beast::get_lowest_layer(stream_).close(); }
  std::uint16_t close_code() const override { return stream_.reason().code; }
  std::string remote_ip() const override { return remote_ip_; }

 private:
  const std::shared_ptr<asio::ssl::context> tls_;
  websocket::stream<Transport> stream_;
  const std::string host_;
  std::string remote_ip_;
  beast::flat_buffer buffer_;
};

Result<std::shared_ptr<asio::ssl::context>> tls_context(const std::string& ca_file) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  error_code error;
  context->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                       asio::ssl::context::no_tlsv1_1);
  context->set_verify_mode(asio::ssl::verify_peer);
  context->set_default_verify_paths(error);
  if (!ca_file.empty()) context->load_verify_file(ca_file, error);
  if (error) return fail(Code::kInvalidArgument, "certificates {}: {}", ca_file, error.message());
  return context;
}

Result<> name_server(TlsStream& stream, const std::string& host) {
  stream.set_verify_callback(asio::ssl::host_name_verification(host));
  // RFC 6066 §3: server names are not addresses.
  if (IpAddress::parse(host)) return {};
  std::string name = host;
  if (SSL_ctrl(stream.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
               name.data()) != 1)
    return fail(Code::kInvalidArgument, "{}: not a name for TLS", host);
  return {};
}

std::string host_field(const WebSocketTarget& target) {
  const bool v6 = target.host.find(':') != std::string::npos;
  return (v6 ? "[" + target.host + "]" : target.host) + ":" + std::to_string(target.port);
}

template <class Transport>
asio::awaitable<Result<std::shared_ptr<WebSocket>>> upgrade(Transport transport,
                                                            std::shared_ptr<asio::ssl::context> tls,
                                                            WebSocketTarget target) {
  const auto socket =
      std::make_shared<Socket<Transport>>(std::move(transport), std::move(tls), target);
  std::string field = host_field(target);
  const auto upgraded = co_await socket->upgrade(std::move(field), target.path);
  if (!upgraded) co_return upgraded.error();
  co_return std::shared_ptr<WebSocket>(socket);
}

}  // namespace

asio::awaitable<Result<std::shared_ptr<WebSocket>>> WebSocket::dial(
    WebSocketTarget target, std::chrono::milliseconds limit) {
  const Instant deadline = std::chrono::steady_clock::now() + limit;
  const auto home = co_await asio::this_coro::executor;
  std::string name = target.dial_host.empty() ? target.host : target.dial_host;
  std::string port = std::to_string(target.port);
  const auto endpoints = co_await net::resolve(std::move(name), std::move(port), deadline);
  if (!endpoints) co_return endpoints.error();
  beast::tcp_stream tcp(home);
  tcp.expires_at(deadline);
  const auto [error, to] = co_await tcp.async_connect(*endpoints, kAwait);
  if (error) co_return failed(target.host, "connecting", error);
  error_code none;
  tcp.socket().set_option(tcp::no_delay(true), none);
  if (!target.tls) {
    auto plain = co_await upgrade(std::move(tcp), nullptr, target);
    co_return plain;
  }
  const auto context = tls_context(target.ca_file);
  if (!context) co_return context.error();
  TlsStream stream(std::move(tcp), **context);
  const auto named = name_server(stream, target.host);
  if (!named) co_return named.error();
  const auto [tls_error] = co_await stream.async_handshake(asio::ssl::stream_base::client, kAwait);
  if (tls_error) {
    const long verified = SSL_get_verify_result(stream.native_handle());
    if (verified != X509_V_OK)
      co_return fail(Code::kPermissionDenied, "{}: certificate: {}", target.host,
                     X509_verify_cert_error_string(verified));
    co_return failed(target.host, "TLS handshake", tls_error);
  }
  auto secure = co_await upgrade(std::move(stream), *context, target);
  co_return secure;
}

}  // namespace nb::client
