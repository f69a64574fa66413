#include "idp/core.h"

#include "base/text.h"
#include "crypto/encoding.h"

#include <algorithm>

namespace nb::idp {
namespace {

bool granted(const Options& options, std::string_view name, std::string_view alias = "") {
  if (options.grant_types.empty()) return true;
  return std::any_of(options.grant_types.begin(), options.grant_types.end(),
                     [&](const std::string& grant) {
                       return grant == name || (!alias.empty() && grant == alias);
                     });
}

std::string with_slash(std::string uri) {
  return uri.ends_with('/') ? uri : uri + "/";
}

std::string without_slash(std::string uri) {
  while (uri.ends_with('/')) uri.pop_back();
  return uri;
}

std::vector<Client> make_clients(const Options& options, const std::string& site) {
  Client dashboard;
  dashboard.id = kDashboardClient;
  dashboard.redirect_uris = options.dashboard_redirect_uris;
  dashboard.redirect_uris.push_back(site + "/api/reverse-proxy/callback");
  std::vector<std::string> after = options.post_logout_redirect_uris;
  after.push_back(site);
  for (const std::string& uri : after) {
    dashboard.post_logout_uris.push_back(with_slash(uri));
    dashboard.post_logout_uris.push_back(without_slash(uri));
  }
  Client cli;
  cli.id = kCliClient;
  cli.redirect_uris = options.cli_redirect_uris;
  if (cli.redirect_uris.empty())
    cli.redirect_uris = {"http://localhost:53000/", "http://localhost:54000/"};
  return {std::move(dashboard), std::move(cli)};
}

}  // namespace

Core::Core(Parts parts, Options options_in, Vault vault_in)
    : options(std::move(options_in)),
      clock(parts.clock),
      random(parts.random),
      log(parts.log),
      hooks(std::move(parts.hooks)),
      vault(std::move(vault_in)),
      store(parts.database, vault, options.lifetimes),
      keys(store, clock, log),
      throttle(store),
      upstream(std::move(parts.http), clock, options.allow_local_providers, log),
      metrics(parts.registry),
      starts_({.per_second = 4, .burst = 120}, 10'000) {
  const auto path = options.issuer.find('/', options.issuer.find("://") + 3);
  origin = options.issuer.substr(0, path);
  base = options.issuer.substr(path);
  secure = options.issuer.starts_with("https://");
  device_flow = granted(options, kDeviceGrant, "device_code");
  refresh_grant = granted(options, "refresh_token");
  const std::string site =
      options.issuer.substr(0, options.issuer.size() - std::string_view("/oauth2").size());
  clients = make_clients(options, site);
}

const Client* Core::client(std::string_view id) const {
  for (const Client& known : clients)
    if (known.id == id) return &known;
  return nullptr;
}

bool Core::start_allowed(std::string_view ip) {
  if (full.load()) return false;
  const std::lock_guard lock(mutex_);
  return starts_.take(address_group(ip), clock.now());
}

PageContext Core::page(const HttpRequest& request) const {
  return {.texts = texts(preferred_language(request.header("accept-language"))),
          .base = base,
          .nonce = crypto::to_base64(random.bytes<16>(), crypto::Base64::kUrlRaw)};
}

Task<bool> Core::mfa_due(const IdpSubject& subject) {
  if (subject.connector_id != kLocalConnector || !hooks.mfa_required) co_return false;
  co_return co_await hooks.mfa_required(deadline());
}

}  // namespace nb::idp
