#include "net/grpc_stream.h"

#include "base/assert.h"
#include "net/grpc_wire.h"
#include "net/tasks.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace nb::net {

namespace {
/// A peer that has not read this much of what we sent gets no window for more requests.
constexpr std::size_t kCongestedBytes = 256 * 1024;
/// A caller hears no more of its own words: short requests must not buy long answers.
constexpr std::size_t kPathTold = 256;

std::string_view code_text(Code code) {
  constexpr std::array<std::string_view, 17> kTexts{
      "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"};
  return kTexts.at(static_cast<std::size_t>(code));
}

bool reserved(std::string_view name) {
  return name.starts_with(':') || name.starts_with("grpc-") || name == "content-type" ||
         name == "te";
}

/// Headers of one response, with the texts that were made for it.
class Fields {
 public:
  void add(std::string_view name, std::string_view value) { fields_.push_back({name, value}); }
  void add_owned(std::string_view name, std::string value) {
    texts_.push_back(std::make_unique<std::string>(std::move(value)));
    add(name, *texts_.back());
  }
  void add(const Metadata& metadata) {
    for (const auto& [name, value] : metadata) {
      if (reserved(name)) continue;
      if (grpc_wire::is_binary_name(name)) {
        add_owned(name, grpc_wire::base64_encode(value));
      } else {
        add(name, value);
      }
    }
  }
  [[nodiscard]] std::span<const HeaderField> view() const { return fields_; }

 private:
  std::vector<HeaderField> fields_;
  std::vector<std::unique_ptr<std::string>> texts_;
};
}  // namespace

GrpcStream::GrpcStream(Http2Session& session, std::int32_t id) : Http2Stream(session, id) {}

GrpcStream::~GrpcStream() {
  session_.context().loop.cancel(*this);
  session_.add_queued(-static_cast<std::ptrdiff_t>(out_.bytes()));
  if (partial_) session_.add_held(-static_cast<std::ptrdiff_t>(partial_->size()));
}

GrpcStream::Extra& GrpcStream::extra() {
  if (!extra_) extra_ = std::make_unique<Extra>();
  return *extra_;
}

// --- request -----------------------------------------------------------------------------------

void GrpcStream::start(const HeaderBlock& headers) {
  headers_ = &headers;
  std::string_view path = headers.find(":path");
  const GrpcRouter& router = session_.context().grpc;
  if (headers.too_large) {
    session_.context().metrics.header_too_large.Increment();
    refuse(Code::kResourceExhausted, "request headers are too large");
  } else if (const GrpcRouter::Method* method = router.find(path); method == nullptr) {
    path = path.substr(0, kPathTold);
    const std::size_t slash = path.find('/', 1);
    if (!path.starts_with('/') || slash == std::string_view::npos) {
      refuse(Code::kUnimplemented, fmt::format("malformed method name: \"{}\"", path));
    } else if (router.has_service(path.substr(1, slash - 1))) {
      refuse(Code::kUnimplemented, fmt::format("unknown method {} for service {}",
                                               path.substr(slash + 1), path.substr(1, slash - 1)));
    } else {
      refuse(Code::kUnimplemented, fmt::format("unknown service {}", path.substr(1, slash - 1)));
    }
  } else if (accept_encodings(headers) && begin_deadline(headers)) {
    method_ = method;
    keep_headers(headers);
    if (method_->stream) {
      handler_ = method_->stream(*this);
      if (handler_) handler_->on_start(*this);
    }
  }
  headers_ = nullptr;
}

bool GrpcStream::accept_encodings(const HeaderBlock& headers) {
  accepts_gzip_ = grpc_wire::lists_token(headers.find("grpc-accept-encoding"), "gzip");
  const std::string_view encoding = headers.find("grpc-encoding");
  request_gzip_ = encoding == "gzip";
  if (request_gzip_ || encoding.empty() || encoding == "identity") return true;
  refuse(Code::kUnimplemented,
         fmt::format("grpc: Decompressor is not installed for grpc-encoding \"{}\"", encoding));
  return false;
}

bool GrpcStream::begin_deadline(const HeaderBlock& headers) {
  const std::string_view text = headers.find("grpc-timeout");
  if (text.empty()) return true;
  const auto timeout = grpc_wire::parse_timeout(text);
  if (!timeout) {
    refuse(Code::kInternal, fmt::format("malformed grpc-timeout: {}", text));
    return false;
  }
  EventLoop& loop = session_.context().loop;
  loop.arm(*this, loop.now() + *timeout);
  return true;
}

void GrpcStream::keep_headers(const HeaderBlock& headers) {
  for (const std::string& name : session_.context().grpc.kept()) {
    const std::string_view value = headers.find(name);
    if (value.empty()) continue;
    if (grpc_wire::is_binary_name(name)) {
      extra().kept.emplace_back(
          name, grpc_wire::base64_decode(value.substr(0, value.find(','))).value_or(""));
    } else {
      extra().kept.emplace_back(name, value);
    }
  }
  const std::string_view real_ip = headers.find("x-real-ip");
  if (!real_ip.empty() || !headers.find("x-forwarded-for").empty()) {
    const Carrier& carrier = session_.carrier();
    if (session_.context().proxies.trusts(carrier.peer())) {
      extra().client = session_.context().proxies.resolve(
          carrier.peer(), headers.joined("x-forwarded-for"), real_ip);
    }
  }
  if (method_->async) extra().user_agent = headers.find("user-agent");
}

namespace {
/// Size of the first message with its prefix if all of it is there, else 0.
std::size_t whole_message(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < grpc_wire::kPrefixBytes) return 0;
  const std::size_t size = grpc_wire::kPrefixBytes + grpc_wire::prefix_size(bytes.data());
  return size <= bytes.size() ? size : 0;
}
}  // namespace

void GrpcStream::on_data(std::span<const std::uint8_t> bytes) {
  if (finished_ || method_ == nullptr) return;
  const auto text = [](std::span<const std::uint8_t> part) {
    return std::string_view(reinterpret_cast<const char*>(part.data()), part.size());
  };
  const std::size_t limit = session_.context().limits().message_bytes_max;
  while (!bytes.empty() && !finished_) {
    if (!partial_ || have_unary_) {
      // The common case: the whole message lies in the input.
      if (const std::size_t size = whole_message(bytes); size > 0) {
        deliver(bytes[0] != 0,
                text(bytes.subspan(grpc_wire::kPrefixBytes, size - grpc_wire::kPrefixBytes)));
        bytes = bytes.subspan(size);
        continue;
      }
      if (have_unary_) {
        too_many_ = true;
        return;
      }
      partial_ = std::make_unique<std::string>();
    }
    std::string& partial = *partial_;
    std::size_t want = grpc_wire::kPrefixBytes;
    if (partial.size() >= want) {
      want += grpc_wire::prefix_size(reinterpret_cast<const std::uint8_t*>(partial.data()));
    }
    const std::size_t part = std::min(bytes.size(), want - partial.size());
    partial.append(text(bytes.first(part)));
    session_.add_held(static_cast<std::ptrdiff_t>(part));
    bytes = bytes.subspan(part);
    if (partial.size() < grpc_wire::kPrefixBytes) continue;
    const std::size_t size =
        grpc_wire::prefix_size(reinterpret_cast<const std::uint8_t*>(partial.data()));
    if (size > limit) {
      session_.context().metrics.message_too_large.Increment();
      return abort(
          {Code::kResourceExhausted,
           fmt::format("grpc: received message larger than max ({} vs. {})", size, limit)});
    }
    if (session_.over_held_limit()) {
      return abort({Code::kResourceExhausted, "too many unfinished messages on one connection"});
    }
    if (partial.size() < grpc_wire::kPrefixBytes + size) {
      continue;
    }
    const auto whole = std::move(partial_);
    session_.add_held(-static_cast<std::ptrdiff_t>(whole->size()));
    deliver((*whole)[0] != 0, std::string_view(*whole).substr(grpc_wire::kPrefixBytes));
    if (have_unary_ && !ended_) on_input_end();  // `whole` is about to go
  }
}

void GrpcStream::deliver(bool compressed, std::string_view payload) {
  const std::size_t limit = session_.context().limits().message_bytes_max;
  if (payload.size() > limit) {
    session_.context().metrics.message_too_large.Increment();
    return abort(
        {Code::kResourceExhausted,
         fmt::format("grpc: received message larger than max ({} vs. {})", payload.size(), limit)});
  }
  was_gzip_ = compressed;
  if (!compressed) return message(payload);
  if (!request_gzip_) {
    return abort({Code::kInternal, "grpc: compressed flag set with identity or empty encoding"});
  }
  const auto plain = grpc_wire::gunzip(payload, limit);
  if (!plain) return abort(GrpcStatus::from(plain.error()));
  message(*plain);
  if (have_unary_ && !ended_) on_input_end();  // `plain` is about to go
}

void GrpcStream::message(std::string_view text) {
  if (handler_) return handler_->on_message(*this, text);
  if (have_unary_) {
    too_many_ = true;
    return;
  }
  have_unary_ = true;
  unary_ = text;
  session_.note_input(*this);
}

/// A unary message not yet handled moves from the input into memory of its own.
void GrpcStream::on_input_end() {
  if (!have_unary_ || partial_ || finished_) return;
  partial_ = std::make_unique<std::string>(unary_);
  session_.add_held(static_cast<std::ptrdiff_t>(partial_->size()));
  unary_ = *partial_;
}

void GrpcStream::on_half_close() {
  if (finished_ || method_ == nullptr) return;
  if (partial_ && !have_unary_) {
    return abort({Code::kInternal, "grpc: the last message of the request is cut off"});
  }
  if (handler_) return handler_->on_half_close(*this);
  run_unary();
}

void GrpcStream::run_unary() {
  if (too_many_ || !have_unary_) {
    return abort({Code::kUnimplemented, too_many_ ? "grpc: more than one message in a unary request"
                                                  : "grpc: no message in a unary request"});
  }
  if (method_->unary) {
    method_->unary(*this, unary_);
    return;
  }
  if (!method_->async) return abort({Code::kUnimplemented, "method has no handler"});
  GrpcRequest request{.path = method_->path,
                      .message = std::string(unary_),
                      .client = client(),
                      .user_agent = extra().user_agent,
                      .deadline = deadline(),
                      .loop = &session_.context().loop};
  extra().async =
      std::make_unique<AsyncCall>(session_.context().routes, method_->async, std::move(request),
                                  [this](Result<std::string> result) {
                                    if (!result)
                                      return finish(GrpcStatus::from(result.error()), {});
                                    write(*result);
                                    finish({}, {});
                                  });
}

// --- what handlers see -------------------------------------------------------------------------

std::string_view GrpcStream::path() const {
  if (method_ != nullptr) return method_->path;
  return headers_ != nullptr ? headers_->find(":path") : std::string_view{};
}

std::string_view GrpcStream::metadata(std::string_view name) const {
  if (extra_) {
    for (const auto& [key, value] : extra_->kept) {
      if (key == name) return value;
    }
  }
  return headers_ != nullptr ? headers_->find(name) : std::string_view{};
}

ClientAddress GrpcStream::client() const {
  const Extra* const extra = extra_.get();
  if (extra != nullptr && extra->client) return *extra->client;
  const PeerAddress& peer = session_.carrier().peer();
  return {.ip = peer.text(), .port = peer.port};
}

std::optional<Instant> GrpcStream::deadline() const {
  if (!armed()) return std::nullopt;
  return session_.context().loop.timers().at(*this);
}

Loop& GrpcStream::loop() const {
  return session_.context().loop;
}

GrpcCallHandle GrpcStream::handle() {
  if (!self_ && !ended_) self_ = std::make_shared<GrpcCall*>(this);
  return make_handle(self_);
}

// --- response ----------------------------------------------------------------------------------

void GrpcStream::use_gzip(bool on) {
  gzip_ = on && accepts_gzip_ && (!headers_sent_ || gzip_announced_);
}

void GrpcStream::send_headers(const Metadata& initial) {
  if (headers_sent_ || finished_ || ended_) return;
  headers_sent_ = true;
  gzip_announced_ = gzip_;
  if (initial.empty() && !gzip_) {
    static constexpr std::array<HeaderField, 2> kPlain{
        {{":status", "200"}, {"content-type", "application/grpc"}}};
    return session_.respond(*this, kPlain, true);
  }
  Fields fields;
  fields.add(":status", "200");
  fields.add("content-type", "application/grpc");
  if (gzip_) fields.add("grpc-encoding", "gzip");
  fields.add(initial);
  session_.respond(*this, fields.view(), true);
}

bool GrpcStream::begin_message() {
  if (finished_ || ended_) return false;
  if (session_.over_write_limit()) {
    // One message may pass the limit, so that any single one can be sent; the next may not.
    session_.context().metrics.slow_reader.Increment();
    abort({Code::kResourceExhausted, "the connection does not read what it is sent"});
    return false;
  }
  send_headers({});
  if (out_.empty()) queued_turn_ = session_.turn();
  return true;
}

template <class Message>
void GrpcStream::queue(Message&& message) {
  if (!begin_message()) return;
  const std::size_t before = out_.bytes();
  if (gzip_)
    out_.push(true, grpc_wire::gzip(message));
  else
    out_.push(false, std::forward<Message>(message));
  session_.add_queued(static_cast<std::ptrdiff_t>(out_.bytes() - before));
  session_.resume(*this);
}

void GrpcStream::write(std::string_view message) {
  queue(message);
}

void GrpcStream::write_owned(std::string message) {
  queue(std::move(message));
}

void GrpcStream::finish(GrpcStatus status, const Metadata& trailers) {
  if (finished_ || ended_) return;
  finished_ = true;
  status_ = status.code;
  if (!status.message.empty()) extra().status_text = std::move(status.message);
  if (!trailers.empty()) extra().trailers = trailers;
  session_.context().loop.cancel(*this);
  if (headers_sent_) return session_.resume(*this);
  // Trailers-Only: nothing was sent, and nothing will be but the status.
  headers_sent_ = true;
  submit_trailers(true);
}

void GrpcStream::abort(GrpcStatus status) {
  if (finished_ || ended_) return;
  session_.add_queued(-static_cast<std::ptrdiff_t>(out_.bytes()));
  out_.clear();
  finish(std::move(status), {});
}

void GrpcStream::refuse(Code code, std::string text) {
  finish({code, std::move(text)}, {});
}

void GrpcStream::submit_trailers(bool only) {
  if (!only && !extra_ && status_ == Code::kOk) {
    static constexpr std::array<HeaderField, 1> kOk{{{"grpc-status", "0"}}};
    return session_.trailers(*this, kOk);
  }
  Fields fields;
  if (only) {
    fields.add(":status", "200");
    fields.add("content-type", "application/grpc");
    if (status_ == Code::kUnimplemented) {
      fields.add("grpc-accept-encoding", "identity,gzip");
    }
  }
  fields.add("grpc-status", code_text(status_));
  if (extra_) {
    if (!extra_->status_text.empty()) {
      fields.add_owned("grpc-message", grpc_wire::percent_encode(extra_->status_text));
    }
    fields.add(extra_->trailers);
  }
  if (only) {
    session_.respond(*this, fields.view(), false);
  } else {
    session_.trailers(*this, fields.view());
  }
}

Http2Stream::Offer GrpcStream::offer(std::size_t limit) {
  Offer offer;
  offer.bytes = std::min(limit, out_.bytes());
  if (finished_ && offer.bytes == out_.bytes()) {
    offer.end = true;
    offer.trailers = true;
  }
  return offer;
}

void GrpcStream::on_body_end() {
  submit_trailers(false);
}

void GrpcStream::take(OutputBuffer& out, std::size_t bytes) {
  out_.take(out, bytes);
  session_.add_queued(-static_cast<std::ptrdiff_t>(bytes));
  if (out_.empty() && (wants_writable_ || session_.turn() - queued_turn_ > 1)) {
    wants_writable_ = false;
    session_.note_writable(*this);
  }
}

void GrpcStream::on_writable() {
  if (handler_ && !finished_ && out_.empty()) handler_->on_writable(*this);
}

bool GrpcStream::congested() const {
  return out_.bytes() > kCongestedBytes;
}

// --- ends --------------------------------------------------------------------------------------

void GrpcStream::on_timer(Instant /*now*/) {
  abort({Code::kDeadlineExceeded, "context deadline exceeded"});
}

void GrpcStream::on_shut() {
  abort({Code::kUnavailable, "the server is shutting down"});
}

void GrpcStream::on_closed() {
  ended_ = true;
  self_.reset();
  if (extra_) extra_->async.reset();
  if (handler_) handler_->on_end(*this);
}

}  // namespace nb::net
