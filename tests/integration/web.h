// A browser without pages: requests with a cookie jar to whatever instance.
#pragma once

#include "integration/mgmt_harness.h"
#include "net/http_client.h"
#include "support/home_loop.h"

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace nb::test {

class Web {
 public:
  net::HttpClientResponse send(const MgmtServer& server, const std::string& method,
                               const std::string& path, const std::string& body = {},
                               const std::string& authorization = {}) {
    return send_to(server.target(), method, path, body, authorization);
  }
  /// `target`: host and port.
  net::HttpClientResponse send_to(const std::string& target, const std::string& method,
                                  const std::string& path, const std::string& body = {},
                                  const std::string& authorization = {}) {
    net::HttpClientRequest request;
    request.method = method;
    request.url = "http://" + target + path;
    request.body = body;
    const auto limit = patient(std::chrono::seconds(20));
    request.timeout = limit;
    const bool json = body.starts_with("{");
    if (!body.empty() || method == "POST")
      request.headers.emplace_back("Content-Type",
                                   json ? "application/json" : "application/x-www-form-urlencoded");
    if (!authorization.empty()) request.headers.emplace_back("Authorization", authorization);
    std::string jar;
    for (const auto& [name, value] : cookies_) jar += name + "=" + value + "; ";
    if (!jar.empty()) request.headers.emplace_back("Cookie", jar);
    auto response = home_.await([&] { return client_->send(std::move(request)); }, limit * 2);
    if (!response) throw std::runtime_error(response.error().text);
    for (const auto& [name, value] : response->headers) {
      if (name != "set-cookie") continue;
      const auto equals = value.find('=');
      cookies_[value.substr(0, equals)] = value.substr(equals + 1, value.find(';') - equals - 1);
    }
    return *std::move(response);
  }

 private:
  HomeLoop home_;
  std::shared_ptr<net::HttpClient> client_ = *net::HttpClient::create();
  std::map<std::string, std::string> cookies_;
};

/// What follows a mark, up to '&' or '"'.
inline std::string after(const std::string& text, const std::string& mark) {
  const auto at = text.find(mark);
  if (at == std::string::npos) return {};
  const auto begin = at + mark.size();
  return text.substr(begin, text.find_first_of("&\"", begin) - begin);
}

/// The password that was made for a new user. Of what it is made of, JSON escapes '&' only.
inline std::string made_password(const std::string& body) {
  std::string text = after(body, R"("password":")");
  constexpr std::string_view kEscaped = "\\u0026";
  for (std::size_t at; (at = text.find(kEscaped)) != std::string::npos;)
    text.replace(at, kEscaped.size(), "&");
  return text;
}

}  // namespace nb::test
