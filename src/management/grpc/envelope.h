// EncryptedMessage: who calls, and what they said. Opening the box is the authentication.
// Source   contract/management-grpc.md §2.
#pragma once

#include "base/lru_cache.h"
#include "base/result.h"
#include "crypto/box.h"
#include "crypto/random.h"
#include "management/domain/ids.h"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management::grpc {

/// The deployment's server keys: the current one answers GetServerKey, all of them open requests.
/// Thread-safe.
class ServerKeyRing {
 public:
  struct Key {
    crypto::PrivateKey secret;
    std::string public_text;
  };
  using Keys = std::shared_ptr<const std::vector<Key>>;
  /// Current first. Errors   kInvalidArgument: none given.
  Result<> set(std::vector<crypto::PrivateKey> keys);
  [[nodiscard]] Keys keys() const;

  /// What an agent's last request was opened with.
  struct Shared {
    crypto::BoxSession box;
    std::string server_key;  // text
  };
  /// An agent makes three calls to arrive, and its shared key costs more than the rest of opening
  /// them. Nothing if the ring has other keys since, or the agent is one of too many.
  [[nodiscard]] std::optional<Shared> known(const crypto::PublicKey& agent) const;
  void remember(const Keys& keys, const crypto::PublicKey& agent, Shared shared) const;

 private:
  static constexpr std::size_t kAgentsMax = 16'384;
  mutable std::mutex mutex_;
  Keys keys_;
  mutable LruCache<std::string, Shared> shared_{kAgentsMax};
};

/// One agent and the shared key with it; a stream keeps it for its life, since the agent keeps the
/// server key it fetched before.
struct Channel {
  PeerKey peer;  // canonical
  crypto::BoxSession box;
  std::string server_key;  // text of the key that opened the request

  /// An encoded EncryptedMessage around `plain`.
  [[nodiscard]] std::string seal(std::string_view plain, crypto::RandomSource& random) const {
    return seal({plain}, random);
  }
  /// The same for a message in parts.
  [[nodiscard]] std::string seal(std::initializer_list<std::string_view> plain,
                                 crypto::RandomSource& random) const;
};

struct Opened {
  Channel channel;
  std::string plain;
  std::string nonce;  // the sender's, different for each message; what is sealed depends on it
};

/// Which texts a failed opening is told with.
enum class EnvelopeTexts : std::uint8_t { kCommon, kFlow };

/// Opens an encoded EncryptedMessage.
/// Errors   kInvalidArgument with upstream's texts, nothing of the content in them.
[[nodiscard]] Result<Opened> open_envelope(std::string_view message, const ServerKeyRing& ring,
                                           EnvelopeTexts texts = EnvelopeTexts::kCommon,
                                           std::string_view rpc = {});
/// A later message on the same stream.
[[nodiscard]] Result<std::string> open_on(const Channel& channel, std::string_view message);

}  // namespace nb::management::grpc
