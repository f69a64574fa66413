// What an external identity provider says of itself (HttpConfig.OIDCConfigEndpoint).
// Source   contract/signal-relay-ops.md §6.1, auth-idp.md §1 "Start-up order".
#pragma once

#include "base/clock.h"
#include "base/health.h"
#include "base/log.h"
#include "base/result.h"
#include "cmd/mgmt_config.h"

#include <boost/asio/awaitable.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace nb::net {
class HttpClient;
}

namespace nb::cmd {

/// Puts the issuer, keys and endpoints of a discovery document in the place of the file's.
/// Errors   kInvalidArgument: no JSON, or no issuer or keys in it; the text repeats nothing of it.
Result<> apply_discovery(MgmtConfig& config, std::string_view document);

/// Who the provider is: asked once before the server starts, and then until it has answered. The
/// last good document stays in the data directory. While there is neither that nor issuer and keys
/// in the file, logins of users are UNAVAILABLE and everything else works.
class ProviderDiscovery {
 public:
  /// Null: the file names no document, or the embedded provider is on. One question, 3 s at most;
  /// what is known after it stands in `config`.
  /// Health   "identity_provider": degraded until the provider has answered.
  static Result<std::unique_ptr<ProviderDiscovery>> begin(MgmtConfig& config, Health& health,
                                                          Clock& clock, Logger log);
  /// Ends when the provider has answered; `learn` is told if that is news. `config` is only read.
  boost::asio::awaitable<void> run(const MgmtConfig& config,
                                   std::function<void(const MgmtConfig& news)> learn);

 private:
  ProviderDiscovery(std::shared_ptr<net::HttpClient> client, Health::Part health, Clock& clock,
                    Logger log)
      : client_(std::move(client)), health_(health), clock_(clock), log_(std::move(log)) {}
  void fall_back(MgmtConfig& config, const std::string& why);

  const std::shared_ptr<net::HttpClient> client_;
  const Health::Part health_;
  Clock& clock_;
  const Logger log_;
  bool answered_ = false;
};

}  // namespace nb::cmd
