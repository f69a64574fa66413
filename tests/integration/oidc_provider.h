// Somebody else's identity provider: its discovery document, its keys and the tokens it signs.
#pragma once

#include "crypto/jose.h"
#include "net/testing.h"
#include "support/process.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace nb::test {

/// On a port of its own; it may be away and come back.
class OidcProvider {
 public:
  OidcProvider()
      : port_(free_port()), key_(*crypto::SigningKey::generate(crypto::JwsAlg::kEs256)) {}
  void start() {
    net::ServerConfig config;
    config.listeners.push_back({.address = "127.0.0.1", .port = port_});
    server_.emplace(
        [this](net::GrpcRouter&, net::HttpRouter& http) {
          http.exact(kDiscovery, page(document()));
          http.exact("/keys", page(crypto::JwkSet({key_.public_key()}).json()));
        },
        config, 1);
  }
  void stop() { server_.reset(); }
  [[nodiscard]] std::string url(const std::string& path) const {
    return fmt::format("http://127.0.0.1:{}{}", port_, path);
  }
  [[nodiscard]] std::string discovery() const { return url(kDiscovery); }
  /// Good for ten minutes. `more`: further claims, each with a comma before it.
  [[nodiscard]] std::string token(const std::string& user, const std::string& more = {}) const {
    return sign(
        fmt::format(R"("sub":"{}","exp":{},"iat":{}{})", user, now() + 600, now() - 1, more));
  }
  /// With these claims, beside issuer and audience.
  [[nodiscard]] std::string sign(const std::string& claims) const {
    return key_.sign(fmt::format(R"({{"iss":"{}","aud":"nb",{}}})", url("/realm"), claims), "JWT");
  }

 private:
  static constexpr const char* kDiscovery = "/.well-known/openid-configuration";
  static std::int64_t now() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  [[nodiscard]] std::string document() const {
    return fmt::format(
        R"({{"issuer":"{}","jwks_uri":"{}","token_endpoint":"{}","authorization_endpoint":"{}",)"
        R"("device_authorization_endpoint":"{}","scopes_supported":["openid"]}})",
        url("/realm"), url("/keys"), url("/token"), url("/authorize"), url("/device"));
  }
  static net::HttpHandler page(std::string body) {
    return [body = std::move(body)](net::HttpRequest) -> boost::asio::awaitable<net::HttpResponse> {
      co_return net::HttpResponse::json(200, body);
    };
  }
  const std::uint16_t port_;
  const crypto::SigningKey key_;
  std::optional<net::testing::TestServer> server_;
};

}  // namespace nb::test
