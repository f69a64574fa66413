#include "net/http1_session.h"

#include "net/grpc_wire.h"
#include "net/http2_session.h"
#include "net/http_rules.h"
#include "net/tunnel_session.h"
#include "net/websocket.h"
#include "net/websocket_session.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace nb::net {
namespace http = boost::beast::http;

namespace {
/// Requests that may wait behind the one being answered (pipelining).
constexpr std::size_t kPipelineBytesMax = 64 * 1024;
constexpr std::size_t kLastChunkBytes = 5;  // "0\r\n\r\n"

/// Everything but the body and what depends on the connection.
HttpRequest head_of(const http::request<http::string_body>& message) {
  HttpRequest out;
  out.method = std::string(message.method_string());
  split_target({message.target().data(), message.target().size()}, out);
  for (const auto& field : message) {
    out.headers.emplace_back(lower({field.name_string().data(), field.name_string().size()}),
                             std::string(field.value()));
  }
  return out;
}

std::string status_line(int status, bool http10) {
  return fmt::format("HTTP/1.{} {} {}\r\n", http10 ? 0 : 1, status, reason_phrase(status));
}
}  // namespace

class Http1Session::Parser {
 public:
  Parser(std::size_t header_limit, std::uint64_t body_limit) {
    parser_.header_limit(static_cast<std::uint32_t>(header_limit));
    parser_.body_limit(body_limit);
    parser_.eager(true);
  }
  http::request_parser<http::string_body>& get() { return parser_; }

 private:
  http::request_parser<http::string_body> parser_;
};

Http1Session::Http1Session(Carrier& carrier, ServerContext& context)
    : carrier_(carrier), context_(context), waiting_since_(context.loop.now()) {
  carrier_.wake_at(waiting_since_ + context.limits().header_timeout);
}

Http1Session::~Http1Session() = default;

void Http1Session::receive(std::span<const std::uint8_t> bytes) {
  if (closing_) return;
  if (input_.empty() && !parser_ && !busy_) {
    waiting_since_ = context_.loop.now();
    carrier_.wake_at(waiting_since_ + context_.limits().header_timeout);
  }
  input_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (busy_) {
    if (input_.size() > kPipelineBytesMax) {
      context_.metrics.closed_flood.Increment();
      closing_ = true;
      output_.clear();
      carrier_.want_flush();
    }
    return;
  }
  parse();
}

void Http1Session::parse() {
  while (!busy_ && !closing_ && !input_.empty()) {
    // RFC 9112 §2.2: empty lines before a request are tolerated.
    if (!parser_) {
      const std::size_t start = input_.find_first_not_of("\r\n");
      input_.erase(0, std::min(start, input_.size()));
      if (input_.empty()) break;
      // Which limit counts is known after the header; see header_done() and take_body().
      parser_ = std::make_unique<Parser>(context_.limits().header_bytes_max,
                                         std::max<std::uint64_t>(context_.limits().body_bytes_max,
                                                                 context_.http.upload_bytes_max()));
      in_body_ = false;
    }
    std::string_view rest = input_;
    const bool more = feed(rest);
    if (replaced_) return;
    input_.erase(0, input_.size() - rest.size());
    if (input_.empty()) std::string().swap(input_);
    if (!more) break;
  }
}

/// True: a request is complete or something was consumed; false: wait for more input.
bool Http1Session::feed(std::string_view& input) {
  auto& parser = parser_->get();
  // Beast asserts that the last chunk, once begun, comes with its end; it has 5 bytes at least.
  if (in_body_ && parser.chunked() && input.size() < kLastChunkBytes) return false;
  boost::system::error_code error;
  const std::size_t used = parser.put(boost::asio::buffer(input.data(), input.size()), error);
  input.remove_prefix(used);
  if (error == http::error::need_more) error = {};
  if (error) {
    if (!in_body_ && input_.substr(0, input_.find('\n')).find(" HTTP/") == std::string::npos) {
      // Another protocol, or nonsense: an HTTP answer would mean nothing to it.
      context_.metrics.closed_protocol.Increment();
      closing_ = true;
      carrier_.want_flush();
      return false;
    }
    if (error == http::error::header_limit) {
      context_.metrics.header_too_large.Increment();
      refuse(431, "request headers are too large\n");
    } else if (error == http::error::body_limit) {
      context_.metrics.body_too_large.Increment();
      refuse(413, {});
    } else if (error == http::error::bad_version) {
      refuse(505, "HTTP version not supported\n");
    } else {
      refuse(400, "bad request\n");
    }
    return false;
  }
  if (parser.is_header_done() && !in_body_) {
    in_body_ = true;
    header_done();
    if (closing_) return false;
  }
  if (in_body_ && !take_body()) return false;
  if (!parser.is_done()) {
    if (used > 0 && in_body_) waiting_since_ = context_.loop.now();
    return used > 0 && !input.empty();
  }
  const std::size_t left = input.size();
  const std::string rest(input);
  const auto done = std::move(parser_);
  auto& message = done->get().get();
  http10_ = message.version() < 11;
  keep_alive_ = message.keep_alive() && !draining_;
  head_ = message.method() == http::verb::head;
  if (sink_) {
    end_upload();
    return true;
  }
  HttpRequest request = head_of(message);
  request.body = std::move(message.body());
  request.tls = carrier_.tls();
  request.loop = &context_.loop;
  resolve_client(context_, carrier_.peer(), request);
  if (upgrade(request, rest)) return false;
  input = std::string_view(input_).substr(input_.size() - left);
  busy_ = true;
  dispatch(std::move(request));
  return true;
}

void Http1Session::header_done() {
  auto& parser = parser_->get();
  auto& message = parser.get();
  if (message.version() != 10 && message.version() != 11) {
    return refuse(505, "HTTP version not supported\n");
  }
  // RFC 9112 §3.2: exactly one Host in HTTP/1.1.
  if (message.version() == 11 && message.count(http::field::host) != 1) {
    return refuse(400, "bad request: a request needs one Host header\n");
  }
  // RFC 9112 §6.1: both headings at once are how requests are smuggled.
  if (message.count(http::field::transfer_encoding) > 0 &&
      message.count(http::field::content_length) > 0) {
    return refuse(400, "bad request: Content-Length with Transfer-Encoding\n");
  }
  const std::string_view target(message.target().data(), message.target().size());
  const UploadRoute* const upload = context_.http.find_upload(target.substr(0, target.find('?')));
  const auto length = parser.content_length();
  const std::uint64_t most = upload ? upload->body_bytes_max : context_.limits().body_bytes_max;
  if (length && *length > most) {
    context_.metrics.body_too_large.Increment();
    return refuse(413, {});
  }
  if (upload != nullptr && !begin_upload(*upload)) return;
  if (message[http::field::expect] == "100-continue" && !parser.is_done()) {
    output_ += "HTTP/1.1 100 Continue\r\n\r\n";
    carrier_.want_flush();
  }
}

bool Http1Session::begin_upload(const UploadRoute& route) {
  HttpRequest head = head_of(parser_->get().get());
  head.tls = carrier_.tls();
  head.loop = &context_.loop;
  resolve_client(context_, carrier_.peer(), head);
  UploadStart start = route.open(head);
  if (auto* const sink = std::get_if<std::unique_ptr<BodySink>>(&start)) {
    sink_ = std::move(*sink);
    upload_left_ = route.body_bytes_max;
    return true;
  }
  // The body is not read: nothing can follow it on this connection.
  keep_alive_ = false;
  http10_ = parser_->get().get().version() < 11;
  head_ = parser_->get().get().method() == http::verb::head;
  respond(std::get<HttpResponse>(std::move(start)));
  return false;
}

bool Http1Session::take_body() {
  std::string& body = parser_->get().get().body();
  const std::uint64_t most = sink_ ? upload_left_ : context_.limits().body_bytes_max;
  if (body.size() > most) {
    context_.metrics.body_too_large.Increment();
    refuse(413, {});
    return false;
  }
  if (!sink_) return true;
  if (body.empty()) return true;
  upload_left_ -= body.size();
  const bool more = sink_->write({reinterpret_cast<const std::uint8_t*>(body.data()), body.size()});
  body.clear();
  if (more) return true;
  keep_alive_ = false;
  http10_ = parser_->get().get().version() < 11;
  end_upload();
  return false;
}

void Http1Session::end_upload() {
  const auto sink = std::move(sink_);
  respond(sink->finish());
}

bool Http1Session::upgrade(const HttpRequest& request, std::string_view rest) {
  const std::string_view wanted = request.header("upgrade");
  if (wanted.empty() || !grpc_wire::lists_token(request.header("connection"), "upgrade")) {
    return false;
  }
  const std::string keep(rest);                      // input_ dies with this session
  output_.erase(0, std::exchange(output_sent_, 0));  // what is left goes out before the 101
  if (grpc_wire::lists_token(wanted, "h2c") && !carrier_.tls()) return upgrade_h2c(request, keep);
  if (grpc_wire::lists_token(wanted, "websocket")) return upgrade_websocket(request, keep);
  return false;
}

bool Http1Session::upgrade_h2c(const HttpRequest& request, std::string_view rest) {
  const std::string_view text = request.header("http2-settings");
  const auto settings = grpc_wire::base64url_decode(text);
  if (text.empty() || !settings) return false;  // then it is an ordinary HTTP/1.1 request
  auto next = std::make_unique<Http2Session>(carrier_, context_);
  HeaderBlock headers;
  headers.add(":method", request.method);
  headers.add(":scheme", "http");
  headers.add(":path", request.query.empty() ? request.path : request.path + "?" + request.query);
  headers.add(":authority", request.header("host"));
  for (const auto& [name, value] : request.headers) {
    if (!connection_header(name) && name != "http2-settings" && name != "host") {
      headers.add(name, value);
    }
  }
  replaced_ = true;
  const std::size_t before = output_.size();
  // The 101 goes out before anything the new session produces.
  output_ += "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
  if (!next->upgrade(*settings, headers, request.body)) {
    replaced_ = false;
    output_.resize(before);
    refuse(400, "bad request: HTTP2-Settings\n");
    return true;
  }
  const std::string first = std::move(output_);
  carrier_.replace_session(std::move(next), first,
                           {reinterpret_cast<const std::uint8_t*>(rest.data()), rest.size()});
  return true;
}

bool Http1Session::upgrade_websocket(const HttpRequest& request, std::string_view rest) {
  const auto& paths = context_.config.grpc_tunnel_paths;
  const bool tunnel = std::find(paths.begin(), paths.end(), request.path) != paths.end();
  const WebSocketRoute* const route = context_.http.find_websocket(request.path);
  if (!tunnel && route == nullptr) return false;
  const auto accept = websocket::accept_key(request.header("sec-websocket-key"));
  if (request.method != "GET" || http10_ || request.header("sec-websocket-version") != "13" ||
      !accept) {
    if (tunnel) context_.metrics.ws_accept_failed.Increment();
    if (request.header("sec-websocket-version") != "13") {
      auto response = HttpResponse::text(426, "WebSocket version 13 is needed\n");
      response.headers.emplace_back("sec-websocket-version", "13");
      keep_alive_ = false;
      respond(response);
    } else {
      refuse(400, "bad request: not a WebSocket handshake\n");
    }
    return true;
  }
  replaced_ = true;
  const std::string first =
      output_ +
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Accept: " +
      *accept + "\r\n\r\n";
  std::unique_ptr<Session> next;
  if (tunnel) {
    PeerAddress client = carrier_.peer();
    if (const auto real = parse_ip(request.client.ip)) client.ip = real->ip;
    next = std::make_unique<TunnelSession>(carrier_, context_, client);
  } else {
    next = std::make_unique<WebSocketSession>(carrier_, context_, *route, request.client);
  }
  carrier_.replace_session(std::move(next), first,
                           {reinterpret_cast<const std::uint8_t*>(rest.data()), rest.size()});
  return true;
}

void Http1Session::dispatch(HttpRequest request) {
  const HttpHandler* handler = context_.http.find(request.path);
  if (handler == nullptr && context_.http.find_websocket(request.path) != nullptr) {
    return respond(HttpResponse::text(426, "this is a WebSocket\n"));
  }
  if (handler == nullptr) return respond(unmatched(context_, request, false));
  task_ = std::make_unique<HttpTask>(context_.routes, *handler, std::move(request),
                                     [this](HttpResponse response) {
                                       respond(std::move(response));
                                       if (!busy_ && !closing_) parse();
                                     });
}

void Http1Session::respond(HttpResponse response) {
  busy_ = false;
  if (draining_ || ended_) keep_alive_ = false;
  const bool bodiless = response.status == 204 || response.status == 304 || response.status < 200;
  output_ += status_line(response.status, http10_);
  for (const auto& [name, value] : response.headers) {
    if (connection_header(lower(name))) continue;
    // A line break in a value would begin a header, or a response, of its own.
    if (value.find_first_of("\r\n") != std::string::npos) continue;
    output_ += name;
    output_ += ": ";
    output_ += value;
    output_ += "\r\n";
  }
  output_ += "date: ";
  output_ += http_date();
  output_ += "\r\n";
  if (!bodiless) output_ += fmt::format("content-length: {}\r\n", response.body.size());
  if (!keep_alive_) {
    output_ += "connection: close\r\n";
  } else if (http10_) {
    output_ += "connection: keep-alive\r\n";
  }
  output_ += "\r\n";
  if (!bodiless && !head_) append_body(std::move(response.body));
  if (!keep_alive_) closing_ = true;
  waiting_since_ = context_.loop.now();
  carrier_.want_flush();
}

/// Megabytes are moved once, within memory that is there.
void Http1Session::append_body(std::string body) {
  if (output_sent_ > 0 || body.size() < output_.size()) {
    output_ += body;
    return;
  }
  body.insert(0, output_);
  output_ = std::move(body);
}

void Http1Session::refuse(int status, std::string text) {
  sink_.reset();
  keep_alive_ = false;
  http10_ = false;
  head_ = false;
  respond(status == 413 ? body_too_large() : HttpResponse::text(status, std::move(text)));
}

void Http1Session::produce(OutputBuffer& out) {
  if (output_.empty()) return;
  const std::size_t part =
      std::min(output_.size() - output_sent_,
               OutputBuffer::kSoftLimit - std::min(out.size(), OutputBuffer::kSoftLimit - 1));
  out.append(std::string_view(output_).substr(output_sent_, part));
  output_sent_ += part;
  if (output_sent_ == output_.size()) {
    std::string().swap(output_);
    output_sent_ = 0;
  }
}

void Http1Session::on_end_of_input() {
  ended_ = true;
  if (!busy_) {
    closing_ = true;
    carrier_.want_flush();
  }
}

Instant Http1Session::on_timer(Instant now) {
  const ServerLimits& limits = context_.limits();
  if (closing_ || busy_) return now + limits.idle_timeout;
  const bool reading = parser_ != nullptr || !input_.empty();
  const auto limit = reading ? limits.header_timeout
                             : std::min(limits.idle_timeout, std::chrono::milliseconds(120'000));
  // A connection that never sent a byte gets no longer than one that is slow.
  if (now < waiting_since_ + limit) return waiting_since_ + limit;
  if (reading) {
    context_.metrics.closed_slow.Increment();
    refuse(408, "the request did not arrive in time\n");
  } else {
    context_.metrics.closed_idle.Increment();
    closing_ = true;
    carrier_.want_flush();
  }
  return now + limits.idle_timeout;
}

void Http1Session::drain() {
  draining_ = true;
  if (!busy_ && !parser_ && input_.empty()) {
    closing_ = true;
    carrier_.want_flush();
  }
}

void Http1Session::shut() {
  if (busy_) {
    task_.reset();
    keep_alive_ = false;
    respond(HttpResponse::text(503, "the server is shutting down\n"));
  }
  closing_ = true;
  carrier_.want_flush();
}

}  // namespace nb::net
