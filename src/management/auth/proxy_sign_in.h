// Visitors of a reverse proxy's service sign in at the identity provider and come back with a
// session that the proxy knows.
// Source   contract/auth-idp.md §7.5, rest-api.md §7.16; RFC 6749 §4.1, RFC 7636, OpenID Connect
//          Discovery 1.0.
#pragma once

#include "base/log.h"
#include "management/app/proxy_seals.h"
#include "management/auth/claims.h"
#include "management/auth/key_cache.h"
#include "management/store/proxy_store.h"
#include "net/http_client.h"

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace nb::management::auth {

/// What a provider's discovery document says to us.
struct ProviderEndpoints {
  std::string authorization;
  std::string token;
};
/// Errors   kInvalidArgument: no such document, or another issuer's.
[[nodiscard]] Result<ProviderEndpoints> read_discovery(std::string_view json,
                                                       std::string_view issuer);
/// The ID token of a token endpoint's answer.
/// Errors   kInvalidArgument.
[[nodiscard]] Result<std::string> read_id_token(std::string_view json);

struct SignInOptions {
  std::string client_id;
  std::string callback_url;  // our /api/reverse-proxy/callback as browsers reach it
  ClaimRules rules;          // of ID tokens: issuer, and the client as audience
};

struct SignInPorts {
  ProxyStore& store;
  app::ProxySeals& seals;
  KeyCache& keys;
  std::shared_ptr<net::HttpClient> client;
  const Clock& clock;
  Logger log{};
};

/// Any thread. Nothing is kept between the two halves: they may be on different instances.
class ProxySignIn {
 public:
  ProxySignIn(SignInPorts ports, SignInOptions options)
      : ports_(std::move(ports)), options_(std::move(options)), rules_(options_.rules) {}
  /// From now on ID tokens follow these rules.
  void learn(ClaimRules rules) { rules_.learn(std::move(rules)); }

  /// Where the browser goes; it comes back to `url` in the end.
  /// Errors   kFailedPrecondition: the provider is out of reach.
  Task<std::string> begin(Instant deadline, std::string url);

  /// How the browser is answered.
  struct Answer {
    int status = 302;
    std::string location{};  // 302
    std::string text{};      // the others
  };
  boost::asio::awaitable<Answer> finish(Instant deadline, std::string state, std::string code);

 private:
  struct Found {
    ProviderEndpoints endpoints;
    Instant until{};
  };
  Task<ProviderEndpoints> endpoints(Instant deadline);
  Task<std::string> exchange(Instant deadline, std::string code, std::string verifier);
  Task<UserId> verified(Instant deadline, std::string id_token);
  Task<std::string> session(Instant deadline, std::string domain, UserId user);

  SignInPorts ports_;
  SignInOptions options_;
  LateRules rules_;
  std::mutex mutex_;
  std::shared_ptr<const Found> found_;
};

}  // namespace nb::management::auth
