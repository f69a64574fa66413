// Calls of reverse proxies with one answer.
// Source   the public definition of ProxyService; contract/rest-api.md §7.13, §7.16, auth-idp.md
//          §7.5.
#include "base/text.h"
#include "crypto/access_token.h"
#include "crypto/box.h"
#include "crypto/session_token.h"
#include "management/grpc/proxy_session.h"
#include "management/grpc/proxy_state.h"
#include "management/grpc/text.h"
#include "proto/proxy_service.pb.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace nb::management::grpc {
namespace {

namespace asio = boost::asio;
namespace pb = ::management;
using Answer = Task<std::string>;

constexpr std::size_t kIdBytesMax = 255;
constexpr std::size_t kDomainBytesMax = 253;
constexpr std::size_t kTextBytesMax = 8'192;
constexpr std::size_t kUrlBytesMax = 4'096;
constexpr std::size_t kSecretBytesMax = 4'096;
constexpr std::size_t kTokenBytesMax = 16 * 1024;
constexpr int kMetadataMax = 64;
constexpr std::size_t kMetadataBytesMax = 16 * 1024;
/// Of one service: a PIN of six digits holds out for days, a crowd gets in.
constexpr RateLimit kGuesses{.per_second = 1, .burst = 60};

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

// --- reports ------------------------------------------------------------------------------------

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

Answer send_access_log(ProxyStatePtr state, ProxyGrant grant, std::string message, Instant by) {
  pb::SendAccessLogRequest request;
  if (!request.ParseFromString(message)) co_return invalid("invalid request message");
  const pb::AccessLog& log = request.log();
  NB_CO_TRY(check_scope(grant, log.account_id()));
  // Agent networks are not served here, so nobody can say anything true of them.
  if (log.agent_network()) co_return fail(Code::kUnimplemented, "agent networks are not supported");
  NB_CO_TRY(check_log(log));
  ProxyAccess access;
  access.id = log.log_id();
  access.service_id = log.service_id();
  access.at = WallTime(std::chrono::seconds(log.timestamp().seconds()) +
                       std::chrono::nanoseconds(log.timestamp().nanos()));
  access.method = log.method();
  access.host = log.host();
  access.path = log.path();
  access.duration_ms = log.duration_ms();
  access.status_code = log.response_code();
  access.reason = reason_of(log);
  access.user_id = log.user_id();
  access.auth_method = log.auth_mechanism();
  access.bytes_upload = log.bytes_upload();
  access.bytes_download = log.bytes_download();
  access.protocol = log.protocol();
  for (const auto& [name, value] : log.metadata()) access.metadata[name] = value;
  PeerLocation place;
  if (const auto ip = IpAddress::parse(log.source_ip())) {
    place.connection_ip = ip->unmapped();
    access.source_ip = place.connection_ip.to_string();
    if (state->ports.geo != nullptr) state->ports.geo->locate(place);
  }
  access.country_code = place.country_code;
  access.city_name = place.city_name;
  AccountId account(log.account_id());
  NB_CO_TRY(co_await state->ports.store.add_access(by, std::move(account), std::move(access),
                                                   place.geo_name_id));
  co_return pb::SendAccessLogResponse().SerializeAsString();
}

std::string status_text(pb::ProxyStatus status) {
  switch (status) {
    case pb::PROXY_STATUS_PENDING:
      return "pending";
    case pb::PROXY_STATUS_ACTIVE:
      return "active";
    case pb::PROXY_STATUS_TUNNEL_NOT_CREATED:
      return "tunnel_not_created";
    case pb::PROXY_STATUS_CERTIFICATE_PENDING:
      return "certificate_pending";
    case pb::PROXY_STATUS_CERTIFICATE_FAILED:
      return "certificate_failed";
    default:
      return "error";
  }
}

Answer send_status_update(ProxyStatePtr state, ProxyGrant grant, std::string message, Instant by) {
  pb::SendStatusUpdateRequest request;
  if (!request.ParseFromString(message)) co_return invalid("invalid request message");
  NB_CO_TRY(check_scope(grant, request.account_id()));
  NB_CO_TRY(check_ids(request.account_id(), request.service_id()));
  AccountId account(request.account_id());
  ServiceId service(request.service_id());
  std::string text = status_text(request.status());
  NB_CO_TRY(co_await state->ports.store.set_status(by, std::move(account), std::move(service),
                                                   std::move(text), request.certificate_issued()));
  co_return pb::SendStatusUpdateResponse().SerializeAsString();
}

Answer create_proxy_peer(ProxyStatePtr state, ProxyGrant grant, std::string message, Instant by) {
  pb::CreateProxyPeerRequest request;
  if (!request.ParseFromString(message)) co_return invalid("invalid request message");
  NB_CO_TRY(check_scope(grant, request.account_id()));
  pb::CreateProxyPeerResponse response;
  if (request.service_id().empty() || request.account_id().empty() || request.token().empty()) {
    response.set_error_message(
        "missing required fields: service_id, account_id, and token are required");
    co_return response.SerializeAsString();
  }
  NB_CO_TRY(check_ids(request.account_id(), request.service_id()));
  NB_CO_TRY(check_text("cluster", request.cluster(), kIdBytesMax));
  const auto key = crypto::PublicKey::parse(request.wireguard_public_key());
  if (!key) co_return invalid("wireguard_public_key is not a WireGuard key");
  auto opened = state->ports.seals.open_token(request.token(), request.account_id(),
                                              request.service_id(), state->ports.clock.wall());
  if (!opened) co_return fail(Code::kUnauthenticated, "token validation: {}", opened.error().text);
  ProxyPeer peer{.account = AccountId(request.account_id()),
                 .cluster = request.cluster(),
                 .key = PeerKey(key->base64()),
                 .token_hash = std::move(opened->hash),
                 .token_ends = opened->ends};
  auto made = co_await state->ports.store.create_peer(by, std::move(peer));
  if (!made && made.error().code == Code::kUnauthenticated)
    co_return fail(Code::kUnauthenticated, "token validation: {}", made.error().text);
  if (!made) co_return std::move(made).error();
  if (made->peer) {
    state->ports.changes.committed(made->peer->account_id, made->serial);
    if (state->ports.on_idle) state->ports.on_idle(*made->peer);
  }
  response.set_success(true);
  co_return response.SerializeAsString();
}

// --- visitors -----------------------------------------------------------------------------------

struct Attempt {
  std::vector<std::string> hashes;  // any of them lets in
  std::string secret;
  std::string user;
  std::string method;
};

void add_secret(Attempt& attempt, const std::optional<SecretAuth>& auth) {
  if (auth && auth->enabled) attempt.hashes.push_back(auth->secret);
}

Attempt attempt_of(const pb::AuthenticateRequest& request, const ServiceAuth& auth) {
  Attempt out;
  if (request.has_pin()) {
    out = {{}, request.pin().pin(), "pin-user", "pin"};
    add_secret(out, auth.pin);
  } else if (request.has_password()) {
    out = {{}, request.password().password(), "password-user", "password"};
    add_secret(out, auth.password);
  } else if (request.has_header_auth()) {
    out = {{}, request.header_auth().header_value(), "header-user", "header"};
    const std::string& name = request.header_auth().header_name();
    for (const HeaderAuth& header : auth.headers)
      if (header.enabled && (name.empty() || equals_ignore_case(header.header, name)))
        out.hashes.push_back(header.secret);
  }
  return out;
}

Answer authenticate(ProxyStatePtr state, ProxyGrant grant, std::string message, Instant by) {
  pb::AuthenticateRequest request;
  if (!request.ParseFromString(message)) co_return invalid("invalid request message");
  NB_CO_TRY(check_scope(grant, request.account_id()));
  NB_CO_TRY(check_ids(request.account_id(), request.id()));
  AccountId account(request.account_id());
  ServiceId id(request.id());
  const auto found = co_await state->ports.store.service(by, std::move(account), std::move(id));
  if (!found && found.error().code == Code::kNotFound)
    co_return fail(Code::kFailedPrecondition, "get service from store: {}", found.error().text);
  if (!found) co_return found.error();
  Attempt attempt = attempt_of(request, found->service.auth);
  if (attempt.secret.size() > kSecretBytesMax) co_return invalid("the secret is too long");
  pb::AuthenticateResponse response;
  if (attempt.hashes.empty()) co_return response.SerializeAsString();
  std::string bucket = "proxy-auth:" + found->service.id.value();
  if (!co_await state->ports.limiter.take(std::move(bucket), kGuesses))
    co_return fail(Code::kResourceExhausted, "too many attempts, please try again later");
  bool good = false;
  for (const std::string& hash : attempt.hashes) {
    if (good) break;
    Secret secret(attempt.secret);
    NB_CO_LET(good, co_await state->ports.hasher.verify(hash, std::move(secret)));
  }
  if (!good) co_return response.SerializeAsString();
  response.set_success(true);
  if (!found->private_key.empty()) {
    const crypto::SessionClaims claims{
        .user = attempt.user, .domain = found->service.domain, .method = attempt.method};
    NB_CO_LET(std::string token,
              crypto::sign_session(found->private_key, claims, state->ports.clock.wall()));
    response.set_session_token(std::move(token));
  }
  co_return response.SerializeAsString();
}

Answer get_oidc_url(ProxyStatePtr state, ProxyGrant grant, std::string message, Instant by) {
  pb::GetOIDCURLRequest request;
  if (!request.ParseFromString(message)) co_return invalid("invalid request message");
  NB_CO_TRY(check_scope(grant, request.account_id()));
  NB_CO_TRY(check_text("account_id", request.account_id(), kIdBytesMax));
  NB_CO_TRY(check_text("redirect_url", request.redirect_url(), kUrlBytesMax));
  const auto url = parse_url(request.redirect_url());
  if (!url) co_return fail(Code::kInvalidArgument, "parse redirect url: {}", url.error().text);
  if (url->scheme != "https" && url->scheme != "http")
    co_return invalid("redirect URL must use http or https scheme");
  // A browser reads what stands before '@' or behind '\' in its own way: no such thing passes.
  if (request.redirect_url().find_first_of("\\@\r\n\t ") != std::string::npos)
    co_return invalid("redirect URL has characters that do not belong there");
  std::string domain = lower(url->host);
  const auto found = co_await state->ports.store.service_of_domain(by, std::move(domain));
  const bool known = found && found->service.account_id.value() == request.account_id();
  if (!known && (found || found.error().code == Code::kNotFound))
    co_return fail(Code::kFailedPrecondition, "service not found in store");
  if (!found) co_return found.error();
  if (!state->ports.sign_in_url)
    co_return fail(Code::kFailedPrecondition, "create OIDC provider: none is configured");
  std::string back = request.redirect_url();
  auto there = co_await state->ports.sign_in_url(by, std::move(back));
  if (!there) co_return std::move(there).error();
  pb::GetOIDCURLResponse response;
  response.set_url(std::move(*there));
  co_return response.SerializeAsString();
}

template <class Response>
void set_groups(Response& response, const std::vector<NamedGroup>& groups) {
  for (const NamedGroup& group : groups) {
    response.add_peer_group_ids(group.id.value());
    response.add_peer_group_names(group.name);
  }
}

template <class Response>
std::string denied(Response response, std::string_view reason) {
  response.set_valid(false);
  response.set_denied_reason(std::string(reason));
  return response.SerializeAsString();
}

/// Who waits for approval is stored as blocked too; only the first can be helped.
std::string_view denied_reason(const User& user) {
  if (user.pending_approval) return "pending_approval";
  return user.blocked ? "user_blocked" : "";
}

bool any_of(const std::vector<std::string>& allowed, const std::vector<std::string>& has) {
  return std::ranges::any_of(has, [&](const std::string& one) {
    return std::ranges::find(allowed, one) != allowed.end();
  });
}

std::vector<std::string> texts(const std::vector<GroupId>& ids) {
  std::vector<std::string> out;
  for (const GroupId& id : ids) out.push_back(id.value());
  return out;
}

const std::vector<std::string>* distribution(const Service& service) {
  const auto& bearer = service.auth.bearer;
  return bearer && bearer->enabled && !bearer->distribution_groups.empty()
             ? &bearer->distribution_groups
             : nullptr;
}

Answer validate_session(ProxyStatePtr state, ProxyGrant grant, std::string message, Instant by) {
  pb::ValidateSessionRequest request;
  if (!request.ParseFromString(message)) co_return invalid("invalid request message");
  pb::ValidateSessionResponse response;
  if (request.domain().empty() || request.session_token().empty())
    co_return denied(response, "missing domain or session_token");
  NB_CO_TRY(check_text("domain", request.domain(), kDomainBytesMax));
  NB_CO_TRY(check_text("session_token", request.session_token(), kTokenBytesMax));
  std::string domain = request.domain();
  const auto found = co_await state->ports.store.service_of_domain(by, std::move(domain));
  if (!found && found.error().code == Code::kNotFound)
    co_return denied(response, "service_not_found");
  if (!found) co_return found.error();
  NB_CO_TRY(check_scope(grant, found->service.account_id.value()));
  const auto user = crypto::session_user(request.session_token(), found->service.session_public_key,
                                         found->service.domain, state->ports.clock.wall());
  if (!user)
    co_return denied(response, user.error().code == Code::kUnauthenticated
                                   ? "invalid_token"
                                   : "invalid_service_config");
  UserId id(*user);
  const auto visitor = co_await state->ports.store.visitor(by, std::move(id));
  if (!visitor && visitor.error().code == Code::kNotFound)
    co_return denied(response, "user_not_found");
  if (!visitor) co_return visitor.error();
  // Nothing of a person of another account belongs into an answer.
  if (visitor->user.account_id != found->service.account_id)
    co_return denied(response, "account_mismatch");
  response.set_user_id(visitor->user.id.value());
  response.set_user_email(visitor->user.email);
  set_groups(response, visitor->groups);
  if (const auto why = denied_reason(visitor->user); !why.empty()) co_return denied(response, why);
  const auto* const allowed = distribution(found->service);
  if (allowed != nullptr && !any_of(*allowed, texts(visitor->user.auto_groups)))
    co_return denied(response, "not_in_group");
  response.set_valid(true);
  co_return response.SerializeAsString();
}

/// A private service is for its groups only, be the list empty.
bool may_enter(const Service& service, const std::vector<NamedGroup>& groups) {
  std::vector<std::string> has;
  for (const NamedGroup& group : groups) has.push_back(group.id.value());
  if (service.is_private) return any_of(texts(service.access_groups), has);
  const auto* const allowed = distribution(service);
  return allowed == nullptr || any_of(*allowed, has);
}

Answer validate_tunnel_peer(ProxyStatePtr state, ProxyGrant grant, std::string message,
                            Instant by) {
  pb::ValidateTunnelPeerRequest request;
  if (!request.ParseFromString(message)) co_return invalid("invalid request message");
  pb::ValidateTunnelPeerResponse response;
  if (request.domain().empty() || request.tunnel_ip().empty())
    co_return denied(response, "missing domain or tunnel_ip");
  NB_CO_TRY(check_text("domain", request.domain(), kDomainBytesMax));
  const auto ip = IpAddress::parse(request.tunnel_ip());
  if (!ip) co_return denied(response, "invalid_tunnel_ip");
  std::string domain = request.domain();
  const auto found = co_await state->ports.store.service_of_domain(by, std::move(domain));
  if (!found && found.error().code == Code::kNotFound)
    co_return denied(response, "service_not_found");
  if (!found) co_return found.error();
  const Service& service = found->service;
  NB_CO_TRY(check_scope(grant, service.account_id.value()));
  const auto visitor =
      co_await state->ports.store.tunnel_visitor(by, service.account_id, ip->unmapped());
  if (!visitor && visitor.error().code == Code::kNotFound)
    co_return denied(response, "peer_not_found");
  if (!visitor) co_return visitor.error();
  const Peer& peer = visitor->peer;
  const bool owned = !peer.user_id.empty();
  const std::string who = owned ? peer.user_id.value() : peer.id.value();
  const bool mailed = visitor->owner && !visitor->owner->email.empty();
  const std::string shown = mailed ? visitor->owner->email : peer.name;
  response.set_user_id(who);
  response.set_user_email(shown);
  set_groups(response, visitor->groups);
  if (owned && !visitor->owner) co_return denied(response, "user_not_found");
  if (visitor->owner) {
    if (const auto why = denied_reason(*visitor->owner); !why.empty())
      co_return denied(response, why);
  }
  if (!may_enter(service, visitor->groups)) co_return denied(response, "not_in_group");
  response.set_valid(true);
  if (!found->private_key.empty()) {
    crypto::SessionClaims claims{
        .user = who, .domain = service.domain, .method = "oidc", .email = shown};
    for (const NamedGroup& group : visitor->groups) {
      claims.groups.push_back(group.id.value());
      claims.group_names.push_back(group.name);
    }
    NB_CO_LET(std::string token,
              crypto::sign_session(found->private_key, claims, state->ports.clock.wall()));
    response.set_session_token(std::move(token));
  }
  co_return response.SerializeAsString();
}

Answer no_agent_networks(ProxyStatePtr /*state*/, ProxyGrant /*grant*/, std::string /*message*/,
                         Instant /*by*/) {
  co_return fail(Code::kUnimplemented, "agent-network limits service not configured on management");
}

// --- frame --------------------------------------------------------------------------------------

using Handler = Answer (*)(ProxyStatePtr, ProxyGrant, std::string, Instant);

struct Asked {
  Handler handler;
  net::GrpcCallHandle call;
  std::string authorization;
  std::string ip;
  std::string message;
  Instant by{};
};

asio::awaitable<void> answer(ProxyStatePtr state, ProxyLoop* loop, Asked asked) {
  const net::GrpcCallHandle handle = asked.call;
  auto grant = co_await proxy_caller(state, loop, std::move(asked.authorization),
                                     std::move(asked.ip), asked.by);
  Result<std::string> done = fail(Code::kInternal, "not answered");
  if (grant)
    done = co_await asked.handler(state, *std::move(grant), std::move(asked.message), asked.by);
  else
    done = std::move(grant).error();
  net::GrpcCall* const call = handle.get();
  if (call == nullptr) co_return;
  if (!done) co_return call->finish(net::GrpcStatus::from(done.error()));
  call->write(*done);
  call->finish({});
}

}  // namespace

Task<ProxyGrant> proxy_caller(ProxyStatePtr state, ProxyLoop* loop, std::string authorization,
                              std::string ip, Instant deadline) {
  constexpr std::string_view kBearer = "Bearer ";
  // Who has a good token gets in, whatever others behind the same address try.
  const auto wrong = [&](std::string_view why) {
    if (loop->failures.take(ip, state->ports.clock.now()))
      return fail(Code::kUnauthenticated, "{}", why);
    return fail(Code::kResourceExhausted, "too many failed authentication attempts");
  };
  if (authorization.empty()) co_return wrong("missing authorization header");
  if (!authorization.starts_with(kBearer)) co_return wrong("invalid authorization format");
  const std::string token = authorization.substr(kBearer.size());
  if (!crypto::check_token(crypto::TokenKind::kProxy, token))
    co_return wrong("invalid token format");
  std::string hash = crypto::hash_token(token);
  auto grant = co_await state->ports.store.grant(deadline, std::move(hash));
  if (!grant && grant.error().code == Code::kNotFound) co_return wrong("invalid token");
  if (!grant) co_return std::move(grant).error();
  if (!grant->usable_at(state->ports.clock.wall())) co_return wrong("token expired or revoked");
  co_return std::move(*grant);
}

Result<> check_scope(const ProxyGrant& grant, std::string_view account) {
  if (!grant.account || grant.account->value() == account) return {};
  return fail(Code::kPermissionDenied, "account-scoped token cannot access account {}",
              escape_control(account.substr(0, kIdBytesMax)));
}

void add_proxy_calls(net::GrpcRouter& router, const ProxyStatePtr& state) {
  constexpr std::pair<const char*, Handler> kCalls[] = {
      {"SendAccessLog", send_access_log},
      {"SendStatusUpdate", send_status_update},
      {"CreateProxyPeer", create_proxy_peer},
      {"Authenticate", authenticate},
      {"GetOIDCURL", get_oidc_url},
      {"ValidateSession", validate_session},
      {"ValidateTunnelPeer", validate_tunnel_peer},
      {"CheckLLMPolicyLimits", no_agent_networks},
      {"RecordLLMUsage", no_agent_networks},
  };
  router.keep("authorization");
  for (const auto& [name, handler] : kCalls)
    router.unary(std::string("/management.ProxyService/") + name,
                 [state, handler = handler](net::GrpcCall& call, std::string_view message) {
                   ProxyLoop& loop = state->at(call.loop());
                   Asked asked{.handler = handler,
                               .call = call.handle(),
                               .authorization = std::string(call.metadata("authorization")),
                               .ip = call.client().ip,
                               .message = std::string(message),
                               .by = state->deadline(call.deadline())};
                   loop.tasks.spawn(answer(state, &loop, std::move(asked)));
                 });
}

}  // namespace nb::management::grpc
