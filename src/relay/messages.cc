#include "relay/messages.h"

#include "base/assert.h"
#include "crypto/random.h"

#include <algorithm>
#include <cstring>

namespace nb::relay {

namespace {
constexpr std::array<std::uint8_t, 4> kMagic = {0x21, 0x12, 0xA4, 0x42};
constexpr std::size_t kIdAt = kHeadBytes + kMagic.size();
constexpr std::size_t kAlgorithmAt = kIdAt + kIdBytes;
constexpr std::size_t kSignatureAt = kAlgorithmAt + 1;
constexpr std::size_t kPayloadAt = kSignatureAt + 32;

std::string begin(Type type, std::size_t size) {
  std::string out;
  out.reserve(size);
  out.push_back(static_cast<char>(kVersion));
  out.push_back(static_cast<char>(type));
  return out;
}

std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string_view text_of(const PeerId& id) {
  return {reinterpret_cast<const char*>(id.data()), id.size()};
}

bool begins_with(Bytes message, Type type) {
  return message.size() > kHeadBytes && message[0] == kVersion &&
         message[1] == static_cast<std::uint8_t>(type);
}
}  // namespace

std::optional<Type> client_type(std::uint8_t version, std::uint8_t type) {
  if (version != kVersion) return std::nullopt;
  switch (static_cast<Type>(type)) {
    case Type::kTransport:
    case Type::kClose:
    case Type::kHealthCheck:
    case Type::kAuth:
    case Type::kSubscribe:
    case Type::kUnsubscribe:
      return static_cast<Type>(type);
    default:
      return std::nullopt;
  }
}

std::optional<Type> server_type(std::uint8_t version, std::uint8_t type) {
  if (version != kVersion) return std::nullopt;
  switch (static_cast<Type>(type)) {
    case Type::kTransport:
    case Type::kClose:
    case Type::kHealthCheck:
    case Type::kAuthResponse:
    case Type::kPeersOnline:
    case Type::kPeersOffline:
      return static_cast<Type>(type);
    default:
      return std::nullopt;
  }
}

Result<AuthRequest> parse_auth(Bytes message) {
  if (!begins_with(message, Type::kAuth))
    return fail(Code::kInvalidArgument, "the first message is no authentication");
  if (message.size() < kPayloadAt || message.size() > kAuthMax)
    return fail(Code::kInvalidArgument, "authentication of {} bytes", message.size());
  if (!std::equal(kMagic.begin(), kMagic.end(), message.begin() + kHeadBytes))
    return fail(Code::kInvalidArgument, "authentication without its magic number");
  AuthRequest out;
  std::memcpy(out.id.data(), message.data() + kIdAt, kIdBytes);
  out.algorithm = message[kAlgorithmAt];
  std::memcpy(out.signature.data(), message.data() + kSignatureAt, out.signature.size());
  out.payload = text_of(message.subspan(kPayloadAt));
  return out;
}

std::string make_auth(const PeerId& id, const crypto::RelayToken& token) {
  std::string out = begin(Type::kAuth, kPayloadAt + token.payload.size());
  out.append(reinterpret_cast<const char*>(kMagic.data()), kMagic.size());
  out.append(text_of(id));
  out.push_back(1);  // HMAC-SHA256
  out.append(text_of(token.signature));
  out.append(token.payload);
  return out;
}

std::optional<std::string_view> parse_auth_response(Bytes message) {
  if (!begins_with(message, Type::kAuthResponse) || message.size() > kAuthResponseMax)
    return std::nullopt;
  return text_of(message.subspan(kHeadBytes));
}

std::string make_auth_response(std::string_view instance_url) {
  NB_ASSERT(!instance_url.empty() && instance_url.size() <= kAuthResponseMax - kHeadBytes);
  std::string out = begin(Type::kAuthResponse, kHeadBytes + instance_url.size());
  out.append(instance_url);
  return out;
}

std::optional<std::vector<PeerId>> parse_ids(Bytes body) {
  if (body.empty() || body.size() % kIdBytes != 0 || body.size() > kIdsMax * kIdBytes)
    return std::nullopt;
  std::vector<PeerId> ids(body.size() / kIdBytes);
  for (std::size_t i = 0; i < ids.size(); ++i)
    std::memcpy(ids[i].data(), body.data() + i * kIdBytes, kIdBytes);
  return ids;
}

std::string make_ids(Type type, std::span<const PeerId> ids) {
  NB_ASSERT(!ids.empty() && ids.size() <= kIdsMax);
  std::string out = begin(type, kHeadBytes + ids.size() * kIdBytes);
  for (const PeerId& id : ids) out.append(text_of(id));
  return out;
}

std::array<std::uint8_t, kHeadBytes> make_plain(Type type) {
  return {kVersion, static_cast<std::uint8_t>(type)};
}

std::string make_transport(const PeerId& peer, std::string_view payload) {
  std::string out = begin(Type::kTransport, kTransportHeadBytes + payload.size());
  out.append(text_of(peer));
  out.append(payload);
  return out;
}

std::size_t PeerIdHash::operator()(const PeerId& id) const noexcept {
  static const std::array<std::uint64_t, 5> kKeys = [] {
    std::array<std::uint64_t, 5> keys{};
    crypto::SystemRandom().fill({reinterpret_cast<std::uint8_t*>(keys.data()), sizeof keys});
    return keys;
  }();
  std::array<std::uint64_t, 4> words{};
  std::uint32_t tail = 0;
  std::memcpy(words.data(), id.data(), sizeof words);
  std::memcpy(&tail, id.data() + sizeof words, sizeof tail);
  // Multiply and fold (as in wyhash): 128-bit products under secret keys.
  const auto fold = [](std::uint64_t a, std::uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  return fold(words[0] ^ kKeys[0], words[1] ^ kKeys[1]) ^
         fold(words[2] ^ kKeys[2], words[3] ^ kKeys[3]) ^ fold(tail ^ kKeys[4], kKeys[0] | 1);
}

}  // namespace nb::relay
