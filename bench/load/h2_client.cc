#include "load/h2_client.h"

#include "base/assert.h"

#include <nghttp2/nghttp2.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace nb::bench {
namespace {

enum Type : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9
};
constexpr std::uint8_t kEndStream = 1;
constexpr std::uint8_t kAck = 1;
constexpr std::uint8_t kEndHeaders = 4;
constexpr std::uint8_t kPadded = 8;
constexpr std::uint8_t kPriority = 32;
constexpr std::size_t kFrameHeader = 9;
constexpr std::size_t kMessagePrefix = 5;
constexpr std::uint32_t kWindowMax = 16U << 20;  // where the Go estimator stops
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::string_view kEstimatorPing = "\x02\x04\x10\x10\x09\x0e\x07\x07";

std::uint32_t be32(const char* p) {
  std::uint32_t v = 0;
  for (int i = 0; i < 4; ++i) v = v << 8 | static_cast<unsigned char>(p[i]);
  return v;
}
void put32(std::string& out, std::uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(v >> shift));
}

}  // namespace

H2Client::H2Client(int fd, std::string_view authority, bool plain_headers, Owner& owner)
    : SocketClient(fd), owner_(owner), encoder_(authority, plain_headers) {
  NB_ASSERT(nghttp2_hd_inflate_new(&inflater_) == 0);
  out_ = kPreface;
  put_frame(0, kSettings, 0, 0);
}

H2Client::~H2Client() {
  nghttp2_hd_inflate_del(inflater_);
}

void H2Client::put_frame(std::size_t length, std::uint8_t type, std::uint8_t flags,
                         std::uint32_t stream) {
  const char head[kFrameHeader] = {static_cast<char>(length >> 16), static_cast<char>(length >> 8),
                                   static_cast<char>(length),       static_cast<char>(type),
                                   static_cast<char>(flags),        static_cast<char>(stream >> 24),
                                   static_cast<char>(stream >> 16), static_cast<char>(stream >> 8),
                                   static_cast<char>(stream)};
  out_.append(head, sizeof head);
}

void H2Client::put_window_update(std::uint32_t stream, std::uint32_t bytes) {
  put_frame(4, kWindowUpdate, 0, stream);
  put32(out_, bytes);
}

void H2Client::open(const EncodedCall& call, std::uint64_t tag) {
  Waiting wanted{&call, tag, {}, false, false};
  if (waiting_.empty() && may_start(0)) return start(wanted);
  waiting_.push_back(std::move(wanted));
}

void H2Client::call(const EncodedCall& call, std::uint64_t tag, std::string_view message,
                    bool half_close) {
  Waiting wanted{&call, tag, std::string(message), true, half_close};
  if (waiting_.empty() && may_start(message.size() + kMessagePrefix)) return start(wanted);
  waiting_.push_back(std::move(wanted));
}

bool H2Client::may_start(std::size_t body_bytes) const {
  return is_open() && streams_.size() < streams_max_ &&
         send_window_ >= static_cast<std::int64_t>(body_bytes);
}

void H2Client::start_waiting() {
  while (!waiting_.empty()) {
    const Waiting& next = waiting_.front();
    if (!may_start(next.has_body ? next.body.size() + kMessagePrefix : 0)) return;
    start(next);
    waiting_.pop_front();
  }
}

void H2Client::start(const Waiting& call) {
  const std::uint32_t id = next_stream_;
  next_stream_ += 2;
  streams_[id].tag = call.tag;
  const std::size_t head = out_.size();
  put_frame(0, kHeaders, kEndHeaders, id);
  timeout_jitter_ = timeout_jitter_ * 1'664'525 + 1'013'904'223;
  encoder_.encode(out_, *call.call, 9'999'000 + (timeout_jitter_ >> 16) % 990);
  const std::size_t length = out_.size() - head - kFrameHeader;
  out_[head + 1] = static_cast<char>(length >> 8);
  out_[head + 2] = static_cast<char>(length);
  if (!call.has_body) return;
  std::string body(1, '\0');
  put32(body, static_cast<std::uint32_t>(call.body.size()));
  body += call.body;
  send_window_ -= static_cast<std::int64_t>(body.size());
  for (std::size_t at = 0; at < body.size(); at += frame_max_) {
    const std::size_t part = std::min<std::size_t>(frame_max_, body.size() - at);
    const bool last = at + part == body.size();
    put_frame(part, kData, last && call.half_close ? kEndStream : 0, id);
    out_.append(body, at, part);
  }
}

bool H2Client::parse(std::string_view data) {
  while (data.size() >= kFrameHeader) {
    const std::size_t length = be32(data.data()) >> 8;
    if (data.size() < kFrameHeader + length) break;
    const auto type = static_cast<std::uint8_t>(data[3]);
    const auto flags = static_cast<std::uint8_t>(data[4]);
    const std::uint32_t stream = be32(data.data() + 5) & 0x7fff'ffff;
    if (!frame(type, flags, stream, data.substr(kFrameHeader, length))) return false;
    data.remove_prefix(kFrameHeader + length);
  }
  in_.assign(data);
  return true;
}

bool H2Client::frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                     std::string_view payload) {
  if (block_.open && type != kContinuation) return broken("header block interrupted");
  switch (type) {
    case kData:
      return on_data(flags, stream, payload);
    case kHeaders: {
      std::size_t pad = 0;
      if ((flags & kPadded) != 0 && !payload.empty()) {
        pad = static_cast<unsigned char>(payload[0]);
        payload.remove_prefix(1);
      }
      if ((flags & kPriority) != 0) payload.remove_prefix(std::min<std::size_t>(5, payload.size()));
      if (pad > payload.size()) return broken("bad padding");
      payload.remove_suffix(pad);
      block_ = {stream, (flags & kEndStream) != 0, (flags & kEndHeaders) == 0, {}};
      if (!block_.open) return on_block(payload);
      block_.bytes.assign(payload);
      return true;
    }
    case kContinuation:
      if (!block_.open) return broken("CONTINUATION without HEADERS");
      block_.bytes += payload;
      if ((flags & kEndHeaders) == 0) return true;
      block_.open = false;
      return on_block(std::exchange(block_.bytes, {}));
    case kReset:
      end_stream(stream, {-1, "RST_STREAM " +
                                  std::to_string(payload.size() >= 4 ? be32(payload.data()) : 0)});
      return true;
    case kSettings:
      return (flags & kAck) != 0 || on_settings(payload);
    case kPing:
      if ((flags & kAck) != 0) {
        on_ping_ack();
      } else {
        put_frame(payload.size(), kPing, kAck, 0);
        out_ += payload;
      }
      return true;
    case kGoaway:
      return broken("GOAWAY " + std::string(payload.size() > 8 ? payload.substr(8) : ""));
    case kWindowUpdate:
      if (stream == 0 && payload.size() == 4) {
        send_window_ += be32(payload.data()) & 0x7fff'ffff;
        start_waiting();
      }
      return true;  // streams carry one request far smaller than any initial window
    default:
      return true;
  }
}

bool H2Client::on_settings(std::string_view payload) {
  streams_max_ = std::max<std::uint32_t>(streams_max_, 1'000'000);  // no limit named: none
  for (; payload.size() >= 6; payload.remove_prefix(6)) {
    const unsigned id =
        static_cast<unsigned char>(payload[0]) << 8U | static_cast<unsigned char>(payload[1]);
    const std::uint32_t value = be32(payload.data() + 2);
    if (id == 1) encoder_.limit_table(value);
    if (id == 3) streams_max_ = value;
    if (id == 5) frame_max_ = std::min<std::uint32_t>(value, 16'384);
  }
  put_frame(0, kSettings, kAck, 0);
  start_waiting();
  return true;
}

bool H2Client::on_data(std::uint8_t flags, std::uint32_t id, std::string_view payload) {
  const auto bytes = static_cast<std::uint32_t>(payload.size());
  unacknowledged_ += bytes;
  const bool probe = window_ < kWindowMax && !ping_sent_ && bytes > 0;
  sample_ = probe ? bytes : sample_ + bytes;
  if (unacknowledged_ >= window_ / 4 || (probe && unacknowledged_ > 0)) {
    put_window_update(0, unacknowledged_);
    unacknowledged_ = 0;
  }
  if (probe) {
    put_frame(8, kPing, 0, 0);
    out_ += kEstimatorPing;
    ping_sent_ = true;
  }
  if ((flags & kPadded) != 0 && !payload.empty()) {
    const std::size_t pad = static_cast<unsigned char>(payload[0]);
    if (pad + 1 > payload.size()) return broken("bad padding");
    payload = payload.substr(1, payload.size() - 1 - pad);
  }
  const bool last = (flags & kEndStream) != 0;
  const auto it = streams_.find(id);
  if (it == streams_.end()) return true;
  it->second.unacknowledged += bytes;
  if (!last && it->second.unacknowledged >= window_ / 4) {
    put_window_update(id, it->second.unacknowledged);
    it->second.unacknowledged = 0;
  }
  messages(id, payload);
  if (last) end_stream(id, {-1, "stream ended without a status"});
  return is_open();
}

void H2Client::messages(std::uint32_t id, std::string_view data) {
  std::string joined;
  Stream* stream = &streams_[id];
  if (!stream->partial.empty()) {
    stream->partial += data;
    if (stream->partial.size() < kMessagePrefix ||
        stream->partial.size() < kMessagePrefix + be32(stream->partial.data() + 1))
      return;
    joined = std::exchange(stream->partial, {});
    data = joined;
  }
  const std::uint64_t tag = stream->tag;
  while (data.size() >= kMessagePrefix) {
    const std::size_t length = be32(data.data() + 1);
    if (data.size() < kMessagePrefix + length) break;
    owner_.on_message(*this, tag, data.substr(kMessagePrefix, length));
    data.remove_prefix(kMessagePrefix + length);
  }
  if (data.empty()) return;
  const auto it = streams_.find(id);  // the owner may have started calls: look it up again
  if (it == streams_.end()) return;
  it->second.partial.assign(data);
  if (data.size() >= kMessagePrefix)
    it->second.partial.reserve(kMessagePrefix + be32(data.data() + 1));
}

void H2Client::on_ping_ack() {
  if (!ping_sent_) return;
  ping_sent_ = false;
  // As the Go estimator, without its test of the bandwidth: two thirds of the window in one round
  // trip call for a larger one.
  if (std::uint64_t{sample_} * 3 < std::uint64_t{window_} * 2) return;
  const std::uint32_t wider = std::min(kWindowMax, sample_ * 2);
  if (wider <= window_) return;
  put_window_update(0, wider - window_);
  window_ = wider;
  put_frame(6, kSettings, 0, 0);
  out_ += std::string_view("\x00\x04", 2);
  put32(out_, window_);
}

bool H2Client::on_block(std::string_view bytes) {
  bool registered = false;
  bool has_status = false;
  CallEnd end;
  while (true) {
    nghttp2_nv pair{};
    int flags = 0;
    const auto used = nghttp2_hd_inflate_hd2(inflater_, &pair, &flags,
                                             reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                             bytes.size(), 1);
    if (used < 0) return broken("bad header block");
    bytes.remove_prefix(static_cast<std::size_t>(used));
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      const std::string_view name(reinterpret_cast<const char*>(pair.name), pair.namelen);
      const std::string_view value(reinterpret_cast<const char*>(pair.value), pair.valuelen);
      if (name == "grpc-status") {
        has_status = true;
        end.grpc_status = std::atoi(std::string(value).c_str());
      } else if (name == "grpc-message") {
        end.text = value;
      } else if (name == "x-wiretrustee-peer-registered") {
        registered = true;
      } else if (name == ":status" && value != "200") {
        end.text = "HTTP status " + std::string(value);
      }
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
      nghttp2_hd_inflate_end_headers(inflater_);
      break;
    }
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0 && bytes.empty()) break;
  }
  const auto it = streams_.find(block_.stream);
  if (it == streams_.end()) return true;
  if (!it->second.headers_seen && !has_status) {
    it->second.headers_seen = true;
    owner_.on_headers(*this, it->second.tag, registered);
  }
  if (block_.end_stream) end_stream(block_.stream, std::move(end));
  return is_open();
}

void H2Client::end_stream(std::uint32_t id, CallEnd end) {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return;
  const std::uint64_t tag = it->second.tag;
  streams_.erase(it);
  owner_.on_end(*this, tag, end);
  start_waiting();
}

void H2Client::close(std::string_view reason) {
  broken(reason);
}

void H2Client::on_broken(std::string_view reason) {
  const CallEnd lost{-1, std::string(reason)};
  for (auto& [id, stream] : std::exchange(streams_, {})) owner_.on_end(*this, stream.tag, lost);
  for (const Waiting& call : std::exchange(waiting_, {})) owner_.on_end(*this, call.tag, lost);
  owner_.on_closed(*this, reason);
}

}  // namespace nb::bench
