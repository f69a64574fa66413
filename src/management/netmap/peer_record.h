// What the maps of an account need of one peer, ready to be copied into them.
#pragma once

#include "base/clock.h"
#include "management/domain/account_snapshot.h"
#include "management/netmap/agent_version.h"
#include "management/netmap/bits.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace nb::netmap {

/// What of the account goes into every peer's record.
struct PeerContext {
  const management::AccountSettings& settings;
  const std::string& dns_domain;
};

/// What of an account peers' records are made with: equal ones make equal records.
struct AccountSettingsOfPeers {
  AccountSettingsOfPeers(const management::Account& account, std::string domain)
      : dns_domain(std::move(domain)),
        approval(account.settings.extra_peer_approval_enabled),
        expires(account.settings.peer_login_expiration_enabled),
        expiration(account.settings.peer_login_expiration) {}
  std::string dns_domain;
  bool approval = false;
  bool expires = false;
  std::chrono::nanoseconds expiration{};
  friend bool operator==(const AccountSettingsOfPeers&, const AccountSettingsOfPeers&) = default;
};

/// Two forms of everything: for receivers without and with IPv6.
struct PeerRecord {
  PeerRecord(std::shared_ptr<const management::Peer> source, const PeerContext& context,
             bool in_ipv6_group);

  std::shared_ptr<const management::Peer> peer;
  AgentFeatures features;
  bool validated = true;
  bool has_ipv6 = false;
  bool source_prefixes = false;
  bool ssh_companion = false;  // 22 brings 22022 along in plain tcp rules
  bool stored_as_expired = false;
  std::optional<WallTime> deadline;        // of the login
  bool proxy_connected = false;            // only of peers inside reverse proxies
  std::array<std::string, 2> config;       // RemotePeerConfig as element 3
  std::array<std::string, 2> dns_records;  // SimpleRecord, element 2
  std::string ip_text;
  std::string ipv6_text;  // empty: none
  std::string ip_prefix;  // FirewallRule.sourcePrefixes
  std::string ipv6_prefix;

  /// Other peers' maps cannot tell the two apart.
  [[nodiscard]] bool looks_like(const PeerRecord& other) const;
  /// The peer's own map cannot tell the two apart either.
  [[nodiscard]] bool acts_like(const PeerRecord& other) const;
};

using PeerRecordPtr = std::shared_ptr<const PeerRecord>;

/// The bytes of 64 neighbouring peers, one after the other: a run of peers is one copy.
class PeerChunk {
 public:
  static constexpr std::size_t kPeers = Bits::kWordBits;
  enum class Part : std::uint8_t { kConfig, kDns };

  using Records = std::array<PeerRecordPtr, kPeers>;  // null for absent ones
  explicit PeerChunk(Records peers);
  [[nodiscard]] const Records& records() const { return records_; }

  void append(std::string& out, Part part, bool ipv6, Bits::Word wanted) const;
  [[nodiscard]] std::size_t bytes(Part part, bool ipv6, Bits::Word wanted) const;

 private:
  struct Bytes {
    std::string text;
    std::array<std::uint32_t, kPeers + 1> offsets{};
  };
  template <class Visit>
  void runs(const Bytes& bytes, Bits::Word wanted, Visit visit) const;
  [[nodiscard]] const Bytes& bytes_of(Part part, bool ipv6) const {
    return bytes_[(part == Part::kDns ? 2U : 0U) + (ipv6 ? 1U : 0U)];
  }

  Records records_;
  Bits::Word absent_ = 0;
  std::array<Bytes, 4> bytes_;
};

}  // namespace nb::netmap
