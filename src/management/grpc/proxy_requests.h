// What reverse proxies say, checked before anything believes, stores or hashes it.
#pragma once

#include "base/result.h"
#include "management/app/visitor_gate.h"
#include "management/domain/service.h"
#include "management/store/proxy_store.h"

#include <string>
#include <string_view>

namespace management {
class AccessLog;
class AuthenticateRequest;
class CreateProxyPeerRequest;
class GetOIDCURLRequest;
class SendAccessLogRequest;
class SendStatusUpdateRequest;
class ValidateSessionRequest;
class ValidateTunnelPeerRequest;
}  // namespace management

namespace nb::management::grpc {

/// Errors   kInvalidArgument.
[[nodiscard]] Result<> check_request(const ::management::SendAccessLogRequest& request);
[[nodiscard]] Result<> check_request(const ::management::SendStatusUpdateRequest& request);
[[nodiscard]] Result<> check_request(const ::management::CreateProxyPeerRequest& request);
[[nodiscard]] Result<> check_request(const ::management::AuthenticateRequest& request);
[[nodiscard]] Result<> check_request(const ::management::ValidateSessionRequest& request);
[[nodiscard]] Result<> check_request(const ::management::ValidateTunnelPeerRequest& request);
/// The host that the visitor wants to come back to, in lower case.
/// Errors   kInvalidArgument: no URL that a browser could be sent to.
[[nodiscard]] Result<std::string> visited_host(const ::management::GetOIDCURLRequest& request);
/// Of the first message of a stream.
[[nodiscard]] Result<> check_hello(std::string_view id, std::string_view address);

/// A report that was checked; without a place.
[[nodiscard]] ProxyAccess access_of(const ::management::AccessLog& log);

/// Whom a visitor is taken for who shows what the service asks for.
struct VisitorClaim {
  app::VisitorAttempt attempt{};
  std::string user{};
  std::string method{};
};
/// Without hashes where the service does not ask for what is shown.
[[nodiscard]] VisitorClaim claim_of(const ::management::AuthenticateRequest& request,
                                    const Service& service);

}  // namespace nb::management::grpc
