#include "net/http_client.h"

#include "base/text.h"
#include "net/resolve.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>

namespace nb::net {
namespace {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::uint32_t kHeaderBytesMax = 32 * 1024;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

IpAddress to_ip(const asio::ip::address& address) {
  if (address.is_v4()) return IpAddress::v4(address.to_v4().to_uint());
  return IpAddress::v6(address.to_v6().to_bytes());
}

Error failed(const std::string& host, std::string_view step, const error_code& error) {
  const bool late = error == beast::error::timeout || error == asio::error::timed_out;
  if (late) return fail(Code::kDeadlineExceeded, "{}: {} took too long", host, step);
  if (error == asio::error::operation_aborted)
    return fail(Code::kCancelled, "{}: {} was cancelled", host, step);
  if (error == http::error::body_limit || error == http::error::header_limit ||
      error == http::error::buffer_overflow)
    return fail(Code::kResourceExhausted, "{}: the answer is too large", host);
  return fail(Code::kUnavailable, "{}: {}: {}", host, step, error.message());
}

struct Target {
  Url url;
  bool tls = false;
  std::string port;
  std::string path;  // with query
  std::string host_field;
};

Result<Target> target_of(const HttpClientRequest& request) {
  Target target;
  NB_LET(target.url, parse_url(request.url));
  const Url& url = target.url;
  target.tls = url.scheme == "https";
  if (!target.tls && url.scheme != "http") return fail(Code::kInvalidArgument, "URL: not http(s)");
  if (!target.tls && request.https_only) return fail(Code::kInvalidArgument, "URL: not https");
  if (url.host.empty() || !url.user.empty() || !url.password.empty())
    return fail(Code::kInvalidArgument, "URL: no host, or user information in it");
  for (const char c : request.url)
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f')
      return fail(Code::kInvalidArgument, "URL: blank or control character");
  target.port = std::to_string(url.port != 0 ? url.port : target.tls ? 443 : 80);
  target.path = url.path.empty() ? "/" : url.path;
  if (!url.query.empty()) target.path += "?" + url.query;
  const bool v6 = url.host.find(':') != std::string::npos;
  target.host_field = v6 ? "[" + url.host + "]" : url.host;
  if (url.port != 0) target.host_field += ":" + target.port;
  return target;
}

bool safe_field(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

using Message = http::request<http::string_body>;

Result<Message> message_of(const Target& target, HttpClientRequest& request,
                           const HttpClientOptions& options) {
  Message message;
  message.version(11);
  message.method_string(request.method);
  message.target(target.path);
  message.set(http::field::host, target.host_field);
  message.set(http::field::user_agent, options.user_agent);
  message.set(http::field::connection, "close");
  for (const auto& [name, value] : request.headers) {
    if (name.empty() || !safe_field(name) || !safe_field(value))
      return fail(Code::kInvalidArgument, "header with a line break");
    message.set(name, value);
  }
  const bool has_body =
      !request.body.empty() || request.method == "POST" || request.method == "PUT";
  message.body() = std::move(request.body);
  if (has_body) message.prepare_payload();
  return message;
}

template <class Stream>
asio::awaitable<Result<HttpClientResponse>> exchange(Stream& stream, const std::string& host,
                                                     Message& message, std::size_t body_max) {
  const auto [write_error, written] = co_await http::async_write(stream, message, kAwait);
  if (write_error) co_return failed(host, "sending", write_error);
  beast::flat_buffer buffer(kHeaderBytesMax + 16 * 1024);
  http::response_parser<http::string_body> parser;
  parser.header_limit(kHeaderBytesMax);
  parser.body_limit(body_max);
  if (message.method() == http::verb::head) parser.skip(true);
  const auto [read_error, read] = co_await http::async_read(stream, buffer, parser, kAwait);
  // An answer without length ends with the connection; TLS without close_notify cannot say that it
  // is whole, which the parser reports as a failure unless Content-Length was met.
  if (read_error && !parser.is_done()) co_return failed(host, "reading", read_error);
  HttpClientResponse response;
  auto& answer = parser.get();
  response.status = static_cast<int>(answer.result_int());
  for (const auto& field : answer)
    response.headers.emplace_back(lower({field.name_string().data(), field.name_string().size()}),
                                  std::string(field.value()));
  response.body = std::move(answer.body());
  co_return response;
}

class Client final : public HttpClient {
 public:
  explicit Client(HttpClientOptions options) : options_(std::move(options)) {}

  Result<> prepare() {
    error_code error;
    tls_.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                     asio::ssl::context::no_tlsv1_1);
    tls_.set_verify_mode(asio::ssl::verify_peer);
    tls_.set_default_verify_paths(error);
    if (error) return fail(Code::kInvalidArgument, "system certificates: {}", error.message());
    if (options_.ca_file.empty()) return {};
    tls_.load_verify_file(options_.ca_file, error);
    if (error) return fail(Code::kInvalidArgument, "{}: {}", options_.ca_file, error.message());
    return {};
  }

  asio::awaitable<Result<HttpClientResponse>> send(HttpClientRequest request) override {
    const auto deadline = std::chrono::steady_clock::now() + request.timeout;
    NB_CO_LET(const Target target, target_of(request));
    NB_CO_LET(Message message, message_of(target, request, options_));
    const std::string& host = target.url.host;
    NB_CO_LET(auto endpoints, co_await resolve(host, target.port, deadline));
    if (request.allow) {
      std::erase_if(endpoints, [&](const auto& e) { return !request.allow(to_ip(e.address())); });
      if (endpoints.empty())
        co_return fail(Code::kPermissionDenied, "{}: address not allowed", host);
    }
    if (endpoints.empty()) co_return fail(Code::kUnavailable, "{}: no address", host);
    const auto home = co_await asio::this_coro::executor;
    if (!target.tls) {
      beast::tcp_stream stream(home);
      stream.expires_at(deadline);
      const auto [error, to] = co_await stream.async_connect(endpoints, kAwait);
      if (error) co_return failed(host, "connecting", error);
      co_return co_await exchange(stream, host, message, request.body_bytes_max);
    }
    beast::ssl_stream<beast::tcp_stream> stream(home, tls_);
    auto& transport = beast::get_lowest_layer(stream);
    transport.expires_at(deadline);
    const auto [error, to] = co_await transport.async_connect(endpoints, kAwait);
    if (error) co_return failed(host, "connecting", error);
    NB_CO_TRY(prepare(stream, host));
    const auto [tls_error] =
        co_await stream.async_handshake(asio::ssl::stream_base::client, kAwait);
    if (tls_error) co_return handshake_failure(stream, host, tls_error);
    co_return co_await exchange(stream, host, message, request.body_bytes_max);
  }

 private:
  using TlsStream = beast::ssl_stream<beast::tcp_stream>;

  static Result<> prepare(TlsStream& stream, const std::string& host) {
    stream.set_verify_callback(asio::ssl::host_name_verification(host));
    // RFC 6066 §3: server names are not addresses.
    if (IpAddress::parse(host)) return {};
    // What SSL_set_tlsext_host_name() expands to, without its C cast.
    std::string name = host;
    if (SSL_ctrl(stream.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 name.data()) != 1)
      return fail(Code::kInvalidArgument, "URL: bad host name");
    return {};
  }

  static Error handshake_failure(TlsStream& stream, const std::string& host,
                                 const error_code& error) {
    const long verified = SSL_get_verify_result(stream.native_handle());
    if (verified != X509_V_OK)
      return fail(Code::kPermissionDenied, "{}: certificate: {}", host,
                  X509_verify_cert_error_string(verified));
    if (error.category() == asio::error::get_ssl_category() &&
        ERR_GET_REASON(static_cast<unsigned long>(error.value())) ==
            SSL_R_CERTIFICATE_VERIFY_FAILED)
      return fail(Code::kPermissionDenied, "{}: certificate is for another name", host);
    return failed(host, "TLS handshake", error);
  }

  const HttpClientOptions options_;
  asio::ssl::context tls_{asio::ssl::context::tls_client};
};

}  // namespace

std::string_view HttpClientResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

Result<std::shared_ptr<HttpClient>> HttpClient::create(HttpClientOptions options) {
  auto client = std::make_shared<Client>(std::move(options));
  NB_TRY(client->prepare());
  return std::shared_ptr<HttpClient>(std::move(client));
}

bool is_public_address(const IpAddress& address) {
  // IANA's special-purpose registries (RFC 6890 and updates).
  static const auto kSpecial = [] {
    constexpr std::array kTexts = {
        "0.0.0.0/8",     "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",    "::/128",
        "::1/128",       "::/96",           "64:ff9b::/96",   "64:ff9b:1::/48", "100::/64",
        "2001::/23",     "2001:db8::/32",   "2002::/16",      "3fff::/20",      "5f00::/16",
        "fc00::/7",      "fe80::/10",       "fec0::/10",      "ff00::/8"};
    std::vector<IpPrefix> prefixes;
    for (const char* text : kTexts)
      if (auto prefix = IpPrefix::parse(text)) prefixes.push_back(*prefix);
    return prefixes;
  }();
  return !contains(kSpecial, address);
}

std::string url_encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4U];
      out += kHex[byte & 15U];
    }
  }
  return out;
}

std::string form_encode(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    if (!out.empty()) out += '&';
    out += url_encode(name) + "=" + url_encode(value);
  }
  return out;
}

}  // namespace nb::net
