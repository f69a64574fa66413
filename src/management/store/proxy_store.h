// What reverse proxies need of the database: who they are, what they serve, who may come in.
//
// Beside Store so that either can grow alone; the same database, threads and failures (store.h).
// What an administrator does with proxies is in edits/services.h.
#pragma once

#include "management/domain/peer.h"
#include "management/domain/service.h"
#include "management/domain/user.h"
#include "management/store/edits/services.h"
#include "management/store/sql_store.h"
#include "management/store/store.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nb::management {

/// PostgreSQL channel of what an operator's verb changed for streams of proxies; they look then.
inline constexpr const char* kProxyChannel = "nb_proxies_changed";

/// What a proxy token allows.
struct ProxyGrant {
  ProxyTokenId token{};
  std::optional<AccountId> account{};  // nothing: services of every account
  std::optional<WallTime> expires_at{};
  bool revoked = false;

  [[nodiscard]] bool usable_at(WallTime now) const {
    return !revoked && (!expires_at || *expires_at > now);
  }
};

/// A stream that a proxy opens; `session` is new with each.
struct ProxyHello {
  std::string id{};
  std::string session{};
  std::string address{};  // of its cluster
  std::string ip{};
  std::optional<AccountId> account{};
  std::optional<bool> supports_custom_ports{};
  std::optional<bool> require_subdomain{};
  std::optional<bool> supports_crowdsec{};
  std::optional<bool> is_private{};
};

/// An account with services in a cluster. Whatever a mapping says comes from rows that raise it.
struct AccountMark {
  AccountId account{};
  std::uint64_t serial = 0;
};

struct ProxyPulse {
  enum class State : std::uint8_t {
    kServing,
    kSuperseded,    // a newer stream of the same proxy, wherever
    kDisconnected,  // an operator says so
    kTokenEnded,    // revoked, expired or gone
  };
  State state = State::kServing;
  std::vector<AccountMark> marks{};  // by account
};

/// A service with what signs its visitors' sessions.
struct SignedService {
  Service service{};  // `auth` holds hashes
  Secret private_key{};
};

struct NamedGroup {
  GroupId id{};
  std::string name{};
};
struct ProxyVisitor {
  User user{};
  std::vector<NamedGroup> groups{};  // his automatic ones
};
struct TunnelVisitor {
  Peer peer{};
  std::vector<NamedGroup> groups{};  // of the peer
  std::optional<User> owner{};       // of the same account
};

/// The peer by which a proxy reaches an account.
struct ProxyPeer {
  AccountId account{};
  std::string cluster{};
  PeerKey key{};
  std::string token_hash{};  // of the one-time token
  WallTime token_ends{};
};

/// What one round took from peers that do not renew any more, all in one transaction.
struct EndedExposures {
  std::size_t count = 0;
  std::vector<AccountSerial> accounts{};  // with their new serials
};

class ProxyStore {
 public:
  virtual ~ProxyStore() = default;

  /// Notes the use, at most once a minute.
  /// Errors   kNotFound.
  virtual Task<ProxyGrant> grant(Instant deadline, std::string token_hash) = 0;

  /// Makes the proxy's row, or takes it over from an older stream.
  /// Errors   kAlreadyExists: an account's token, and the address or the id is somebody else's.
  virtual Task<> connect(Instant deadline, ProxyHello hello) = 0;
  /// `heartbeat`: also says that the proxy is there.
  virtual Task<ProxyPulse> pulse(Instant deadline, ProxyHello hello, ProxyTokenId token,
                                 bool heartbeat) = 0;
  /// Nothing if a newer stream took over.
  virtual Task<> disconnect(Instant deadline, std::string id, std::string session) = 0;
  /// Enabled services of a cluster with the hosts of their targets, of those accounts.
  virtual Task<std::vector<Service>> services(Instant deadline, std::string address,
                                              std::vector<AccountId> accounts) = 0;

  /// Errors   kNotFound "service <id> not found".
  virtual Task<SignedService> service(Instant deadline, AccountId account, ServiceId id) = 0;
  /// Errors   kNotFound "service_not_found".
  virtual Task<SignedService> service_of_domain(Instant deadline, std::string domain) = 0;
  /// Errors   kNotFound "user_not_found".
  virtual Task<ProxyVisitor> visitor(Instant deadline, UserId user) = 0;
  /// Errors   kNotFound "peer_not_found".
  virtual Task<TunnelVisitor> tunnel_visitor(Instant deadline, AccountId account, IpAddress ip) = 0;

  /// Errors   kNotFound "service <id> not found".
  virtual Task<> set_status(Instant deadline, AccountId account, ServiceId id, std::string status,
                            bool certificate_issued) = 0;
  /// An entry that is there already stays as it is.
  /// Errors   kNotFound "service <id> not found".
  virtual Task<> add_access(Instant deadline, AccountId account, ProxyAccess access,
                            std::uint64_t geo_name_id) = 0;

  /// Takes the one-time token and makes the peer, both or neither. Nothing: it was there already.
  /// Errors   kUnauthenticated: the token was used; kAlreadyExists: the key is another peer's.
  virtual Task<std::optional<Peer>> create_peer(Instant deadline, ProxyPeer peer) = 0;
  /// Whoever asks first has it, on whatever instance.
  /// Errors   kUnauthenticated.
  virtual Task<> take_once(Instant deadline, std::string hash, WallTime ends) = 0;

  // Services that peers expose (edits/exposures.h); by the database's clock.

  /// Errors   kPermissionDenied: the account's settings do not let the peer any more; kNotFound: it
  ///          exposes nothing under that domain.
  virtual Task<> renew_exposure(Instant deadline, AccountId account, PeerId peer,
                                std::string domain) = 0;
  /// Removes at most `limit` that were not renewed for `silence`. Each goes once, with one event,
  /// whichever instances look at the same time.
  virtual Task<EndedExposures> end_exposures(Instant deadline, std::chrono::seconds silence,
                                             std::size_t limit) = 0;

  /// Forgets proxies not heard of for `silence` and accesses older than `keep` (0: all are kept).
  virtual Task<std::size_t> prune(Instant deadline, std::chrono::seconds silence,
                                  std::chrono::hours keep) = 0;
};

std::unique_ptr<ProxyStore> make_sql_proxy_store(SqlStoreParts parts, SqlStoreOptions options = {});

// --- for verbs ----------------------------------------------------------------------------------

/// A token for every account.
Result<> add_proxy_token(sql::Database& database, const ProxyToken& token,
                         const std::string& token_hash, const std::string& creator,
                         Instant deadline);
/// All there are, oldest first.
Result<std::vector<ProxyToken>> all_proxy_tokens(sql::Database& database, Instant deadline);
/// Errors   kNotFound.
Result<> revoke_proxy_token(sql::Database& database, const ProxyTokenId& id, Instant deadline);

struct ConnectedProxy {
  std::string id;
  std::string address;
  std::string ip;
};
Result<std::vector<ConnectedProxy>> connected_proxies(sql::Database& database, Instant deadline);
/// Their streams end within seconds; the proxies come back by themselves.
Result<std::int64_t> disconnect_proxies(sql::Database& database, WallTime now, Instant deadline);

}  // namespace nb::management
