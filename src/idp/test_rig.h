// For the tests of idp/: one or two instances over one database, behind real HTTP servers, and a
// browser that goes to another instance with every request.
#pragma once

#include "base/text.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "idp/forms.h"
#include "idp/idp.h"
#include "net/server.h"
#include "sql/test_database.h"
#include "support/home_loop.h"
#include "support/process.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <prometheus/registry.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace nb::idp::test {

using namespace std::chrono_literals;
using nb::sql::test::soon;
using Form = std::vector<std::pair<std::string, std::string>>;

inline const Secret kDataKey{"bmV0YmlyZC1nb2xkZW4tZXhhbXBsZS1rZXktMDAwMDE="};
inline const std::string kPassword = "Passw0rd!";
inline const std::string kReturn = "http://dashboard.test/nb-auth";
inline const std::string kVerifier(64, 'v');

inline std::string challenge_of(std::string_view verifier) {
  return crypto::to_base64(crypto::sha256(verifier), crypto::Base64::kUrlRaw);
}

/// Parameters of a URL, decoded as the dashboard does: split first, then '%XX' only.
inline std::map<std::string, std::string> query_of(const std::string& url) {
  std::map<std::string, std::string> out;
  const auto at = url.find('?');
  if (at == std::string::npos) return out;
  for (const std::string& piece : split(url.substr(at + 1), '&')) {
    const auto equals = piece.find('=');
    std::string value = piece.substr(equals + 1);
    EXPECT_EQ(value.find('+'), std::string::npos) << "blank as '+' reaches the dashboard as it is";
    out[piece.substr(0, equals)] = Fields::parse("v=" + value)->get("v");
  }
  return out;
}

struct Node {
  std::unique_ptr<sql::Database> database;
  crypto::SystemRandom random;
  SystemClock clock;
  prometheus::Registry registry;
  std::unique_ptr<Provider> provider;
  std::unique_ptr<net::LoopPool> loops;
  std::unique_ptr<net::Server> server;
  std::uint16_t port = 0;

  ~Node() {
    if (server) server->stop();
    if (loops) loops->stop();
    server.reset();
    loops.reset();
    provider.reset();
  }
};

class Rig {
 public:
  explicit Rig(sql::Engine engine, Options options = {}, bool start = true)
      : store_(engine), nodes_wanted_(engine == sql::Engine::kPostgres ? 2 : 1) {
    options_ = std::move(options);
    first_port_ = nb::test::free_port();
    if (options_.issuer.empty())
      options_.issuer = "http://127.0.0.1:" + std::to_string(first_port_) + "/oauth2";
    options_.dashboard_redirect_uris.push_back(kReturn);
    options_.failure_floor = 0ms;
    options_.allow_local_providers = true;
    if (start) start_nodes();
  }

  void start_nodes() {
    for (std::size_t i = 0; i < nodes_wanted_; ++i) add_node(i == 0 ? first_port_ : 0);
  }

  /// All of them at once, with what options() says by now.
  void restart() {
    nodes_.clear();
    start_nodes();
  }

  [[nodiscard]] sql::test::TestDatabase& store() { return store_; }
  [[nodiscard]] Provider& provider(std::size_t i = 0) {
    return *nodes_[i % nodes_.size()]->provider;
  }
  [[nodiscard]] sql::Database& database() { return *nodes_.front()->database; }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] std::uint16_t port(std::size_t i) const { return nodes_[i % nodes_.size()]->port; }
  [[nodiscard]] const std::string& issuer() const { return options_.issuer; }
  [[nodiscard]] Options& options() { return options_; }
  void mfa(bool on) { mfa_ = on; }
  void shift(std::chrono::milliseconds by) {
    for (auto& node : nodes_) node->provider->shift_clock(by);
  }
  template <class Make>
  auto await(Make make) {
    return home_.await(std::move(make));
  }
  management::MadeIdpUser add_user(std::string email, std::string password = kPassword) {
    auto made = await([&] {
      return provider().create_user(
          soon(), {.email = email, .name = "Olivia Owner", .password = Secret(password)});
    });
    NB_ASSERT(made.has_value());
    return *made;
  }
  Result<net::HttpClientResponse> send(net::HttpClientRequest request) {
    request.timeout = 30s;
    return await([&] { return http_->send(std::move(request)); });
  }
  std::int64_t count(std::string statement) {
    auto rows = database().run_blocking<sql::Rows>(
        soon(), {}, [&](sql::Session& session) { return session.query(statement); });
    NB_ASSERT(rows.has_value());
    return (*rows)[0].integer(0);
  }

 private:
  void add_node(std::uint16_t port) {
    auto node = std::make_unique<Node>();
    node->database = store_.open();
    auto made =
        Provider::make({.database = *node->database,
                        .data_keys = {kDataKey},
                        .random = node->random,
                        .clock = node->clock,
                        .http = http_,
                        .registry = node->registry,
                        .hooks = {.mfa_required = [this](Instant) { return mfa_required(); }},
                        .log = Logger()},
                       options_);
    if (!made) throw std::runtime_error(made.error().text);
    node->provider = *std::move(made);
    auto routes = std::make_shared<net::HttpRouter>();
    node->provider->add_routes(*routes);
    node->loops = std::make_unique<net::LoopPool>(1);
    node->loops->start();
    net::ServerConfig config;
    config.listeners = {{.address = "127.0.0.1", .port = port}};
    config.trusted_proxies = {"127.0.0.0/8"};
    node->server = std::make_unique<net::Server>(*node->loops, std::make_shared<net::GrpcRouter>(),
                                                 routes, config, node->registry, Logger());
    NB_ASSERT(node->server->start().has_value());
    node->port = node->server->ports().front();
    nodes_.push_back(std::move(node));
  }
  boost::asio::awaitable<Result<bool>> mfa_required() { co_return mfa_.load(); }

  sql::test::TestDatabase store_;
  const std::size_t nodes_wanted_;
  std::uint16_t first_port_ = 0;
  Options options_;
  std::atomic<bool> mfa_ = false;
  nb::test::HomeLoop home_;
  std::shared_ptr<net::HttpClient> http_ = *net::HttpClient::create();
  std::vector<std::unique_ptr<Node>> nodes_;
};

struct Page {
  int status = 0;
  std::string location;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  [[nodiscard]] std::string header(std::string_view name) const {
    for (const auto& [key, value] : headers)
      if (key == name) return value;
    return {};
  }
  [[nodiscard]] boost::json::value json() const { return boost::json::parse(body); }
  [[nodiscard]] std::string text(const char* member) const {
    const auto value = json();
    const auto* found = value.as_object().if_contains(member);
    return found == nullptr || !found->is_string() ? "" : std::string(found->get_string());
  }
};

/// A browser with its own cookies. Each request meets the next instance.
class Browser {
 public:
  explicit Browser(Rig& rig) : rig_(rig) {}
  std::string ip = "192.0.2.1";
  std::string language;
  Form extra_headers{};
  std::map<std::string, std::string> cookies{};

  Page get(const std::string& url, const std::string& bearer = "") {
    return send("GET", url, "", bearer.empty() ? "" : "Bearer " + bearer);
  }
  Page post(const std::string& url, const Form& form, const std::string& authorization = "") {
    return send("POST", url, net::form_encode(form), authorization);
  }
  Page send(const std::string& method, const std::string& url, const std::string& body,
            const std::string& authorization = "") {
    net::HttpClientRequest request;
    request.method = method;
    request.url = on_next_node(url);
    request.headers = extra_headers;
    request.headers.emplace_back("X-Forwarded-For", ip);
    if (!language.empty()) request.headers.emplace_back("Accept-Language", language);
    if (!authorization.empty()) request.headers.emplace_back("Authorization", authorization);
    if (method == "POST")
      request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    std::string jar;
    for (const auto& [name, value] : cookies) jar += (jar.empty() ? "" : "; ") + name + "=" + value;
    if (!jar.empty()) request.headers.emplace_back("Cookie", jar);
    request.body = body;
    auto response = rig_.send(std::move(request));
    if (!response) throw std::runtime_error(response.error().text);
    keep_cookies(*response);
    return {.status = response->status,
            .location = std::string(response->header("location")),
            .body = response->body,
            .headers = response->headers};
  }

 private:
  // What belongs to the rig's issuer goes to its instances in turn; the rest stays as it is.
  std::string on_next_node(const std::string& url) {
    std::string path = url;
    const std::string site = rig_.issuer().substr(0, rig_.issuer().size() - 7);
    if (url.starts_with(site)) path = url.substr(site.size());
    if (!path.starts_with('/')) return url;
    return "http://127.0.0.1:" + std::to_string(rig_.port(turn_++)) + path;
  }
  void keep_cookies(const net::HttpClientResponse& response) {
    for (const auto& [name, value] : response.headers) {
      if (name != "set-cookie") continue;
      EXPECT_NE(value.find("; HttpOnly; SameSite=Lax"), std::string::npos) << value;
      const auto equals = value.find('=');
      const std::string key = value.substr(0, equals);
      const std::string content = value.substr(equals + 1, value.find(';') - equals - 1);
      if (value.find("Max-Age=0") != std::string::npos)
        cookies.erase(key);
      else
        cookies[key] = content;
    }
  }
  Rig& rig_;
  std::size_t turn_ = 0;
};

inline std::string authorize_url(const Form& changes = {}) {
  Form query = {{"client_id", "netbird-dashboard"},
                {"redirect_uri", kReturn},
                {"response_type", "code"},
                {"scope", "openid profile email groups offline_access"},
                {"audience", "netbird-dashboard"},
                {"state", "st=+|% x"},
                {"nonce", "n-1"},
                {"code_challenge", challenge_of(kVerifier)},
                {"code_challenge_method", "S256"}};
  for (const auto& [name, value] : changes) {
    std::erase_if(query, [&](const auto& field) { return field.first == name; });
    if (value != "-") query.emplace_back(name, value);
  }
  return "/oauth2/auth?" + net::form_encode(query);
}

/// Opens the login page and posts the password; the answer to the post.
inline Page log_in(Browser& browser, const std::string& email,
                   const std::string& password = kPassword, const Form& changes = {}) {
  const Page start = browser.get(authorize_url(changes));
  if (start.status != 303 || !start.location.starts_with("/oauth2/login")) return start;
  const std::string request = query_of(start.location)["req"];
  return browser.post("/oauth2/login",
                      {{"req", request}, {"login", email}, {"password", password}});
}

inline Form code_form(const std::string& code, const Form& changes = {}) {
  Form form = {{"grant_type", "authorization_code"},
               {"code", code},
               {"redirect_uri", kReturn},
               {"code_verifier", kVerifier},
               {"client_id", "netbird-dashboard"}};
  for (const auto& [name, value] : changes) {
    std::erase_if(form, [&](const auto& field) { return field.first == name; });
    if (value != "-") form.emplace_back(name, value);
  }
  return form;
}

/// The claims of a token, unchecked.
inline boost::json::object claims_of(const std::string& token) {
  const auto first = token.find('.');
  const auto payload = crypto::from_base64(token.substr(first + 1, token.rfind('.') - first - 1),
                                           crypto::Base64::kUrlRaw);
  NB_ASSERT(payload.has_value());
  return boost::json::parse(*payload).as_object();
}

/// A whole login; the answer of the token endpoint.
inline Page tokens_of(Browser& browser, const std::string& email,
                      const std::string& password = kPassword) {
  const Page back = log_in(browser, email, password);
  return browser.post("/oauth2/token", code_form(query_of(back.location)["code"]));
}

}  // namespace nb::idp::test
