#include "turn_client.h"

#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "crypto/random.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <utility>

namespace nb::test {
namespace {

constexpr std::string_view kCookie = "\x21\x12\xa4\x42";
enum Method : std::uint16_t {
  kAllocate = 0x0003,
  kCreatePermission = 0x0008,
  kSend = 0x0016,
  kData = 0x0017
};
constexpr std::uint16_t kSuccess = 0x0100;
constexpr std::uint16_t kError = 0x0110;
enum Attribute : std::uint16_t {
  kUsername = 0x0006,
  kMessageIntegrity = 0x0008,
  kErrorCode = 0x0009,
  kXorPeerAddress = 0x0012,
  kDataBytes = 0x0013,
  kRealm = 0x0014,
  kNonce = 0x0015,
  kXorRelayedAddress = 0x0016,
  kRequestedTransport = 0x0019,
};

std::string big_endian(std::uint16_t value) {
  return {static_cast<char>(value >> 8U), static_cast<char>(value & 0xffU)};
}

std::uint16_t number(std::string_view bytes) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[0]) << 8U |
                                    static_cast<unsigned char>(bytes[1]));
}

std::string md5(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), out.data(), &size, EVP_md5(), nullptr) != 1)
    throw std::runtime_error("MD5");
  return {reinterpret_cast<const char*>(out.data()), size};
}

/// RFC 8489 §14.2: port and address, XORed with the cookie.
std::string xor_loopback(std::uint16_t port) {
  std::string out = std::string("\0\x01", 2) + big_endian(port ^ number(kCookie));
  for (std::size_t i = 0; i < 4; ++i)
    out.push_back(static_cast<char>("\x7f\0\0\x01"[i] ^ kCookie[i]));
  return out;
}

void append(std::string& message, std::uint16_t type, std::string_view value) {
  message += big_endian(type) + big_endian(static_cast<std::uint16_t>(value.size()));
  message += value;
  message.resize((message.size() + 3) / 4 * 4);
}

}  // namespace

UdpSocket::UdpSocket() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("no UDP port");
}

UdpSocket::~UdpSocket() {
  ::close(fd_);
}

std::uint16_t UdpSocket::port() const {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

void UdpSocket::send(std::uint16_t to, std::string_view bytes) const {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(to);
  ::sendto(fd_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&address),
           sizeof address);
}

std::optional<std::pair<std::string, std::uint16_t>> UdpSocket::receive(
    std::chrono::milliseconds limit) const {
  pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, static_cast<int>(limit.count())) <= 0) return std::nullopt;
  std::array<char, 2'048> bytes;
  sockaddr_in from{};
  socklen_t size = sizeof from;
  const ssize_t got =
      ::recvfrom(fd_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
  if (got < 0) return std::nullopt;
  return std::pair(std::string(bytes.data(), static_cast<std::size_t>(got)), ntohs(from.sin_port));
}

TurnClient::TurnClient(std::uint16_t server, std::string user, std::string password)
    : server_(server), user_(std::move(user)), password_(std::move(password)) {}

std::string TurnClient::seal(std::uint16_t type, const Attributes& attributes,
                             const std::string& id) const {
  std::string message = big_endian(type) + std::string(2, '\0') + std::string(kCookie) + id;
  for (const auto& [attribute, value] : attributes) append(message, attribute, value);
  const auto set_length = [&](std::size_t more) {
    message.replace(2, 2, big_endian(static_cast<std::uint16_t>(message.size() - 20 + more)));
  };
  set_length(0);
  if (nonce_.empty()) return message;
  append(message, kUsername, user_);
  append(message, kRealm, realm_);
  append(message, kNonce, nonce_);
  // RFC 8489 §14.5: over everything before it, with the length that includes it.
  set_length(24);
  const auto digest = crypto::hmac_sha1(md5(user_ + ":" + realm_ + ":" + password_), message);
  append(message, kMessageIntegrity, crypto::as_text(digest));
  return message;
}

std::optional<TurnClient::Answer> TurnClient::exchange(std::uint16_t type,
                                                       const Attributes& attributes) {
  const auto random = crypto::SystemRandom().bytes<12>();
  const std::string id(crypto::as_text(random));
  const std::string request = seal(type, attributes, id);
  for (int attempt = 0; attempt < 5; ++attempt) {
    socket_.send(server_, request);
    const auto got = socket_.receive();
    if (!got || got->first.size() < 20 || got->first.substr(8, 12) != id) continue;
    Answer answer{.type = number(got->first), .attributes = {}};
    for (std::string_view rest = std::string_view(got->first).substr(20); rest.size() >= 4;) {
      const std::size_t size = number(rest.substr(2));
      if (rest.size() < 4 + size) break;
      answer.attributes.emplace(number(rest), rest.substr(4, size));
      rest.remove_prefix(std::min(rest.size(), 4 + (size + 3) / 4 * 4));
    }
    error_ = 0;
    if (answer.type == (type | kError)) {
      const std::string& code = answer.attributes[kErrorCode];
      error_ = code.size() < 4 ? -1 : code[2] * 100 + code[3];
    }
    return answer;
  }
  error_ = -1;
  return std::nullopt;
}

std::optional<TurnClient::Answer> TurnClient::ask(std::uint16_t type,
                                                  const Attributes& attributes) {
  for (int attempt = 0; attempt < 3; ++attempt) {
    auto answer = exchange(type, attributes);
    if (!answer || answer->type == (type | kSuccess)) return answer;
    const bool first = nonce_.empty() && error_ == 401;
    if (!first && error_ != 438) return std::nullopt;  // 438: the nonce was too old
    realm_ = answer->attributes[kRealm];
    nonce_ = answer->attributes[kNonce];
  }
  return std::nullopt;
}

std::optional<std::uint16_t> TurnClient::allocate() {
  const auto answer = ask(kAllocate, {{kRequestedTransport, std::string("\x11\0\0\0", 4)}});
  if (!answer) return std::nullopt;
  const auto relayed = answer->attributes.find(kXorRelayedAddress);
  if (relayed == answer->attributes.end() || relayed->second.size() != 8) return std::nullopt;
  const auto port = static_cast<std::uint16_t>(number(relayed->second.substr(2)) ^ number(kCookie));
  return relayed->second == xor_loopback(port) ? std::optional(port) : std::nullopt;
}

bool TurnClient::permit() {
  return ask(kCreatePermission, {{kXorPeerAddress, xor_loopback(0)}}).has_value();
}

void TurnClient::send(std::uint16_t to, std::string_view bytes) {
  std::string message =
      big_endian(kSend) + std::string(2, '\0') + std::string(kCookie) + std::string(12, 'i');
  append(message, kXorPeerAddress, xor_loopback(to));
  append(message, kDataBytes, bytes);
  message.replace(2, 2, big_endian(static_cast<std::uint16_t>(message.size() - 20)));
  socket_.send(server_, message);
}

std::optional<std::string> TurnClient::receive() {
  for (auto got = socket_.receive(); got; got = socket_.receive()) {
    std::string_view rest = got->first;
    if (rest.size() < 20 || number(rest) != kData) continue;
    for (rest.remove_prefix(20); rest.size() >= 4;) {
      const std::size_t size = number(rest.substr(2));
      if (number(rest) == kDataBytes) return std::string(rest.substr(4, size));
      rest.remove_prefix(std::min(rest.size(), 4 + (size + 3) / 4 * 4));
    }
  }
  return std::nullopt;
}

}  // namespace nb::test
