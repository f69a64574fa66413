#include "net/websocket.h"

#include "net/grpc_wire.h"

#include <openssl/sha.h>

#include <algorithm>

namespace nb::net::websocket {

std::optional<std::string> accept_key(std::string_view key) {
  const auto nonce = grpc_wire::base64_decode(key);
  if (key.size() != 24 || !nonce || nonce->size() != 16) return std::nullopt;
  // RFC 6455 §1.3: the protocol's own GUID.
  std::string text(key);
  text.append("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return grpc_wire::base64_encode({reinterpret_cast<const char*>(digest.data()), digest.size()}) +
         "=";
}

void put_frame(OutputBuffer& out, Opcode opcode, std::string_view payload) {
  std::array<std::uint8_t, 10> head{};
  std::size_t size = 2;
  head[0] = static_cast<std::uint8_t>(0x80U | static_cast<unsigned>(opcode));
  const std::uint64_t length = payload.size();
  if (length < 126) {
    head[1] = static_cast<std::uint8_t>(length);
  } else if (length <= 0xffff) {
    head[1] = 126;
    head[2] = static_cast<std::uint8_t>(length >> 8);
    head[3] = static_cast<std::uint8_t>(length);
    size = 4;
  } else {
    head[1] = 127;
    for (unsigned i = 0; i < 8; ++i)
      head[2 + i] = static_cast<std::uint8_t>(length >> (56 - 8 * i));
    size = 10;
  }
  out.append(head.data(), size);
  out.append(payload);
}

void put_close(OutputBuffer& out, CloseCode code) {
  const auto number = static_cast<std::uint16_t>(code);
  const std::array<char, 2> payload{static_cast<char>(number >> 8), static_cast<char>(number)};
  put_frame(out, Opcode::kClose, {payload.data(), payload.size()});
}

CloseCode Reader::header(std::uint8_t byte, Sink& sink) {
  head_[head_size_++] = byte;
  if (head_size_ == 2) {
    const bool masked = (head_[1] & 0x80) != 0;
    const std::uint8_t reserved = head_[0] & 0x70;
    // RFC 6455 §5.1, §5.2: clients mask; reserved bits belong to extensions, of which there are
    // none.
    if (!masked || reserved != 0) return CloseCode::kProtocolError;
    const std::uint8_t length = head_[1] & 0x7f;
    head_want_ = 2U + 4U + (length == 126 ? 2U : length == 127 ? 8U : 0U);
  }
  if (head_size_ < head_want_) return CloseCode::kNone;
  if (const CloseCode bad = begin_payload(); bad != CloseCode::kNone) return bad;
  return left_ == 0 ? end_frame(sink) : CloseCode::kNone;
}

CloseCode Reader::begin_payload() {
  const std::size_t extended = head_want_ - 6;
  left_ = head_[1] & 0x7f;
  if (extended > 0) {
    left_ = 0;
    for (std::size_t i = 0; i < extended; ++i) left_ = left_ << 8 | head_[2 + i];
    // RFC 6455 §5.2: the shortest form; the top bit of 64 is zero.
    if (left_ < (extended == 2 ? 126U : 0x1'0000U) || left_ >> 63 != 0) {
      return CloseCode::kProtocolError;
    }
  }
  std::copy_n(head_.begin() + static_cast<std::ptrdiff_t>(2 + extended), 4, mask_.begin());
  final_ = (head_[0] & 0x80) != 0;
  opcode_ = static_cast<Opcode>(head_[0] & 0x0f);
  offset_ = 0;
  head_size_ = 0;
  head_want_ = 2;
  in_payload_ = true;
  switch (opcode_) {
    case Opcode::kText:
    case Opcode::kBinary:
      if (message_type_ != Opcode::kContinuation) return CloseCode::kProtocolError;
      message_type_ = opcode_;
      message_ = 0;
      break;
    case Opcode::kContinuation:
      if (message_type_ == Opcode::kContinuation) return CloseCode::kProtocolError;
      break;
    case Opcode::kClose:
    case Opcode::kPing:
    case Opcode::kPong:
      if (!final_ || left_ > kControlMax) return CloseCode::kProtocolError;
      return CloseCode::kNone;
    default:
      return CloseCode::kProtocolError;
  }
  if (left_ > message_max_ - std::min<std::uint64_t>(message_, message_max_)) {
    return CloseCode::kTooBig;
  }
  message_ += left_;
  return CloseCode::kNone;
}

CloseCode Reader::end_frame(Sink& sink) {
  in_payload_ = false;
  if (opcode_ >= Opcode::kClose) {
    if (opcode_ == Opcode::kClose) {
      closed_ = true;
      if (control_.size() == 1) return CloseCode::kProtocolError;
    }
    sink.on_control(opcode_, control_);
    std::string().swap(control_);
  } else if (final_) {
    message_type_ = Opcode::kContinuation;
  }
  return CloseCode::kNone;
}

CloseCode Reader::feed(std::span<const std::uint8_t> bytes, Sink& sink) {
  std::array<std::uint8_t, 16 * 1024> plain;
  while (!bytes.empty() && !closed_) {
    if (!in_payload_) {
      if (const CloseCode bad = header(bytes[0], sink); bad != CloseCode::kNone) {
        closed_ = true;
        return bad;
      }
      bytes = bytes.subspan(1);
      continue;
    }
    const std::size_t part =
        static_cast<std::size_t>(std::min<std::uint64_t>({bytes.size(), left_, plain.size()}));
    for (std::size_t i = 0; i < part; ++i) {
      plain[i] = static_cast<std::uint8_t>(bytes[i] ^ mask_[(offset_ + i) & 3]);
    }
    offset_ += part;
    left_ -= part;
    bytes = bytes.subspan(part);
    if (opcode_ >= Opcode::kClose) {
      control_.append(reinterpret_cast<const char*>(plain.data()), part);
    } else {
      sink.on_payload(message_type_, {plain.data(), part});
    }
    if (left_ == 0) {
      if (const CloseCode bad = end_frame(sink); bad != CloseCode::kNone) return bad;
    }
  }
  return CloseCode::kNone;
}

}  // namespace nb::net::websocket
