#include "net/http2_request.h"

#include "net/http_rules.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

namespace nb::net {

Http2Request::Http2Request(Http2Session& session, std::int32_t id) : Http2Stream(session, id) {}

Http2Request::~Http2Request() {
  session_.add_held(-static_cast<std::ptrdiff_t>(held_));
  session_.add_queued(-static_cast<std::ptrdiff_t>(body_.size() - sent_));
}

void Http2Request::start(const HeaderBlock& headers) {
  ServerContext& context = session_.context();
  request_.method = headers.find(":method");
  if (headers.too_large) {
    context.metrics.header_too_large.Increment();
    return respond(HttpResponse::text(431, "request headers are too large\n"));
  }
  split_target(headers.find(":path"), request_);
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const auto [name, value] = headers.at(i);
    if (name == ":authority") request_.headers.emplace_back("host", value);
    if (name == "cookie") {
      join_cookies(value);
    } else if (!name.starts_with(':')) {
      request_.headers.emplace_back(name, value);
    }
  }
  request_.tls = session_.carrier().tls();
  request_.loop = &context.loop;
  resolve_client(context, session_.carrier().peer(), request_);
  if (const UploadRoute* const upload = context.http.find_upload(request_.path))
    return begin_upload(*upload);
  handler_ = context.http.find(request_.path);
  if (handler_ == nullptr) respond(unmatched(context, request_, true));
}

/// RFC 9113 §8.2.3: browsers send each cookie in a field of its own.
void Http2Request::join_cookies(std::string_view more) {
  const auto before = std::ranges::find(
      request_.headers, "cookie", [](const auto& field) { return std::string_view(field.first); });
  if (before == request_.headers.end()) {
    request_.headers.emplace_back("cookie", more);
    return;
  }
  before->second += "; ";
  before->second += more;
}

void Http2Request::begin_upload(const UploadRoute& route) {
  upload_bytes_max_ = route.body_bytes_max;
  std::uint64_t announced = 0;
  const std::string_view length = request_.header("content-length");
  std::from_chars(length.data(), length.data() + length.size(), announced);
  if (announced > upload_bytes_max_) {
    session_.context().metrics.body_too_large.Increment();
    return respond(body_too_large());
  }
  UploadStart start = route.open(request_);
  if (auto* const sink = std::get_if<std::unique_ptr<BodySink>>(&start))
    sink_ = std::move(*sink);
  else
    respond(std::get<HttpResponse>(std::move(start)));
}

void Http2Request::take_upload(std::span<const std::uint8_t> bytes) {
  uploaded_ += bytes.size();
  if (uploaded_ > upload_bytes_max_) {
    session_.context().metrics.body_too_large.Increment();
    sink_.reset();
    return respond(body_too_large());
  }
  if (sink_->write(bytes)) return;
  const auto sink = std::move(sink_);
  respond(sink->finish());
}

void Http2Request::on_data(std::span<const std::uint8_t> bytes) {
  if (answered_) return;
  if (sink_) return take_upload(bytes);
  ServerContext& context = session_.context();
  if (request_.body.size() + bytes.size() > context.limits().body_bytes_max) {
    context.metrics.body_too_large.Increment();
    return respond(body_too_large());
  }
  if (session_.over_held_limit()) {
    return respond(HttpResponse::text(503, "too many unfinished requests on one connection\n"));
  }
  request_.body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  held_ += bytes.size();
  session_.add_held(static_cast<std::ptrdiff_t>(bytes.size()));
}

void Http2Request::on_half_close() {
  if (answered_) return;
  if (const auto sink = std::move(sink_)) return respond(sink->finish());
  if (handler_ == nullptr) return;
  task_ =
      std::make_unique<HttpTask>(session_.context().routes, *handler_, request_,
                                 [this](HttpResponse response) { respond(std::move(response)); });
}

void Http2Request::respond(HttpResponse response) {
  if (answered_) return;
  answered_ = true;
  const std::string status = std::to_string(response.status);
  const std::string length = std::to_string(response.body.size());
  std::vector<std::pair<std::string, std::string>> fields;
  std::vector<HeaderField> headers;
  const auto add = [&](std::string_view name, std::string_view value) {
    headers.push_back({name, value});
  };
  const bool bodiless = response.status == 204 || response.status == 304;
  add(":status", status);
  add("date", http_date());
  if (!bodiless) add("content-length", length);
  for (const auto& [name, value] : response.headers) {
    if (!connection_header(lower(name))) fields.emplace_back(lower(name), value);
  }
  for (const auto& [name, value] : fields) add(name, value);
  if (!bodiless && request_.method != "HEAD") body_ = std::move(response.body);
  session_.add_queued(static_cast<std::ptrdiff_t>(body_.size()));
  session_.respond(*this, headers, !body_.empty());
}

Http2Stream::Offer Http2Request::offer(std::size_t limit) {
  const std::size_t left = body_.size() - sent_;
  return {.bytes = std::min(left, limit), .end = left <= limit};
}

void Http2Request::take(OutputBuffer& out, std::size_t bytes) {
  out.append(std::string_view(body_).substr(sent_, bytes));
  sent_ += bytes;
  session_.add_queued(-static_cast<std::ptrdiff_t>(bytes));
}

void Http2Request::on_closed() {
  sink_.reset();
  task_.reset();
}

void Http2Request::on_shut() {
  sink_.reset();
  respond(HttpResponse::text(503, "the server is shutting down\n"));
}

}  // namespace nb::net
