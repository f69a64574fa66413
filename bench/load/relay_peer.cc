#include "load/relay_peer.h"

#include "base/assert.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

namespace nb::bench {
namespace {

constexpr unsigned kBinary = 2;
constexpr unsigned kClose = 8;
constexpr unsigned kPing = 9;
constexpr unsigned kPong = 10;
constexpr std::size_t kMaskBytes = 4;

std::array<std::uint8_t, kMaskBytes> mask_of(std::uint32_t number) {
  const std::uint32_t key = (number + 1) * 0x9e37'79b9U | 0x0101'0101U;  // no byte is zero
  std::array<std::uint8_t, kMaskBytes> mask{};
  std::memcpy(mask.data(), &key, sizeof key);
  return mask;
}

/// Text of a packet behind its stamp: something that no compression or zero page makes cheap.
std::string filler(std::size_t bytes) {
  std::string out(bytes, '\0');
  std::uint64_t state = 0x9e3779b97f4a7c15ULL;
  for (char& each : out) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    each = static_cast<char>(state);
  }
  return out;
}

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::size_t head_bytes(std::size_t payload) {
  return payload < 126 ? 2 : 4;  // RFC 6455 §5.2; nothing of ours is longer than 64 KiB
}

}  // namespace

RelayPeer::RelayPeer(int fd, std::string_view authority, Identity identity, Owner& owner)
    : SocketClient(fd),
      owner_(owner),
      number_(identity.number),
      mask_(mask_of(identity.number)),
      auth_(relay::make_auth(identity.id, identity.token)) {
  out_ = fmt::format(
      "GET /relay HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
      authority);
}

void RelayPeer::on_broken(std::string_view reason) {
  owner_.on_closed(*this, reason);
}

// --- output ------------------------------------------------------------------------------------

void RelayPeer::put_frame(unsigned opcode, std::string_view payload) {
  out_.push_back(static_cast<char>(0x80U | opcode));
  if (head_bytes(payload.size()) == 2) {
    out_.push_back(static_cast<char>(0x80U | payload.size()));
  } else {
    out_.push_back(static_cast<char>(0x80U | 126U));
    out_.push_back(static_cast<char>(payload.size() >> 8));
    out_.push_back(static_cast<char>(payload.size()));
  }
  out_.append(reinterpret_cast<const char*>(mask_.data()), mask_.size());
  for (std::size_t i = 0; i < payload.size(); ++i)
    out_.push_back(static_cast<char>(static_cast<std::uint8_t>(payload[i]) ^ mask_[i % 4]));
}

void RelayPeer::pair_with(const relay::PeerId& other, std::size_t bytes) {
  NB_ASSERT(bytes >= kStampBytes && bytes <= relay::kPayloadMax);
  const std::string text = filler(bytes - kStampBytes);
  const std::string message = relay::make_transport(other, std::string(kStampBytes, '\0') + text);
  const std::string before = std::exchange(out_, {});
  put_frame(kBinary, message);
  packet_ = std::exchange(out_, before);
  // The relay puts the sender's id where the receiver's was.
  expected_ = message;
}

void RelayPeer::send_packet(const PacketStamp& stamp) {
  const std::size_t begin = out_.size();
  out_.append(packet_);
  const std::size_t message = begin + packet_.size() - expected_.size();
  std::array<std::uint8_t, kStampBytes> bytes{};
  std::memcpy(bytes.data(), &stamp, sizeof stamp);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t at = relay::kTransportHeadBytes + i;
    out_[message + at] = static_cast<char>(bytes[i] ^ mask_[at % 4]);
  }
}

// --- input -------------------------------------------------------------------------------------

bool RelayPeer::on_upgrade(std::string_view& data) {
  const std::size_t end = data.find("\r\n\r\n");
  if (end == std::string_view::npos) return true;
  if (!data.starts_with("HTTP/1.1 101 "))
    return broken(fmt::format("no upgrade: {}", data.substr(0, data.find('\r'))));
  data.remove_prefix(end + 4);
  state_ = State::kAuthenticate;
  put_frame(kBinary, std::exchange(auth_, {}));
  return true;
}

bool RelayPeer::parse(std::string_view data) {
  if (state_ == State::kUpgrade && !on_upgrade(data)) return false;
  while (state_ != State::kUpgrade && data.size() >= 2) {
    std::size_t head = 2;
    std::size_t payload = static_cast<std::uint8_t>(data[1]);
    if (payload > 126) return broken("masked or longer than a relay's messages");
    if (payload == 126) {
      head = 4;
      if (data.size() < head) break;
      payload =
          std::size_t{static_cast<std::uint8_t>(data[2])} << 8 | static_cast<std::uint8_t>(data[3]);
    }
    if (data.size() < head + payload) break;
    const auto first = static_cast<std::uint8_t>(data[0]);
    if ((first & 0xf0U) != 0x80U) return broken("a fragment or an extension");
    if (!on_frame(first & 0x0fU, data.substr(head, payload))) return false;
    data.remove_prefix(head + payload);
  }
  in_.assign(data);
  if (in_.empty()) std::string().swap(in_);
  return true;
}

bool RelayPeer::on_frame(unsigned opcode, std::string_view payload) {
  switch (opcode) {
    case kBinary:
      return on_message(payload);
    case kPing:
      put_frame(kPong, payload);
      return true;
    case kPong:
      return true;
    case kClose:
      return broken("close frame");
    default:
      return broken("unexpected frame");
  }
}

bool RelayPeer::on_message(std::string_view message) {
  if (state_ == State::kAuthenticate) {
    if (!relay::parse_auth_response(bytes_of(message))) return broken("not authenticated");
    state_ = State::kOpen;
    owner_.on_open(*this);
    return true;
  }
  if (message.size() < relay::kHeadBytes) return broken("short message");
  switch (static_cast<relay::Type>(message[1])) {
    case relay::Type::kTransport:
      return on_transport(message);
    case relay::Type::kHealthCheck: {
      const auto echo = relay::make_plain(relay::Type::kHealthCheck);
      put_frame(kBinary, {reinterpret_cast<const char*>(echo.data()), echo.size()});
      return true;
    }
    case relay::Type::kClose:
      return broken("sent away");
    default:
      return true;  // presence
  }
}

bool RelayPeer::on_transport(std::string_view message) {
  if (message.size() != expected_.size() || expected_.empty()) {
    owner_.on_packet(*this, {}, false);
    return true;
  }
  constexpr std::size_t kText = relay::kTransportHeadBytes + kStampBytes;
  PacketStamp stamp;
  std::memcpy(&stamp, message.data() + relay::kTransportHeadBytes, sizeof stamp);
  const std::string_view wanted(expected_);
  const bool whole = message.substr(0, relay::kTransportHeadBytes) ==
                         wanted.substr(0, relay::kTransportHeadBytes) &&
                     message.substr(kText) == wanted.substr(kText);
  owner_.on_packet(*this, stamp, whole);
  return true;
}

}  // namespace nb::bench
