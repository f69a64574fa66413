#include "management/grpc/netbird_config.h"

#include "proto/management.pb.h"

#include <utility>

namespace nb::management::grpc {
namespace {

namespace pb = ::management;
using namespace std::chrono_literals;

constexpr std::chrono::seconds kDefaultTtl = 12h;

std::optional<pb::HostConfig::Protocol> protocol_of(const std::string& word) {
  if (word == "udp") return pb::HostConfig::UDP;
  if (word == "tcp") return pb::HostConfig::TCP;
  if (word == "http") return pb::HostConfig::HTTP;
  if (word == "https") return pb::HostConfig::HTTPS;
  if (word == "dtls") return pb::HostConfig::DTLS;
  return std::nullopt;
}

void fill_host(pb::HostConfig& out, const HostSettings& host) {
  out.set_uri(host.uri);
  out.set_protocol(protocol_of(host.protocol).value_or(pb::HostConfig::UDP));
}

std::chrono::sys_seconds expiry(WallTime now, std::chrono::seconds ttl) {
  return std::chrono::floor<std::chrono::seconds>(now) + ttl;
}

void add_relay(pb::NetbirdConfig& out, const NetbirdSettings& settings,
               const std::optional<crypto::RelayTokens>& tokens, WallTime now) {
  if (settings.relay_addresses.empty()) return;
  auto& relay = *out.mutable_relay();
  for (const std::string& address : settings.relay_addresses) relay.add_urls(address);
  if (!tokens) return;
  const crypto::RelayToken token = tokens->make(expiry(now, settings.relay_ttl));
  relay.set_tokenpayload(token.payload);
  relay.set_tokensignature(token.signature_base64());
}

void add_turns(pb::NetbirdConfig& out, const NetbirdSettings& settings, WallTime now,
               bool time_based) {
  crypto::TurnCredentials fresh;
  if (time_based)
    fresh = crypto::make_turn_credentials(settings.turn_secret, expiry(now, settings.turn_ttl));
  for (const HostSettings& host : settings.turns) {
    auto& turn = *out.add_turns();
    fill_host(*turn.mutable_hostconfig(), host);
    turn.set_user(time_based ? fresh.username : host.username);
    turn.set_password(time_based ? fresh.password : std::string(host.password.reveal()));
  }
}

void add_fixed(pb::NetbirdConfig& out, const NetbirdSettings& settings, bool metrics_push) {
  for (const HostSettings& stun : settings.stuns) fill_host(*out.add_stuns(), stun);
  // Agents read it without asking whether it is there.
  auto& signal = *out.mutable_signal();
  if (settings.signal) fill_host(signal, *settings.signal);
  out.mutable_metrics()->set_enabled(metrics_push);
}

}  // namespace

NetbirdConfigs::NetbirdConfigs(NetbirdSettings settings) : settings_(std::move(settings)) {
  if (settings_.turn_ttl <= 0s) settings_.turn_ttl = kDefaultTtl;
  if (settings_.relay_ttl <= 0s) settings_.relay_ttl = kDefaultTtl;
  if (!settings_.relay_secret.empty())
    relay_tokens_.emplace(std::vector<Secret>{settings_.relay_secret});
}

Result<NetbirdConfigs> NetbirdConfigs::create(NetbirdSettings settings) {
  const auto check = [](const char* where, const HostSettings& host) -> Result<> {
    if (protocol_of(host.protocol)) return {};
    return fail(Code::kInvalidArgument, "{}: protocol '{}' is none of udp, dtls, tcp, http, https",
                where, host.protocol);
  };
  for (const HostSettings& host : settings.stuns) NB_TRY(check("Stuns", host));
  for (const HostSettings& host : settings.turns) NB_TRY(check("TURNConfig.Turns", host));
  if (settings.signal) NB_TRY(check("Signal", *settings.signal));
  return NetbirdConfigs(std::move(settings));
}

std::string NetbirdConfigs::login(WallTime now, bool metrics_push) const {
  pb::NetbirdConfig out;
  add_fixed(out, settings_, metrics_push);
  add_turns(out, settings_, now, false);
  add_relay(out, settings_, relay_tokens_, now);
  return out.SerializeAsString();
}

std::string NetbirdConfigs::initial(WallTime now, bool metrics_push) const {
  pb::NetbirdConfig out;
  add_fixed(out, settings_, metrics_push);
  add_turns(out, settings_, now, settings_.turn_time_based);
  add_relay(out, settings_, relay_tokens_, now);
  return out.SerializeAsString();
}

std::string NetbirdConfigs::turn_refresh(WallTime now) const {
  pb::NetbirdConfig out;
  if (!turn_refresh_after()) return {};
  add_turns(out, settings_, now, true);
  add_relay(out, settings_, relay_tokens_, now);
  return out.SerializeAsString();
}

std::string NetbirdConfigs::relay_refresh(WallTime now) const {
  pb::NetbirdConfig out;
  if (!relay_refresh_after()) return {};
  add_relay(out, settings_, relay_tokens_, now);
  return out.SerializeAsString();
}

std::optional<std::chrono::seconds> NetbirdConfigs::turn_refresh_after() const {
  if (!settings_.turn_time_based || settings_.turns.empty()) return std::nullopt;
  return settings_.turn_ttl * 3 / 4;
}

std::optional<std::chrono::seconds> NetbirdConfigs::relay_refresh_after() const {
  if (settings_.relay_addresses.empty() || !relay_tokens_) return std::nullopt;
  return settings_.relay_ttl * 3 / 4;
}

}  // namespace nb::management::grpc
