// What proxies may send to ProxyService: what passes the checks can be stored, hashed and shown.
#include "base/assert.h"
#include "base/text.h"
#include "management/grpc/proxy_requests.h"
#include "management/grpc/text.h"
#include "proto/proxy_service.pb.h"

#include <google/protobuf/stubs/logging.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {
using namespace nb;
using namespace nb::management::grpc;
namespace pb = ::management;

constexpr std::size_t kMost = 64 * 1024;

void storable(std::string_view text) {
  NB_ASSERT(text.size() <= kMost && is_storable(text));
}

template <class Request, class Check>
void try_as(const std::string& bytes, Check check) {
  Request request;
  if (request.ParseFromString(bytes)) check(request);
}

void try_reports(const std::string& bytes) {
  try_as<pb::SendAccessLogRequest>(bytes, [](const auto& request) {
    if (!check_request(request)) return;
    const nb::management::ProxyAccess access = access_of(request.log());
    for (const std::string* text :
         {&access.id, &access.method, &access.host, &access.path, &access.reason, &access.user_id,
          &access.auth_method, &access.protocol})
      storable(*text);
    for (const auto& [name, value] : access.metadata) {
      storable(name);
      storable(value);
    }
    NB_ASSERT(!access.id.empty() && !access.service_id.empty() && access.duration_ms >= 0);
    NB_ASSERT(access.at >= WallTime{} && access.at <= WallTime::max());
  });
  try_as<pb::SendStatusUpdateRequest>(bytes, [](const auto& request) {
    if (!check_request(request)) return;
    storable(request.account_id());
    storable(request.service_id());
  });
  try_as<pb::CreateProxyPeerRequest>(bytes, [](const auto& request) {
    if (!check_request(request)) return;
    storable(request.cluster());
    NB_ASSERT(request.wireguard_public_key().size() == 44);
  });
}

void try_visitors(const std::string& bytes) {
  static const nb::management::Service service = [] {
    nb::management::Service out;
    out.id = nb::management::ServiceId("s");
    out.auth.pin = nb::management::SecretAuth{true, "pin-hash"};
    out.auth.password = nb::management::SecretAuth{false, "password-hash"};
    out.auth.headers = {
        {true, "X-Key", "one"}, {false, "X-Key", "two"}, {true, "X-Other", "three"}};
    return out;
  }();
  try_as<pb::AuthenticateRequest>(bytes, [](const auto& request) {
    if (!check_request(request)) return;
    const VisitorClaim claim = claim_of(request, service);
    NB_ASSERT(claim.attempt.secret.reveal().size() <= kMost);
    NB_ASSERT(claim.attempt.hashes.size() <= 2);
    for (const std::string& hash : claim.attempt.hashes)
      NB_ASSERT(hash != "two" && hash != "password-hash");
    NB_ASSERT(claim.attempt.hashes.empty() || !claim.user.empty());
  });
  try_as<pb::GetOIDCURLRequest>(bytes, [](const auto& request) {
    const auto host = visited_host(request);
    if (!host) return;
    NB_ASSERT(!host->empty() && *host == lower(*host));
    NB_ASSERT(request.redirect_url().find('@') == std::string::npos);
  });
  try_as<pb::ValidateSessionRequest>(bytes, [](const auto& request) {
    if (!check_request(request)) return;
    storable(request.domain());
    storable(request.session_token());
  });
  try_as<pb::ValidateTunnelPeerRequest>(bytes, [](const auto& request) {
    if (check_request(request)) storable(request.domain());
  });
}

void try_hellos(const std::string& bytes) {
  const auto check = [](const auto& hello) {
    if (!check_hello(hello.proxy_id(), hello.address())) return;
    storable(hello.proxy_id());
    storable(hello.address());
    NB_ASSERT(hello.address().find_first_of(" /'\"<>%\\") == std::string::npos);
  };
  try_as<pb::GetMappingUpdateRequest>(bytes, check);
  try_as<pb::SyncMappingsRequest>(bytes, [&](const auto& request) { check(request.init()); });
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool quiet = [] {
    google::protobuf::SetLogHandler(nullptr);
    return true;
  }();
  NB_ASSERT(quiet);
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  try_reports(bytes);
  try_visitors(bytes);
  try_hellos(bytes);
  return 0;
}
