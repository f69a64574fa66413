#include "management/grpc/expose.h"

#include "management/app/peer_sessions.h"
#include "management/domain/domain_name.h"
#include "management/grpc/text.h"
#include "proto/management.pb.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

namespace nb::management::grpc {
namespace {

namespace pb = ::management;

constexpr std::uint32_t kPortMax = 65'535;
constexpr std::size_t kDomainBytesMax = 253;
constexpr std::size_t kPasswordBytesMax = 256;
constexpr std::size_t kPrefixBytesMax = 32;
constexpr int kGroupsMax = 100;
constexpr std::size_t kGroupNameBytesMax = 1'024;

Error invalid(std::string_view what) {
  return fail(Code::kInvalidArgument, "validate expose request: {}", what);
}

bool is_http(pb::ExposeProtocol protocol) {
  return protocol == pb::EXPOSE_HTTP || protocol == pb::EXPOSE_HTTPS;
}

/// ^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$
bool is_name_prefix(std::string_view text) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= kPrefixBytesMax && alphanumeric(text.front()) &&
         alphanumeric(text.back()) &&
         std::ranges::all_of(text, [&](char c) { return c == '-' || alphanumeric(c); });
}

bool is_pin(std::string_view text) {
  return text.size() == 6 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

namespace {

Result<> check_expose(const pb::ExposeServiceRequest& request) {
  if (request.port() > kPortMax)
    return fail(Code::kInvalidArgument, "port out of range: {}", request.port());
  if (request.listen_port() > kPortMax)
    return fail(Code::kInvalidArgument, "listen_port out of range: {}", request.listen_port());
  if (!pb::ExposeProtocol_IsValid(request.protocol()))
    return fail(Code::kInvalidArgument, "unknown expose protocol: {}",
                static_cast<int>(request.protocol()));
  if (request.port() == 0) return invalid("port must be between 1 and 65535");
  const bool guarded =
      !request.pin().empty() || !request.password().empty() || !request.user_groups().empty();
  if (guarded && !is_http(request.protocol()))
    return invalid("pin, password and user groups are for http and https only");
  if (!request.pin().empty() && !is_pin(request.pin())) return invalid("pin must be 6 digits");
  if (request.password().size() > kPasswordBytesMax) return invalid("password is too long");
  if (request.user_groups_size() > kGroupsMax) return invalid("too many user groups");
  for (const std::string& group : request.user_groups()) {
    if (group.empty()) return invalid("user group name must not be empty");
    if (group.size() > kGroupNameBytesMax) return invalid("user group name is too long");
    if (!is_storable(group)) return invalid("user group name is no text");
  }
  if (!request.name_prefix().empty() && !is_name_prefix(request.name_prefix()))
    return invalid("name prefix must be lower-case letters, digits and dashes, 1 to 32 of them");
  if (request.domain().size() > kDomainBytesMax) return invalid("domain is too long");
  if (!request.domain().empty() && !is_domain_name(request.domain(), Wildcard::kForbidden))
    return invalid("domain is not a name");
  return {};
}

std::string_view mode_of(pb::ExposeProtocol protocol) {
  switch (protocol) {
    case pb::EXPOSE_TCP:
      return "tcp";
    case pb::EXPOSE_UDP:
      return "udp";
    case pb::EXPOSE_TLS:
      return kModeTls;
    default:
      return kModeHttp;
  }
}

/// How the proxy speaks with the peer.
std::string_view target_protocol_of(pb::ExposeProtocol protocol) {
  switch (protocol) {
    case pb::EXPOSE_HTTPS:
      return "https";
    case pb::EXPOSE_TCP:
    case pb::EXPOSE_TLS:
      return "tcp";
    case pb::EXPOSE_UDP:
      return "udp";
    default:
      return "http";
  }
}

}  // namespace

Result<ExposeService> expose_command(const pb::ExposeServiceRequest& request) {
  NB_TRY(check_expose(request));
  ExposeService out;
  out.name_prefix = request.name_prefix();
  out.domain = request.domain();
  out.mode = mode_of(request.protocol());
  out.target_protocol = target_protocol_of(request.protocol());
  out.port = request.port();
  out.listen_port = request.listen_port();
  out.pin = request.pin();
  out.password = request.password();
  out.user_groups = {request.user_groups().begin(), request.user_groups().end()};
  return out;
}

pb::ExposeServiceResponse expose_answer(const ::nb::management::Service& service) {
  pb::ExposeServiceResponse out;
  out.set_service_name(service.name);
  out.set_service_url(service.layer4() ? fmt::format("{}://{}:{}", service.mode, service.domain,
                                                     service.listen_port)
                                       : "https://" + service.domain);
  out.set_domain(service.domain);
  out.set_port_auto_assigned(service.port_auto_assigned);
  return out;
}

Error expose_error(Error error) {
  switch (error.code) {
    case Code::kInvalidArgument:
    case Code::kPermissionDenied:
    case Code::kNotFound:
    case Code::kAlreadyExists:
      return error;
    case Code::kFailedPrecondition:
      return {Code::kResourceExhausted, std::move(error.text)};
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
    case Code::kAborted:
    case Code::kCancelled:
    case Code::kResourceExhausted:
      return app::as_agent_error(std::move(error));
    default:
      return fail(Code::kInternal, "internal error");
  }
}

Result<> check_expose_domain(const std::string& domain) {
  // Upstream takes an empty one for an internal error.
  if (domain.empty()) return fail(Code::kInvalidArgument, "domain is required");
  if (domain.size() > kDomainBytesMax) return fail(Code::kInvalidArgument, "domain is too long");
  if (!is_storable(domain)) return fail(Code::kInvalidArgument, "domain is no text");
  return {};
}

}  // namespace nb::management::grpc
