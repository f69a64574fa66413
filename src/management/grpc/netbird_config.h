// NetbirdConfig: where signal, STUN, TURN and relays are, and the credentials for them.
// Source   contract/management-grpc.md §6.1, §8.1.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "crypto/relay_token.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nb::management::grpc {

struct HostSettings {
  std::string protocol;  // udp, tcp, http, https, dtls
  std::string uri;
  std::string username{};
  Secret password{};
};

struct NetbirdSettings {
  std::vector<HostSettings> stuns;
  std::vector<HostSettings> turns;
  bool turn_time_based = false;
  Secret turn_secret;
  std::chrono::seconds turn_ttl{std::chrono::hours(12)};
  std::optional<HostSettings> signal;
  std::vector<std::string> relay_addresses;
  Secret relay_secret;
  std::chrono::seconds relay_ttl{std::chrono::hours(12)};
};

/// Encoded NetbirdConfig messages. Immutable; any thread.
class NetbirdConfigs {
 public:
  /// Errors   kInvalidArgument: an unknown protocol word, or no signal server.
  static Result<NetbirdConfigs> create(NetbirdSettings settings);

  /// LoginResponse: TURN with its static credentials, also in time-based mode.
  [[nodiscard]] std::string login(WallTime now, bool metrics_push) const;
  /// First SyncResponse of a stream: fresh credentials for everything.
  [[nodiscard]] std::string initial(WallTime now, bool metrics_push) const;
  /// Refresh on a running stream. Agents switch relays off when a config comes without them, so
  /// both kinds carry the relay where there is one. Empty: nothing to refresh.
  [[nodiscard]] std::string turn_refresh(WallTime now) const;
  [[nodiscard]] std::string relay_refresh(WallTime now) const;
  /// Three quarters of the time to live; nothing when there is nothing to refresh.
  [[nodiscard]] std::optional<std::chrono::seconds> turn_refresh_after() const;
  [[nodiscard]] std::optional<std::chrono::seconds> relay_refresh_after() const;

 private:
  explicit NetbirdConfigs(NetbirdSettings settings);
  NetbirdSettings settings_;
  std::optional<crypto::RelayTokens> relay_tokens_;
};

}  // namespace nb::management::grpc
