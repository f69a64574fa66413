#include "cmd/mgmt_api.h"

#include "base/build_info.h"
#include "base/log_keys.h"
#include "cmd/mgmt_settings.h"
#include "ha/local/rate_limiter.h"
#include "management/app/account_commands.h"
#include "management/app/jobs.h"
#include "management/app/people.h"
#include "management/auth/auth.h"
#include "management/auth/proxy_sign_in.h"
#include "management/rest/handlers.h"
#include "management/rest/releases.h"
#include "management/rest/rest.h"
#include "management/store/catalog.h"
#include "management/store/edits/sql_edits.h"
#include "management/store/event_log.h"
#include "management/store/event_reader.h"
#include "management/store/identity_store.h"
#include "management/store/locations.h"
#include "management/store/sql_store.h"
#include "net/http_client.h"

#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace nb::cmd {
namespace {

using namespace management;
using namespace std::chrono_literals;

// contract/auth-idp.md §1.1: what the embedded provider's clients are called.
constexpr const char* kDashboardClient = "netbird-dashboard";
constexpr const char* kCliClient = "netbird-cli";

auth::ClaimRules claim_rules(const MgmtConfig& config, const IdentityProvider* provider) {
  auth::ClaimRules rules;
  if (provider != nullptr) {
    rules.issuer = provider->issuer();
    rules.audiences = {kDashboardClient, kCliClient};
    return rules;
  }
  const HttpAuthConfig& http = config.http;
  rules.issuer = http.auth_issuer;
  for (const std::string* audience :
       {&http.auth_audience, &http.extra_auth_audience, &config.device_flow.audience})
    if (!audience->empty()) rules.audiences.push_back(*audience);
  if (!http.auth_user_id_claim.empty()) rules.user_id_claim = http.auth_user_id_claim;
  return rules;
}

/// Of ID tokens, which are for the client itself.
auth::ClaimRules sign_in_rules(const MgmtConfig& config, const IdentityProvider* provider) {
  auth::ClaimRules rules = claim_rules(config, provider);
  rules.audiences = {config.http.auth_client_id};
  return rules;
}

auth::AuthorityOptions authority_options(const MgmtConfig& config,
                                         const IdentityProvider* provider) {
  return {
      .rules = claim_rules(config, provider),
      .single_account =
          !config.disable_single_account_mode && !config.single_account_mode_domain.empty(),
      .single_account_domain = config.single_account_mode_domain,
      .default_policy = !config.disable_default_policy,
      .local_founders_only = provider != nullptr && !config.embedded_idp.connector_owner_allowed};
}

rest::ApiOptions api_options(const MgmtConfig& config) {
  rest::ApiOptions options;
  options.limit_personal_tokens = config.limits.api_rate_limiting;
  options.personal_token_limit = {.per_second = config.limits.api_rate_per_minute / 60.0,
                                  .burst = static_cast<double>(config.limits.api_rate_burst)};
  return options;
}

/// Where the keys of somebody else's provider are; empty until that is known.
class KeysLocation {
 public:
  explicit KeysLocation(std::string url) : url_(std::move(url)) {}
  void set(std::string url) {
    const std::lock_guard lock(mutex_);
    url_ = std::move(url);
  }
  [[nodiscard]] std::string get() const {
    const std::lock_guard lock(mutex_);
    return url_;
  }

 private:
  mutable std::mutex mutex_;
  std::string url_;
};

}  // namespace

struct MgmtApi::Impl {
  Impl(const MgmtConfig& config, const Ports& ports, const Logger& log_in)
      : parts{.database = ports.core.database(),
              .cipher = ports.core.cipher(),
              .random = ports.core.random(),
              .clock = ports.core.clock(),
              .log = log_in},
        store_options(sql_store_options(config, ports.announce)),
        local_limiter(ports.core.clock()),
        identities(make_sql_identity_store(parts, store_options)),
        catalog(make_sql_catalog(parts)),
        edits(make_sql_edits(parts, store_options)),
        events(parts.database, ports.events, parts.cipher, parts.random),
        event_log(parts.database, ports.events, log_in),
        commands(*edits, ports.changes, ports.on_idle),
        people(commands, *identities, *catalog, ports.provider,
               {.single_account_domain = config.single_account_mode_domain,
                .default_policy = !config.disable_default_policy},
               log_in),
        services{.catalog = *catalog,
                 .store = ports.core.store(),
                 .commands = commands,
                 .people = people,
                 .limiter = ports.limiter != nullptr ? *ports.limiter
                                                     : static_cast<ha::RateLimiter&>(local_limiter),
                 .clock = ports.core.clock()},
        log(log_in) {
    services.provider = ports.provider;
    services.events = &events;
    services.event_log = &event_log;
    services.overview = &ports.overview;
    services.dns_domain = config.dns_domain;
    services.version = build_version();
    services.setup_token_enabled = config.limits.setup_pat_enabled;
  }

  SqlStoreParts parts;
  SqlStoreOptions store_options;
  ha::LocalRateLimiter local_limiter;
  std::unique_ptr<IdentityStore> identities;
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<AccountEdits> edits;
  EventReader events;
  EventLog event_log;
  app::AccountCommands commands;
  app::People people;
  rest::Services services;
  Logger log;
  std::shared_ptr<net::HttpClient> client;
  std::shared_ptr<KeysLocation> keys_location;  // null: the embedded provider's, or none
  std::unique_ptr<auth::KeyCache> keys;
  std::unique_ptr<Locations> locations;
  std::optional<auth::Authority> authority;
  std::optional<auth::ProxySignIn> sign_in;
  std::optional<rest::Releases> releases;
  std::optional<rest::Api> api;
  MgmtCore* core = nullptr;
  MetricRegistry* metrics = nullptr;
  rest::ApiOptions options;

  Result<> open_keys(const MgmtConfig& config, const Ports& ports);
  Result<> open_sign_in(const MgmtConfig& config, const Ports& ports);
  Result<> open_releases(const MgmtConfig& config, const Ports& ports);
};

/// The embedded provider's keys are one query away; others are fetched over HTTP.
Result<> MgmtApi::Impl::open_keys(const MgmtConfig& config, const Ports& ports) {
  auth::KeyCacheOptions cache;
  if (ports.provider != nullptr) {
    cache.validity_min = 5s;
    cache.validity_max = 60s;
    cache.refresh_before = 0s;
    cache.unknown_cooldown = 1s;
    cache.retry_after_failure = 1s;
    keys = std::make_unique<auth::KeyCache>(ports.home, ports.core.clock(),
                                            auth::fetch_from(*ports.provider), cache, log);
    return {};
  }
  const HttpAuthConfig& http = config.http;
  const bool known = !http.auth_keys_location.empty() && !http.auth_issuer.empty();
  if (!known && !http.awaits_provider()) return {};
  if (http.auth_audience.empty())
    return fail(Code::kInvalidArgument, "HttpConfig.AuthAudience: must be set with AuthIssuer");
  NB_LET(client, net::HttpClient::create({.user_agent = "netbird-mgmt"}));
  cache.refresh = http.idp_sign_key_refresh_enabled;
  keys_location = std::make_shared<KeysLocation>(http.auth_keys_location);
  keys = std::make_unique<auth::KeyCache>(
      ports.home, ports.core.clock(),
      [client = client, location = keys_location](Instant deadline) {
        return auth::fetch_over_http(client, location->get())(deadline);
      },
      cache, log);
  return {};
}

/// Visitors of reverse proxies sign in where users do, as a client of the dashboard's name.
Result<> MgmtApi::Impl::open_sign_in(const MgmtConfig& config, const Ports& ports) {
  const HttpAuthConfig& http = config.http;
  if (!keys || http.auth_client_id.empty() || http.auth_callback_url.empty()) return {};
  if (!client) {
    NB_LET(client, net::HttpClient::create({.user_agent = "netbird-mgmt"}));
  }
  sign_in.emplace(auth::SignInPorts{.store = ports.proxies,
                                    .seals = ports.seals,
                                    .keys = *keys,
                                    .client = client,
                                    .clock = ports.core.clock(),
                                    .log = log},
                  auth::SignInOptions{.client_id = http.auth_client_id,
                                      .callback_url = http.auth_callback_url,
                                      .rules = sign_in_rules(config, ports.provider)});
  services.sign_in = &*sign_in;
  return {};
}

Result<> MgmtApi::Impl::open_releases(const MgmtConfig& config, const Ports& ports) {
  const MgmtLimits& limits = config.limits;
  if (limits.management_version_url.empty() && limits.dashboard_version_url.empty()) return {};
  if (!client) {
    NB_LET(client, net::HttpClient::create({.user_agent = "netbird-mgmt"}));
  }
  releases.emplace(client, ports.core.clock(),
                   rest::ReleaseSources{.management_url = limits.management_version_url,
                                        .dashboard_url = limits.dashboard_version_url},
                   log);
  services.releases = &*releases;
  return {};
}

MgmtApi::MgmtApi(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MgmtApi::~MgmtApi() = default;

Result<std::unique_ptr<MgmtApi>> MgmtApi::make(const MgmtConfig& config, Ports ports, Logger log) {
  auto impl = std::make_unique<Impl>(config, ports, log);
  impl->core = &ports.core;
  impl->metrics = &ports.metrics;
  impl->options = api_options(config);
  NB_TRY(impl->open_keys(config, ports));
  NB_TRY(impl->open_sign_in(config, ports));
  NB_TRY(impl->open_releases(config, ports));
  if (!config.limits.disable_geolocation) {
    // Without the names of places the server works: checks of places are refused with the reason.
    if (auto places = open_locations(config.datadir, log))
      impl->locations = std::move(*places);
    else
      log.warn("names of places are off", {log::f(log::kError, places.error().text)});
    impl->services.locations = impl->locations.get();
  }
  impl->authority.emplace(auth::AuthorityPorts{.store = *impl->identities,
                                               .keys = impl->keys.get(),
                                               .changes = ports.changes,
                                               .provider = ports.provider,
                                               .clock = ports.core.clock(),
                                               .log = log},
                          authority_options(config, ports.provider));
  return std::unique_ptr<MgmtApi>(new MgmtApi(std::move(impl)));
}

void MgmtApi::learn(const MgmtConfig& config) {
  if (!impl_->keys_location) return;
  impl_->keys_location->set(config.http.auth_keys_location);
  if (impl_->sign_in) impl_->sign_in->learn(sign_in_rules(config, nullptr));
  impl_->authority->learn(claim_rules(config, nullptr));
}

app::TokenValidator* MgmtApi::tokens() {
  return impl_->keys ? &*impl_->authority : nullptr;
}

auth::ProxySignIn* MgmtApi::sign_in() {
  return impl_->sign_in ? &*impl_->sign_in : nullptr;
}

app::AccountCommands& MgmtApi::commands() {
  return impl_->commands;
}

void MgmtApi::start(TaskGroup& tasks) {
  tasks.spawn(impl_->people.run(impl_->core->clock()));
  if (impl_->releases) tasks.spawn(impl_->releases->run());
}

ha::RateLimiter& MgmtApi::limiter() {
  return impl_->services.limiter;
}

void MgmtApi::add_to(net::HttpRouter& router, app::Jobs& jobs) {
  impl_->services.jobs = &jobs;
  impl_->api.emplace(rest::ApiPorts{.authority = *impl_->authority,
                                    .limiter = impl_->services.limiter,
                                    .new_id = [core = impl_->core] { return core->ids().next(); },
                                    .clock = impl_->core->clock(),
                                    .metrics = *impl_->metrics,
                                    .log = impl_->log},
                     impl_->options, rest::all_routes(impl_->services));
  router.prefix("/api", impl_->api->handler());
}

}  // namespace nb::cmd
