// The provider as a client of other providers: discovery, authorization request, code exchange,
// checks of the ID token.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "crypto/jose.h"
#include "idp/connector_config.h"
#include "net/http_client.h"

#include <boost/asio/awaitable.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace nb::idp {

/// A discovery document, as much as is used of it.
struct Discovery {
  std::string issuer;
  std::string authorization_endpoint;
  std::string token_endpoint;
  std::string jwks_uri;
  std::string userinfo_endpoint;
  std::string end_session_endpoint;
  bool pkce = false;
  bool basic_auth = true;
  bool sends_iss = false;
};
/// Errors   kInvalidArgument: not JSON, an endpoint missing, or issuer other than `issuer`.
Result<Discovery> parse_discovery(std::string_view json, std::string_view issuer);

struct UpstreamLogin {
  Identity identity;
  std::string id_token;  // empty for Graph
};

/// What must come back from the provider as it was sent.
struct UpstreamFlow {
  std::string state;
  std::string nonce;
  std::string verifier;
  std::string redirect_uri;
  std::string login_hint;
  std::string prompt;
};

/// Claims of an ID token against what was asked for (OpenID Connect Core §3.1.3.7).
Result<Identity> identity_of(const ConnectorConfig& config, std::string_view claims_json,
                             std::string_view nonce, WallTime now);

/// Thread-safe. Documents and keys are kept for a while; an unknown kid fetches the keys anew, at
/// most once in 30 s.
class Upstream {
 public:
  Upstream(std::shared_ptr<net::HttpClient> client, const Clock& clock, bool allow_local,
           Logger log)
      : client_(std::move(client)),
        clock_(clock),
        allow_local_(allow_local),
        log_(std::move(log)) {}

  template <class T>
  using Task = boost::asio::awaitable<Result<T>>;

  /// Never the cached one. For connectors about to be stored.
  /// Errors   kInvalidArgument, kPermissionDenied (address), kUnavailable; no text of the remote.
  Task<Discovery> discover(std::string issuer);
  Task<std::string> authorization_url(ConnectorConfig config, UpstreamFlow flow);
  /// `issuer_answered`: parameter "iss" of the callback, empty if there was none (T18).
  Task<UpstreamLogin> finish(ConnectorConfig config, UpstreamFlow flow, std::string code,
                             std::string issuer_answered);
  Task<std::string> end_session_endpoint(ConnectorConfig config);

 private:
  struct Entry {
    Discovery discovery;
    Instant fetched{};
    crypto::JwkSet keys;
    std::optional<Instant> keys_fetched;
  };
  Task<std::string> get(std::string url, std::string bearer);
  Task<Discovery> known(std::string issuer);
  Task<crypto::JwkSet> keys_for(std::string issuer, std::string url, crypto::Jws jws);
  Task<std::string> exchange(ConnectorConfig config, Discovery discovery, UpstreamFlow flow,
                             std::string code);
  Task<UpstreamLogin> finish_graph(ConnectorConfig config, std::string answer);
  [[nodiscard]] bool allowed(const IpAddress& address) const;
  [[nodiscard]] Result<> check_url(std::string_view url) const;

  std::shared_ptr<net::HttpClient> client_;
  const Clock& clock_;
  const bool allow_local_;
  Logger log_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;  // guarded by mutex_; by issuer
};

}  // namespace nb::idp
