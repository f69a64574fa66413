#include "management/grpc/proxy_requests.h"

#include "base/text.h"
#include "crypto/box.h"
#include "management/grpc/text.h"
#include "proto/proxy_service.pb.h"

#include <chrono>
#include <cstdint>

namespace nb::management::grpc {
namespace {

namespace pb = ::management;

constexpr std::size_t kIdBytesMax = 255;
constexpr std::size_t kDomainBytesMax = 253;
constexpr std::size_t kTextBytesMax = 8'192;
/// An index of upstream's holds paths, and PostgreSQL takes no more than 2,704 bytes into one.
constexpr std::size_t kPathKeptBytes = 2'048;
constexpr std::size_t kUrlBytesMax = 4'096;
constexpr std::size_t kSecretBytesMax = 4'096;
constexpr std::size_t kTokenBytesMax = 16 * 1024;
constexpr int kMetadataMax = 64;
constexpr std::size_t kMetadataBytesMax = 16 * 1024;
constexpr std::size_t kAddressBytesMax = 253;

Error invalid(std::string_view what) {
  return fail(Code::kInvalidArgument, "{}", what);
}

Result<> check_text(std::string_view name, std::string_view text, std::size_t most) {
  if (text.size() > most)
    return fail(Code::kInvalidArgument, "{}: longer than {} bytes", name, most);
  if (!is_storable(text)) return fail(Code::kInvalidArgument, "{}: not a text", name);
  return {};
}

Result<> check_ids(std::string_view account, std::string_view service) {
  NB_TRY(check_text("account_id", account, kIdBytesMax));
  NB_TRY(check_text("service_id", service, kIdBytesMax));
  if (account.empty() || service.empty()) return invalid("service_id and account_id are required");
  return {};
}

Result<> check_log(const pb::AccessLog& log) {
  NB_TRY(check_ids(log.account_id(), log.service_id()));
  NB_TRY(check_text("log_id", log.log_id(), kIdBytesMax));
  if (log.log_id().empty()) return invalid("log_id is required");
  NB_TRY(check_text("host", log.host(), kIdBytesMax));
  NB_TRY(check_text("path", log.path(), kTextBytesMax));
  NB_TRY(check_text("method", log.method(), kIdBytesMax));
  NB_TRY(check_text("auth_mechanism", log.auth_mechanism(), kIdBytesMax));
  NB_TRY(check_text("user_id", log.user_id(), kIdBytesMax));
  NB_TRY(check_text("protocol", log.protocol(), kIdBytesMax));
  if (log.metadata_size() > kMetadataMax) return invalid("metadata: too many entries");
  std::size_t bytes = 0;
  for (const auto& [name, value] : log.metadata()) {
    bytes += name.size() + value.size();
    NB_TRY(check_text("metadata", name, kMetadataBytesMax));
    NB_TRY(check_text("metadata", value, kMetadataBytesMax));
  }
  if (bytes > kMetadataBytesMax) return invalid("metadata: too long");
  if (log.duration_ms() < 0 || log.bytes_upload() < 0 || log.bytes_download() < 0)
    return invalid("durations and sizes must not be negative");
  constexpr std::int64_t kYearMs = 366LL * 86'400'000;
  if (log.duration_ms() > kYearMs) return invalid("duration_ms is out of range");
  constexpr std::int64_t kTimeMax = 9'000'000'000;
  const auto& at = log.timestamp();
  if (at.seconds() < 0 || at.seconds() > kTimeMax || at.nanos() < 0 || at.nanos() > 999'999'999)
    return invalid("timestamp is out of range");
  return {};
}

std::string reason_of(const pb::AccessLog& log) {
  if (!log.protocol().empty() && log.protocol() != "http") return {};
  if (!log.auth_success()) return "Authentication failed";
  return log.response_code() >= 400 ? "Request failed" : "";
}

/// A name of letters, digits, dashes, underscores and dots without empty labels, or an address.
bool is_cluster_address(std::string_view text) {
  if (text.empty() || text.size() > kAddressBytesMax) return false;
  if (IpAddress::parse(text)) return true;
  char before = '.';
  for (const char c : text) {
    const bool letter =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!letter && c != '-' && c != '.') return false;
    if (c == '.' && before == '.') return false;
    before = c;
  }
  return before != '.' && before != '-' && text.front() != '-';
}

void add_secret(VisitorClaim& claim, const std::optional<SecretAuth>& auth) {
  if (auth && auth->enabled) claim.attempt.hashes.push_back(auth->secret);
}

VisitorClaim claim(app::VisitorSecret kind, std::string_view name, const std::string& secret) {
  VisitorClaim out;
  out.attempt.kind = kind;
  out.attempt.secret = Secret(secret);
  out.user = std::string(name) + "-user";
  out.method = name;
  return out;
}

std::size_t secret_size(const pb::AuthenticateRequest& request) {
  if (request.has_pin()) return request.pin().pin().size();
  if (request.has_password()) return request.password().password().size();
  return request.has_header_auth() ? request.header_auth().header_value().size() : 0;
}

}  // namespace

// --- reports ------------------------------------------------------------------------------------

Result<> check_request(const pb::SendAccessLogRequest& request) {
  return check_log(request.log());
}

ProxyAccess access_of(const pb::AccessLog& log) {
  ProxyAccess access;
  access.id = log.log_id();
  access.service_id = log.service_id();
  access.at = WallTime(std::chrono::seconds(log.timestamp().seconds()) +
                       std::chrono::nanoseconds(log.timestamp().nanos()));
  access.method = log.method();
  access.host = log.host();
  access.path = storable_prefix(log.path(), kPathKeptBytes);
  access.duration_ms = log.duration_ms();
  access.status_code = log.response_code();
  access.reason = reason_of(log);
  access.user_id = log.user_id();
  access.auth_method = log.auth_mechanism();
  access.bytes_upload = log.bytes_upload();
  access.bytes_download = log.bytes_download();
  access.protocol = log.protocol();
  for (const auto& [name, value] : log.metadata()) access.metadata[name] = value;
  return access;
}

Result<> check_request(const pb::SendStatusUpdateRequest& request) {
  return check_ids(request.account_id(), request.service_id());
}

Result<> check_request(const pb::CreateProxyPeerRequest& request) {
  NB_TRY(check_ids(request.account_id(), request.service_id()));
  NB_TRY(check_text("cluster", request.cluster(), kIdBytesMax));
  if (!crypto::PublicKey::parse(request.wireguard_public_key()))
    return invalid("wireguard_public_key is not a WireGuard key");
  return {};
}

Result<> check_hello(std::string_view id, std::string_view address) {
  if (id.empty()) return invalid("proxy_id is required");
  if (id.size() > kIdBytesMax || !is_storable(id)) return invalid("proxy_id is invalid");
  if (!is_cluster_address(address)) return invalid("proxy address is invalid");
  return {};
}

// --- visitors -----------------------------------------------------------------------------------

Result<> check_request(const pb::AuthenticateRequest& request) {
  NB_TRY(check_ids(request.account_id(), request.id()));
  if (secret_size(request) > kSecretBytesMax) return invalid("the secret is too long");
  return {};
}

VisitorClaim claim_of(const pb::AuthenticateRequest& request, const Service& service) {
  using app::VisitorSecret;
  VisitorClaim out;
  const ServiceAuth& auth = service.auth;
  if (request.has_pin()) {
    out = claim(VisitorSecret::kPin, "pin", request.pin().pin());
    add_secret(out, auth.pin);
  } else if (request.has_password()) {
    out = claim(VisitorSecret::kPassword, "password", request.password().password());
    add_secret(out, auth.password);
  } else if (request.has_header_auth()) {
    out = claim(VisitorSecret::kHeader, "header", request.header_auth().header_value());
    const std::string& name = request.header_auth().header_name();
    for (const HeaderAuth& header : auth.headers)
      if (header.enabled && (name.empty() || equals_ignore_case(header.header, name)))
        out.attempt.hashes.push_back(header.secret);
  }
  out.attempt.service = service.id;
  return out;
}

Result<std::string> visited_host(const pb::GetOIDCURLRequest& request) {
  NB_TRY(check_text("account_id", request.account_id(), kIdBytesMax));
  NB_TRY(check_text("redirect_url", request.redirect_url(), kUrlBytesMax));
  const auto url = parse_url(request.redirect_url());
  if (!url) return fail(Code::kInvalidArgument, "parse redirect url: {}", url.error().text);
  if (url->scheme != "https" && url->scheme != "http")
    return invalid("redirect URL must use http or https scheme");
  // A browser reads what stands before '@' in the authority or behind '\' in its own way: no such
  // thing passes. In a path '@' is a letter like others; official proxies leave it as it was
  // written.
  std::string_view authority = request.redirect_url();
  authority.remove_prefix(authority.find("//") + 2);
  authority = authority.substr(0, authority.find_first_of("/?#"));
  if (authority.find('@') != authority.npos ||
      request.redirect_url().find_first_of("\\\r\n\t ") != std::string::npos)
    return invalid("redirect URL has characters that do not belong there");
  return lower(url->host);
}

Result<> check_request(const pb::ValidateSessionRequest& request) {
  NB_TRY(check_text("domain", request.domain(), kDomainBytesMax));
  return check_text("session_token", request.session_token(), kTokenBytesMax);
}

Result<> check_request(const pb::ValidateTunnelPeerRequest& request) {
  return check_text("domain", request.domain(), kDomainBytesMax);
}

}  // namespace nb::management::grpc
