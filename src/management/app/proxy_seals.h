// What management hands out for a proxy to bring back: proof in the text itself, so that any
// instance knows it again and nothing is stored until it is used.
//
// Purpose      one-time tokens of CreateProxyPeer, states of sign-ins through an identity provider.
// Not here     that each is good once: ProxyStore::take_once().
// Source       contract/auth-idp.md §7.5; docs/decisions/0116-proxy-seals.md
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "crypto/random.h"

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management::app {

/// Thread-safe, as its secrets are.
class ProxySeals {
 public:
  /// What all instances share, current one first; all of them open.
  using Secrets = std::function<std::vector<Secret>()>;
  static constexpr std::chrono::minutes kTokenLife{5};
  static constexpr std::chrono::minutes kStateLife{10};

  ProxySeals(Secrets secrets, crypto::RandomSource& random)
      : secrets_(std::move(secrets)), random_(random) {}

  /// For one service of one account.
  [[nodiscard]] std::string token(std::string_view account, std::string_view service,
                                  WallTime now) const;
  struct Opened {
    std::string hash;  // to be taken once
    WallTime ends{};
  };
  /// Errors   kUnauthenticated: not ours, for something else, or too late.
  [[nodiscard]] Result<Opened> open_token(std::string_view token, std::string_view account,
                                          std::string_view service, WallTime now) const;

  /// "base64url(url)|nonce|hex(HMAC)": what official proxies and browsers carry.
  [[nodiscard]] std::string state(std::string_view url, WallTime now) const;
  struct OpenedState {
    std::string url;
    Opened once;
  };
  /// Errors   kUnauthenticated.
  [[nodiscard]] Result<OpenedState> open_state(std::string_view state, WallTime now) const;
  /// The PKCE verifier (RFC 7636) that belongs to a state of ours.
  /// Errors   kUnauthenticated.
  [[nodiscard]] Result<std::string> verifier(std::string_view state) const;

 private:
  [[nodiscard]] std::string nonce(WallTime ends) const;

  Secrets secrets_;
  crypto::RandomSource& random_;
};

}  // namespace nb::management::app
