#include "net/websocket_messages.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

namespace nb::net {

void WebSocketMessage::copy(std::size_t from, std::span<std::uint8_t> out) const {
  const std::uint8_t* in = bytes_.data() + from;
  std::uint8_t* to = out.data();
  std::size_t left = out.size();
  if (left == 0) return;
  if (mask_ == 0) {
    std::memcpy(to, in, left);
    return;
  }
  // RFC 6455 §5.3: byte i of the payload goes with byte i mod 4 of the key.
  std::array<std::uint8_t, 4> key{};
  std::memcpy(key.data(), &mask_, sizeof mask_);
  std::rotate(key.begin(), key.begin() + static_cast<std::ptrdiff_t>(from % 4), key.end());
  std::uint32_t word = 0;
  std::memcpy(&word, key.data(), sizeof word);
  const std::uint64_t wide = static_cast<std::uint64_t>(word) << 32 | word;
  while (left >= 32) {
    std::array<std::uint64_t, 4> block{};
    std::memcpy(block.data(), in, sizeof block);
    for (auto& part : block) part ^= wide;
    std::memcpy(to, block.data(), sizeof block);
    in += sizeof block;
    to += sizeof block;
    left -= sizeof block;
  }
  for (std::size_t i = 0; i < left; ++i) to[i] = static_cast<std::uint8_t>(in[i] ^ key[i % 4]);
}

}  // namespace nb::net

namespace nb::net::websocket {

namespace {
constexpr std::size_t kControlMax = 125;
constexpr std::size_t kHeadMax = 14;

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
}  // namespace

CloseCode MessageReader::refuse(CloseCode code) {
  closed_ = true;
  std::string().swap(partial_);
  std::string().swap(fragments_);
  return code;
}

CloseCode MessageReader::parse(std::span<const std::uint8_t> bytes, Head& head) const {
  if (bytes.size() < 2) return CloseCode::kNone;
  // RFC 6455 §5.1, §5.2: clients mask; reserved bits belong to extensions, of which there are none.
  if ((bytes[1] & 0x80) == 0 || (bytes[0] & 0x70) != 0) return CloseCode::kProtocolError;
  head.final = (bytes[0] & 0x80) != 0;
  head.opcode = static_cast<Opcode>(bytes[0] & 0x0f);
  const std::size_t length = bytes[1] & 0x7f;
  switch (head.opcode) {
    case Opcode::kText:
    case Opcode::kBinary:
      if (message_type_ != Opcode::kContinuation) return CloseCode::kProtocolError;
      break;
    case Opcode::kContinuation:
      if (message_type_ == Opcode::kContinuation) return CloseCode::kProtocolError;
      break;
    case Opcode::kClose:
    case Opcode::kPing:
    case Opcode::kPong:
      if (!head.final || length > kControlMax) return CloseCode::kProtocolError;
      break;
    default:
      return CloseCode::kProtocolError;
  }
  head.payload = length;
  return parse_rest(bytes, length == 126 ? 2U : length == 127 ? 8U : 0U, head);
}

CloseCode MessageReader::parse_rest(std::span<const std::uint8_t> bytes, std::size_t extended,
                                    Head& head) const {
  if (bytes.size() < 2 + extended) return CloseCode::kNone;
  if (extended > 0) {
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < extended; ++i) length = length << 8 | bytes[2 + i];
    // RFC 6455 §5.2: the shortest form; the top bit of 64 is zero.
    if (length < (extended == 2 ? 126U : 0x1'0000U) || length >> 63 != 0) {
      return CloseCode::kProtocolError;
    }
    head.payload = length;
  }
  if (head.opcode < Opcode::kClose && head.payload > message_max_ - fragments_.size()) {
    return CloseCode::kTooBig;
  }
  const std::size_t size = 2 + extended + 4;
  if (bytes.size() < size) return CloseCode::kNone;
  std::memcpy(&head.mask, bytes.data() + 2 + extended, sizeof head.mask);
  head.size = size;
  return CloseCode::kNone;
}

CloseCode MessageReader::control(const Head& head, std::span<const std::uint8_t> payload,
                                 MessageSink& sink) {
  std::array<std::uint8_t, kControlMax> plain;
  const auto out = std::span(plain).first(payload.size());
  WebSocketMessage(false, payload, head.mask).copy(0, out);
  const bool close = head.opcode == Opcode::kClose;
  // RFC 6455 §5.5.1: a close frame is empty or begins with a two-byte code.
  if (close && payload.size() == 1) return CloseCode::kProtocolError;
  const bool more =
      sink.on_control(head.opcode, {reinterpret_cast<const char*>(out.data()), out.size()});
  closed_ = closed_ || close || !more;
  return CloseCode::kNone;
}

CloseCode MessageReader::complete(const Head& head, std::span<const std::uint8_t> payload,
                                  MessageSink& sink) {
  if (head.opcode >= Opcode::kClose) return control(head, payload, sink);
  if (head.final && head.opcode != Opcode::kContinuation) {
    if (!sink.on_message({head.opcode == Opcode::kText, payload, head.mask})) closed_ = true;
    return CloseCode::kNone;
  }
  if (head.opcode != Opcode::kContinuation) message_type_ = head.opcode;
  const std::size_t before = fragments_.size();
  fragments_.resize(before + payload.size());
  WebSocketMessage(false, payload, head.mask)
      .copy(0, {reinterpret_cast<std::uint8_t*>(fragments_.data()) + before, payload.size()});
  if (!head.final) return CloseCode::kNone;
  const std::string whole = std::exchange(fragments_, {});
  const bool text = std::exchange(message_type_, Opcode::kContinuation) == Opcode::kText;
  if (!sink.on_message({text, bytes_of(whole), 0})) closed_ = true;
  return CloseCode::kNone;
}

/// Adds to the frame that is cut, first its head, then its payload; hands it on when whole.
CloseCode MessageReader::fill_partial(std::span<const std::uint8_t>& bytes, MessageSink& sink) {
  const auto take = [&](std::size_t wanted) {
    const std::size_t part = std::min(wanted - std::min(wanted, partial_.size()), bytes.size());
    partial_.append(reinterpret_cast<const char*>(bytes.data()), part);
    bytes = bytes.subspan(part);
    return partial_.size() >= wanted;
  };
  Head head;
  while (head.size == 0) {
    const CloseCode bad = parse(bytes_of(partial_), head);
    if (bad != CloseCode::kNone) return bad;
    if (head.size == 0 && !take(std::min(partial_.size() + 1, kHeadMax))) return CloseCode::kNone;
  }
  partial_.reserve(head.size + head.payload);
  if (!take(head.size + head.payload)) return CloseCode::kNone;
  const std::string frame = std::exchange(partial_, {});
  return complete(head, bytes_of(frame).subspan(head.size), sink);
}

CloseCode MessageReader::feed(std::span<const std::uint8_t> bytes, MessageSink& sink) {
  while (!bytes.empty() && !closed_) {
    CloseCode bad = CloseCode::kNone;
    if (!partial_.empty()) {
      bad = fill_partial(bytes, sink);
    } else {
      Head head;
      bad = parse(bytes, head);
      if (bad == CloseCode::kNone) {
        if (head.size == 0 || bytes.size() - head.size < head.payload) {
          partial_.reserve(head.size + head.payload);
          partial_.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
          return CloseCode::kNone;
        }
        bad = complete(head, bytes.subspan(head.size, head.payload), sink);
        bytes = bytes.subspan(head.size + head.payload);
      }
    }
    if (bad != CloseCode::kNone) return refuse(bad);
  }
  return CloseCode::kNone;
}

}  // namespace nb::net::websocket
