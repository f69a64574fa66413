// Messages of the relay protocol: one each is one binary WebSocket message.
// Source   contract/signal-relay-ops.md §3.1–3.3
#pragma once

#include "base/result.h"
#include "crypto/relay_token.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nb::relay {

using PeerId = crypto::RelayPeerId;
using Bytes = std::span<const std::uint8_t>;

enum class Type : std::uint8_t {
  kTransport = 3,
  kClose = 4,
  kHealthCheck = 5,
  kAuth = 6,
  kAuthResponse = 7,
  kSubscribe = 8,
  kUnsubscribe = 9,
  kPeersOnline = 10,
  kPeersOffline = 11,
};

inline constexpr std::uint8_t kVersion = 1;
inline constexpr std::size_t kHeadBytes = 2;
inline constexpr std::size_t kIdBytes = std::tuple_size_v<PeerId>;
inline constexpr std::size_t kTransportHeadBytes = kHeadBytes + kIdBytes;
inline constexpr std::size_t kMessageMax = 8820;  // after the handshake
inline constexpr std::size_t kPayloadMax = kMessageMax - kTransportHeadBytes;
inline constexpr std::size_t kAuthMax = 212;
inline constexpr std::size_t kAuthResponseMax = 8192;
inline constexpr std::size_t kIdsMax = 244;  // of one message about presence

/// The type of a message that a client may send; nothing for any other first two bytes.
[[nodiscard]] std::optional<Type> client_type(std::uint8_t version, std::uint8_t type);
/// The same for what a server may send.
[[nodiscard]] std::optional<Type> server_type(std::uint8_t version, std::uint8_t type);

/// Who a client says it is, not checked yet. `payload` points into the message.
struct AuthRequest {
  PeerId id{};
  std::uint8_t algorithm = 0;  // 1: HMAC-SHA256
  std::array<std::uint8_t, 32> signature{};
  std::string_view payload;
};
/// Errors   kInvalidArgument: not an authentication message, too short or too long.
[[nodiscard]] Result<AuthRequest> parse_auth(Bytes message);
[[nodiscard]] std::string make_auth(const PeerId& id, const crypto::RelayToken& token);

/// The instance URL; nothing when the message is not an authentication response.
[[nodiscard]] std::optional<std::string_view> parse_auth_response(Bytes message);
[[nodiscard]] std::string make_auth_response(std::string_view instance_url);

/// Ids of a message about presence; nothing when its length does not fit.
[[nodiscard]] std::optional<std::vector<PeerId>> parse_ids(Bytes body);
[[nodiscard]] std::string make_ids(Type type, std::span<const PeerId> ids);

/// Two bytes: close and health check.
[[nodiscard]] std::array<std::uint8_t, kHeadBytes> make_plain(Type type);
[[nodiscard]] std::string make_transport(const PeerId& peer, std::string_view payload);

/// Keyed anew in each process, so that nobody can choose ids that fall into one bucket.
struct PeerIdHash {
  std::size_t operator()(const PeerId& id) const noexcept;
};

}  // namespace nb::relay
