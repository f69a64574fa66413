// Domain values as protobuf messages of the management protocol.
#pragma once

#include "base/clock.h"
#include "management/netmap/map_view.h"
#include "management/netmap/network_map.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace management {
class PeerConfig;
}  // namespace management
namespace google::protobuf {
class Timestamp;
}  // namespace google::protobuf

namespace nb::management::grpc {

/// What agents need to check SSH tokens (contract/management-grpc.md §6.2), from configuration.
struct JwtSettings {
  std::string issuer;
  std::string keys_location;
  std::string audience;                // for old agents
  std::vector<std::string> audiences;  // empty: SSH by token is not configured
};

struct EncoderSettings {
  std::string dns_domain;  // the server's; an account's own wins
  std::optional<JwtSettings> jwt;
  std::string user_id_claim = "sub";
};

/// Everything of a peer configuration that comes from the account.
struct PeerConfigInput {
  const Peer& peer;
  const AccountNetwork& network;
  const AccountSettings& settings;
  const std::string& dns_domain;  // effective
  bool ssh_enabled = false;
  bool force_dns_resolution = false;  // the reverse proxy needs it
};
void fill_peer_config(::management::PeerConfig& out, const PeerConfigInput& input,
                      const EncoderSettings& settings);

/// The deadline of the peer's login, or the zero time that means "none".
void fill_session_deadline(::google::protobuf::Timestamp& out, const Peer& peer,
                           const AccountSettings& settings);

/// Which of the two forms an agent understands best (contract/management-grpc.md §3.8).
enum class MapForm : std::uint8_t {
  kLegacy,      // NetworkMap
  kComponents,  // NetworkMapEnvelope
};

/// The server's side of the choice; the agent's is PeerMeta::sync_message_version.
struct MapForms {
  MapForm best = MapForm::kLegacy;
  std::map<std::string, MapForm> by_account{};  // instead of `best`
  [[nodiscard]] MapForm of(const Peer& peer) const;
};

/// A SyncResponse without NetbirdConfig, in parts around the serial, so that equal maps of
/// different serials have equal digests and nothing is encoded twice.
struct EncodedMap {
  std::string head;  // fields of SyncResponse besides the network map
  /// Fields of NetworkMap besides the serial; in the component form of NetworkMapComponentsFull
  /// besides serial and network.
  std::string map;
  /// Only in the component form: fields of AccountNetwork besides the serial.
  std::optional<std::string> network{};
  [[nodiscard]] std::uint64_t digest() const;
  /// The posture-check fields of `head`, as they stand there.
  [[nodiscard]] std::string checks() const;
  /// The SyncResponse up to `map`, which is its end; `netbird_config`: an encoded NetbirdConfig, or
  /// empty for none.
  [[nodiscard]] std::string before_map(std::uint64_t serial,
                                       const std::string& netbird_config) const;
  /// The whole SyncResponse.
  [[nodiscard]] std::string message(std::uint64_t serial, const std::string& netbird_config) const;
};

/// Pure; any thread. Lists come out in the order of the account's ids, so bytes are stable.
[[nodiscard]] EncodedMap encode_map(const netmap::AccountView& view, const netmap::NetworkMap& map,
                                    const EncoderSettings& settings);

/// Options of the views that make_map() is called with.
[[nodiscard]] netmap::MapViewOptions view_options(const EncoderSettings& settings);

struct MadeMap {
  EncodedMap map;
  /// When the map changes by time alone: a peer's login ends.
  std::optional<WallTime> changes_at;
};
/// The map of the peer in `slot`, the fast way: byte for byte what encode_map() makes of the plain
/// calculation, where slots are positions. `settings` are those of the view's options.
/// `form`: the best the agent understands; the few maps that components cannot say exactly are
/// legacy ones anyway.
[[nodiscard]] MadeMap make_map(const netmap::MapView& view, netmap::PeerIndex slot, WallTime now,
                               const EncoderSettings& settings, MapForm form = MapForm::kLegacy);

/// What a deleted peer gets before its stream ends (contract/management-grpc.md §5.6).
[[nodiscard]] std::string encode_deletion(std::uint64_t serial, std::int64_t forwarder_port);

}  // namespace nb::management::grpc
