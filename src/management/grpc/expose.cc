#include "management/grpc/expose.h"

#include "proto/management.pb.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace nb::management::grpc {
namespace {

namespace pb = ::management;

constexpr std::uint32_t kPortMax = 65'535;
constexpr std::size_t kDomainBytesMax = 253;
constexpr std::size_t kPasswordBytesMax = 256;
constexpr std::size_t kPrefixBytesMax = 32;
constexpr int kGroupsMax = 100;

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
  for (const std::string& group : request.user_groups())
    if (group.empty()) return invalid("user group name must not be empty");
  if (!request.name_prefix().empty() && !is_name_prefix(request.name_prefix()))
    return invalid("name prefix must be lower-case letters, digits and dashes, 1 to 32 of them");
  if (request.domain().size() > kDomainBytesMax) return invalid("domain is too long");
  return {};
}

Result<> check_expose_domain(const std::string& domain) {
  // Upstream takes an empty one for an internal error.
  if (domain.empty()) return fail(Code::kInvalidArgument, "domain is required");
  if (domain.size() > kDomainBytesMax) return fail(Code::kInvalidArgument, "domain is too long");
  return {};
}

}  // namespace nb::management::grpc
