// A reverse-proxy service as its administrator sees it, and what is asked of one. What the network
// map needs of it is in proxy_service.h.
// Source   contract/rest-api.md §7.16.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "management/domain/ids.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management {

/// A token by which reverse proxies of an account connect.
struct ProxyTokenId : StrongId<ProxyTokenId, std::string> {
  using StrongId::StrongId;
};

/// Who may come in by a shared secret. `secret` is plain in what a caller sends and a hash in what
/// is stored; it never leaves the server.
struct SecretAuth {
  bool enabled = false;
  std::string secret{};
};

struct BearerAuth {
  bool enabled = false;
  std::vector<std::string> distribution_groups{};  // group ids
};

struct HeaderAuth {
  bool enabled = false;
  std::string header{};
  std::string secret{};
};

struct ServiceAuth {
  std::optional<SecretAuth> password{};
  std::optional<SecretAuth> pin{};
  std::optional<BearerAuth> bearer{};
  std::vector<HeaderAuth> headers{};

  [[nodiscard]] bool any_enabled() const;
};

struct AccessRestrictions {
  std::vector<std::string> allowed_cidrs{};
  std::vector<std::string> blocked_cidrs{};
  std::vector<std::string> allowed_countries{};  // ISO 3166-1 alpha-2, upper case
  std::vector<std::string> blocked_countries{};
  std::string crowdsec_mode{};  // "", "off", "enforce", "observe"

  [[nodiscard]] bool empty() const;
};

struct TargetOptions {
  bool skip_tls_verify = false;
  std::chrono::nanoseconds request_timeout{};       // 0: the proxy's own
  std::chrono::nanoseconds session_idle_timeout{};  // 0: the proxy's own
  std::string path_rewrite{};                       // "" or "preserve"
  std::map<std::string, std::string> custom_headers{};
  bool direct_upstream = false;
  bool proxy_protocol = false;
};

struct FullTarget {
  std::optional<std::string> path{};
  std::string host{};  // stored for subnets and clusters; of others it is looked up
  std::int64_t port = 0;
  std::string protocol{};     // "http", "https", "tcp", "udp"
  std::string target_id{};    // a peer, a network resource, or a cluster's address
  std::string target_type{};  // "peer", "host", "domain", "subnet", "cluster"
  bool enabled = false;
  TargetOptions options{};
};

inline constexpr std::string_view kModeHttp = "http";
inline constexpr std::string_view kModeTls = "tls";
inline constexpr std::string_view kSourcePermanent = "permanent";
inline constexpr std::string_view kSourceEphemeral = "ephemeral";  // exposed by a peer, for a while

struct Service {
  ServiceId id{};
  AccountId account_id{};            // as stored
  std::string session_public_key{};  // as stored: of the tokens that its visitors get
  std::string name{};
  std::string domain{};
  std::string proxy_cluster{};
  bool enabled = false;
  bool terminated = false;
  bool pass_host_header = false;
  bool rewrite_redirects = false;
  ServiceAuth auth{};
  AccessRestrictions restrictions{};
  std::optional<WallTime> created_at{};
  std::optional<WallTime> certificate_issued_at{};
  std::string status{};  // "pending", "active", …: the cluster's word
  std::string source{kSourcePermanent};
  PeerId source_peer{};  // that exposes it; as stored
  std::string mode{};    // "http", "tcp", "udp", "tls"
  std::int64_t listen_port = 0;
  bool port_auto_assigned = false;
  bool is_private = false;
  std::vector<GroupId> access_groups{};
  std::vector<FullTarget> targets{};

  /// Whole connections are passed on: tcp, udp, tls.
  [[nodiscard]] bool layer4() const { return mode != kModeHttp; }
  /// A listen port belongs to one service: tcp, udp.
  [[nodiscard]] bool by_port() const { return layer4() && mode != kModeTls; }
};

/// Everything that can be said without the database. An empty mode becomes http, country codes
/// become upper case, the target of a layer 4 service becomes enabled.
/// Errors   kInvalidArgument.
[[nodiscard]] Result<> check_service(Service& service);

/// Proxies that serve one address, as their rows tell.
struct ProxyCluster {
  std::string id{};  // of one of its proxies
  std::string address{};
  bool account_owned = false;
  std::int64_t connected_proxies = 0;
  // Nothing: no proxy that is connected said so.
  std::optional<bool> supports_custom_ports{};
  std::optional<bool> require_subdomain{};
  std::optional<bool> supports_crowdsec{};
  std::optional<bool> is_private{};

  [[nodiscard]] bool online() const { return connected_proxies > 0; }
};

/// The cluster whose address is the domain or its end; the longest one. Null: none.
[[nodiscard]] const ProxyCluster* cluster_of_domain(const std::vector<ProxyCluster>& clusters,
                                                    std::string_view domain);

}  // namespace nb::management
