// An account with one machine, and what a proxy needs to serve it.
#pragma once

#include "integration/api_owner.h"
#include "integration/proxy_client.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace nb::test {

class ProxySite : public testing::Test {
 protected:
  /// At a server that nobody has set up yet; later changes are made there.
  void found(MgmtServer& server) { found(server, set_up(web, server)); }
  /// `authorization`: of its owner.
  void found(MgmtServer& server, const std::string& authorization) {
    founded_at = &server;
    pat = authorization;
    EXPECT_FALSE(pat.empty());
    account = after(api("GET", "/api/accounts").body, R"("id":")");
    EXPECT_TRUE(machine.login(server.target(), server.setup_key()).ok());
    const std::string peers = api("GET", "/api/peers").body;
    peer = after(peers, R"("id":")");
    peer_ip = after(peers, R"("ip":")");
    token = proxy_token();
  }
  net::HttpClientResponse api(const std::string& method, const std::string& path,
                              const std::string& body = {}) {
    return web.send(*founded_at, method, path, body, pat);
  }
  /// A token for every account.
  std::string proxy_token(std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), {"admin", "token", "create", "--name", "edge"});
    const Finished done = founded_at->verb(flags);
    const auto begin = done.output.find("nbx_");
    EXPECT_NE(begin, std::string::npos) << done.output;
    token_id = done.output.substr(done.output.find("Token ID: ") + 10);
    token_id.erase(token_id.find_first_of("\r\n"));
    return done.output.substr(begin, 40);
  }
  [[nodiscard]] std::string body(const std::string& domain, const std::string& more = {}) const {
    return R"({"name":"app","domain":")" + domain +
           R"(","enabled":true,"targets":[{"target_id":")" + peer +
           R"(","target_type":"peer","protocol":"http","port":8080,"enabled":true}])" + more + "}";
  }
  /// Its id.
  std::string service(const std::string& domain, const std::string& more = {}) {
    const auto made = api("POST", "/api/reverse-proxies/services", body(domain, more));
    EXPECT_EQ(made.status, 200) << made.body;
    return after(made.body, R"({"id":")");
  }
  std::string clusters(const MgmtServer& server) {
    return web.send(server, "GET", "/api/reverse-proxies/clusters", {}, pat).body;
  }
  /// Whether a visitor with that PIN is let in, or the error.
  Result<bool> enter(const MgmtServer& server, const std::string& with, const std::string& id,
                     const std::string& pin) {
    pb::AuthenticateRequest request;
    request.set_account_id(account);
    request.set_id(id);
    request.mutable_pin()->set_pin(pin);
    return authenticate(server, with, request);
  }
  static Result<bool> authenticate(const MgmtServer& server, const std::string& with,
                                   const pb::AuthenticateRequest& request) {
    pb::AuthenticateResponse response;
    const auto done =
        ask(server.target(), with, &pb::ProxyService::Stub::Authenticate, request, response);
    if (done.ok()) return response.success();
    return fail(done.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED ? Code::kResourceExhausted
                                                                          : Code::kInternal,
                "{}", done.error_message());
  }

  Web web;
  Agent machine{"machine"};
  MgmtServer* founded_at = nullptr;
  std::string pat;
  std::string account;
  std::string peer;
  std::string peer_ip;
  std::string token;
  std::string token_id;
};

}  // namespace nb::test
