#include "cmd/mgmt_discovery.h"

#include "base/backoff.h"
#include "base/log_keys.h"
#include "cmd/mgmt_core.h"
#include "crypto/random.h"
#include "net/http_client.h"

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace nb::cmd {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr std::size_t kDocumentBytesMax = 256 * 1024;
constexpr auto kFirstTimeout = 3s;  // agents wait for the start
constexpr auto kTimeout = 10s;

/// A URL, or empty: whatever else a provider wrote there is of no use.
std::string url_in(const config::Node& document, std::string_view name) {
  const config::Node* const value = document.find(name);
  if (value == nullptr || value->kind() != config::Node::Kind::kString) return {};
  const std::string& text = value->text();
  return text.starts_with("https://") || text.starts_with("http://") ? text : std::string{};
}

void replace(std::string& value, std::string found) {
  if (!found.empty()) value = std::move(found);
}

/// "https://idp.example:8443/x" → "idp.example:8443".
std::string authority_of(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  url.remove_prefix(scheme + 3);
  return std::string(url.substr(0, url.find('/')));
}

std::string copy_path(const MgmtConfig& config) {
  return config.datadir + (config.datadir.ends_with('/') ? "" : "/") + "oidc-discovery";
}

/// The copy holds its URL in the first line: another provider's says nothing about this one.
std::optional<std::string> read_copy(const MgmtConfig& config) {
  const auto text = config::read_file(copy_path(config), kDocumentBytesMax + 4096);
  if (!text) return std::nullopt;
  const std::size_t end = text->find('\n');
  if (end == std::string::npos || text->substr(0, end) != config.http.oidc_config_endpoint)
    return std::nullopt;
  return text->substr(end + 1);
}

void keep_copy(const MgmtConfig& config, const std::string& document, const Logger& log) {
  if (read_copy(config) == document) return;
  const auto kept = config::write_file_atomically(
      copy_path(config), config.http.oidc_config_endpoint + '\n' + document);
  if (!kept)
    log.warn("the identity provider's document could not be kept for the next start",
             {log::f(log::kError, kept.error().text)});
}

asio::awaitable<Result<std::string>> fetch(std::shared_ptr<net::HttpClient> client, std::string url,
                                           std::chrono::milliseconds timeout) {
  net::HttpClientRequest request;
  request.url = std::move(url);
  request.headers = {{"accept", "application/json"}};
  request.timeout = timeout;
  request.body_bytes_max = kDocumentBytesMax;
  auto answer = co_await client->send(std::move(request));
  if (!answer) co_return std::move(answer).error();
  if (answer->status != 200) co_return fail(Code::kUnavailable, "answered {}", answer->status);
  co_return std::move(answer->body);
}

/// One attempt: a document that can be applied, or why there is none.
asio::awaitable<Result<std::string>> ask(std::shared_ptr<net::HttpClient> client, std::string url,
                                         std::chrono::milliseconds timeout) {
  auto question = fetch(std::move(client), std::move(url), timeout);
  NB_CO_LET(std::string document, co_await std::move(question));
  MgmtConfig trial;
  NB_CO_TRY(apply_discovery(trial, document));
  co_return document;
}

}  // namespace

Result<> apply_discovery(MgmtConfig& config, std::string_view document) {
  const auto parsed = config::parse_json(document);
  if (!parsed || !parsed->is_map())
    return fail(Code::kInvalidArgument, "the discovery document is no JSON object");
  const std::string issuer = url_in(*parsed, "issuer");
  const std::string keys = url_in(*parsed, "jwks_uri");
  if (issuer.empty() || keys.empty())
    return fail(Code::kInvalidArgument, "the discovery document lacks issuer or jwks_uri");
  config.http.auth_issuer = issuer;
  config.http.auth_keys_location = keys;
  const std::string tokens = url_in(*parsed, "token_endpoint");
  FlowConfig& device = config.device_flow;
  if (!device.provider.empty()) {
    replace(device.token_endpoint, tokens);
    replace(device.device_auth_endpoint, url_in(*parsed, "device_authorization_endpoint"));
    device.domain = authority_of(config.http.oidc_config_endpoint);
  }
  replace(config.pkce_flow.token_endpoint, tokens);
  replace(config.pkce_flow.authorization_endpoint, url_in(*parsed, "authorization_endpoint"));
  return {};
}

Result<std::unique_ptr<ProviderDiscovery>> ProviderDiscovery::begin(MgmtConfig& config,
                                                                    Health& health, Clock& clock,
                                                                    Logger log) {
  const std::string& url = config.http.oidc_config_endpoint;
  if (config.embedded_idp.enabled || url.empty()) return nullptr;
  NB_LET(auto client, net::HttpClient::create({.user_agent = "netbird-mgmt"}));
  auto out = std::unique_ptr<ProviderDiscovery>(new ProviderDiscovery(
      client, health.add("identity_provider", HealthState::kDegraded, "not asked yet"), clock,
      std::move(log)));
  const auto document = MgmtCore::wait(ask(client, url, kFirstTimeout));
  if (!document) {
    out->fall_back(config, document.error().text);
    return out;
  }
  keep_copy(config, *document, out->log_);
  NB_TRY(apply_discovery(config, *document));
  out->answered_ = true;
  out->health_.set(HealthState::kOk);
  return out;
}

void ProviderDiscovery::fall_back(MgmtConfig& config, const std::string& why) {
  std::string instead = "users cannot log in";
  if (const auto copy = read_copy(config); copy && apply_discovery(config, *copy))
    instead = "its last known document is used";
  else if (!config.http.awaits_provider())
    instead = "issuer and keys of the file are used";
  health_.set(HealthState::kDegraded, fmt::format("not reached, {}: {}", instead, why));
  log_.warn("the identity provider is away, " + instead, {log::f(log::kError, why)});
}

asio::awaitable<void> ProviderDiscovery::run(const MgmtConfig& config,
                                             std::function<void(const MgmtConfig& news)> learn) {
  Backoff backoff({.first = 500ms, .most = 30s}, crypto::SystemRandom().below(UINT32_MAX));
  while (!answered_) {
    co_await clock_.sleep_for(backoff.next());
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    auto question = ask(client_, config.http.oidc_config_endpoint, kTimeout);
    const auto document = co_await std::move(question);
    if (!document) {
      log_.limited().warn("the identity provider is still away",
                          {log::f(log::kError, document.error().text)});
      continue;
    }
    answered_ = true;
    keep_copy(config, *document, log_);
    MgmtConfig news = config;
    ignore(apply_discovery(news, *document), "ask() has tried it");
    learn(news);
    health_.set(HealthState::kOk);
    log_.info("the identity provider was reached");
  }
}

}  // namespace nb::cmd
