#include "management/grpc/envelope.h"

#include "management/netmap/wire.h"
#include "proto/management.pb.h"

#include <utility>

namespace nb::management::grpc {
namespace {

constexpr std::size_t kNonceBytes = 24;    // in front of a body, contract/management-grpc.md §2
constexpr std::size_t kKeyTextShown = 64;  // of a key that is none; never more into an answer

Error bad_request() {
  return fail(Code::kInvalidArgument, "invalid request message");
}

/// Bad bytes must not end up in a status text.
std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kKeyTextShown)) out += c >= ' ' && c <= '~' ? c : '?';
  return out;
}

Error bad_key(std::string_view raw, EnvelopeTexts texts, std::string_view rpc) {
  if (texts == EnvelopeTexts::kFlow)
    return fail(Code::kInvalidArgument,
                "error while parsing peer's Wireguard public key {} on {} request.", printable(raw),
                rpc);
  return fail(Code::kInvalidArgument, "provided wgPubKey {} is invalid", printable(raw));
}

std::string name_of(const crypto::PublicKey& key) {
  return {reinterpret_cast<const char*>(key.bytes().data()), key.bytes().size()};
}

}  // namespace

Result<> ServerKeyRing::set(std::vector<crypto::PrivateKey> secrets) {
  if (secrets.empty()) return fail(Code::kInvalidArgument, "server keys: none given");
  auto keys = std::make_shared<std::vector<Key>>();
  for (crypto::PrivateKey& secret : secrets) {
    std::string text = secret.public_key().base64();
    keys->push_back({std::move(secret), std::move(text)});
  }
  const std::lock_guard lock(mutex_);
  keys_ = std::move(keys);
  shared_.clear();
  return {};
}

ServerKeyRing::Keys ServerKeyRing::keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

std::optional<ServerKeyRing::Shared> ServerKeyRing::known(const crypto::PublicKey& agent) const {
  const std::lock_guard lock(mutex_);
  const Shared* const found = shared_.find(name_of(agent));
  return found == nullptr ? std::nullopt : std::optional(*found);
}

void ServerKeyRing::remember(const Keys& keys, const crypto::PublicKey& agent,
                             Shared shared) const {
  const std::lock_guard lock(mutex_);
  if (keys == keys_) shared_.put(name_of(agent), std::move(shared));
}

std::string Channel::seal(std::initializer_list<std::string_view> plain,
                          crypto::RandomSource& random) const {
  // Not by the protocol library: a map would be copied once more.
  namespace wire = netmap::wire;
  constexpr unsigned kKey = ::management::EncryptedMessage::kWgPubKeyFieldNumber;
  constexpr unsigned kBody = ::management::EncryptedMessage::kBodyFieldNumber;
  constexpr std::size_t kHeadsMax = 2 * (1 + 5);
  std::size_t body = crypto::BoxSession::kOverhead;
  for (const std::string_view part : plain) body += part.size();
  std::string out;
  out.reserve(kHeadsMax + server_key.size() + body);
  wire::put_bytes(out, kKey, server_key);
  wire::put_head(out, kBody, body);
  box.seal_onto(out, plain, random);
  return out;
}

Result<Opened> open_envelope(std::string_view bytes, const ServerKeyRing& ring, EnvelopeTexts texts,
                             std::string_view rpc) {
  ::management::EncryptedMessage message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return bad_request();
  const auto peer = crypto::PublicKey::parse(message.wgpubkey());
  if (!peer) return bad_key(message.wgpubkey(), texts, rpc);
  const auto keys = ring.keys();
  if (!keys) return fail(Code::kInternal, "failed processing request");
  const auto opened = [&](const ServerKeyRing::Shared& with, std::string plain) {
    return Opened{{PeerKey(peer->base64()), with.box, with.server_key},
                  std::move(plain),
                  message.body().substr(0, kNonceBytes)};
  };
  if (const auto shared = ring.known(*peer))
    if (auto plain = shared->box.open(message.body())) return opened(*shared, std::move(*plain));
  for (const ServerKeyRing::Key& key : *keys) {
    auto box = crypto::BoxSession::create(key.secret, *peer);
    if (!box) return bad_key(message.wgpubkey(), texts, rpc);
    auto plain = box->open(message.body());
    if (!plain) continue;
    const ServerKeyRing::Shared shared{*box, key.public_text};
    ring.remember(keys, *peer, shared);
    return opened(shared, std::move(*plain));
  }
  if (texts == EnvelopeTexts::kFlow)
    return fail(Code::kInvalidArgument,
                "error while decrypting peer's message with Wireguard public key {}.",
                printable(message.wgpubkey()));
  return bad_request();
}

Result<std::string> open_on(const Channel& channel, std::string_view bytes) {
  ::management::EncryptedMessage message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return bad_request();
  return channel.box.open(message.body());
}

}  // namespace nb::management::grpc
