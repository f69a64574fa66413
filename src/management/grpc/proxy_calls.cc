// Calls of reverse proxies with one answer.
// Source   the public definition of ProxyService; contract/rest-api.md §7.13, §7.16, auth-idp.md
//          §7.5.
#include "base/text.h"
#include "crypto/access_token.h"
#include "crypto/box.h"
#include "crypto/session_token.h"
#include "management/grpc/proxy_requests.h"
#include "management/grpc/proxy_session.h"
#include "management/grpc/proxy_state.h"
#include "proto/proxy_service.pb.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace nb::management::grpc {
namespace {

namespace asio = boost::asio;
namespace pb = ::management;
using Answer = Task<std::string>;

constexpr std::size_t kNameBytesMax = 255;  // of what is said again in an error

struct ProxyCaller {
  ProxyGrant grant;
  std::string ip;
};

template <class Request>
Result<Request> read(const std::string& message) {
  Request request;
  if (request.ParseFromString(message)) return request;
  return fail(Code::kInvalidArgument, "invalid request message");
}

// --- reports ------------------------------------------------------------------------------------

Answer send_access_log(ProxyStatePtr state, ProxyCaller caller, std::string message, Instant by) {
  NB_CO_LET(const pb::SendAccessLogRequest request, read<pb::SendAccessLogRequest>(message));
  const pb::AccessLog& log = request.log();
  NB_CO_TRY(check_scope(caller.grant, log.account_id()));
  // Agent networks are not served here, so nobody can say anything true of them.
  if (log.agent_network()) co_return fail(Code::kUnimplemented, "agent networks are not supported");
  NB_CO_TRY(check_request(request));
  ProxyAccess access = access_of(log);
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

Answer send_status_update(ProxyStatePtr state, ProxyCaller caller, std::string message,
                          Instant by) {
  NB_CO_LET(const pb::SendStatusUpdateRequest request, read<pb::SendStatusUpdateRequest>(message));
  NB_CO_TRY(check_scope(caller.grant, request.account_id()));
  NB_CO_TRY(check_request(request));
  AccountId account(request.account_id());
  ServiceId service(request.service_id());
  std::string text = status_text(request.status());
  NB_CO_TRY(co_await state->ports.store.set_status(by, std::move(account), std::move(service),
                                                   std::move(text), request.certificate_issued()));
  co_return pb::SendStatusUpdateResponse().SerializeAsString();
}

Answer create_proxy_peer(ProxyStatePtr state, ProxyCaller caller, std::string message, Instant by) {
  NB_CO_LET(const pb::CreateProxyPeerRequest request, read<pb::CreateProxyPeerRequest>(message));
  NB_CO_TRY(check_scope(caller.grant, request.account_id()));
  pb::CreateProxyPeerResponse response;
  if (request.service_id().empty() || request.account_id().empty() || request.token().empty()) {
    response.set_error_message(
        "missing required fields: service_id, account_id, and token are required");
    co_return response.SerializeAsString();
  }
  NB_CO_TRY(check_request(request));
  NB_CO_LET(const crypto::PublicKey key, crypto::PublicKey::parse(request.wireguard_public_key()));
  auto opened = state->ports.seals.open_token(request.token(), request.account_id(),
                                              request.service_id(), state->ports.clock.wall());
  if (!opened) co_return fail(Code::kUnauthenticated, "token validation: {}", opened.error().text);
  ProxyPeer peer{.account = AccountId(request.account_id()),
                 .cluster = request.cluster(),
                 .key = PeerKey(key.base64()),
                 .token_hash = std::move(opened->hash),
                 .token_ends = opened->ends};
  auto made = co_await state->ports.store.create_peer(by, std::move(peer));
  if (!made && made.error().code == Code::kUnauthenticated)
    co_return fail(Code::kUnauthenticated, "token validation: {}", made.error().text);
  if (!made) co_return std::move(made).error();
  // The others are told when it connects, which it does at once: before, its version is unknown,
  // and an official agent that learns the version of a peer begins with it anew. The tunnel's other
  // end notices after 15 s only.
  if (*made && state->ports.on_idle) state->ports.on_idle(**made);
  response.set_success(true);
  co_return response.SerializeAsString();
}

// --- visitors -----------------------------------------------------------------------------------

Answer authenticate(ProxyStatePtr state, ProxyCaller caller, std::string message, Instant by) {
  NB_CO_LET(const pb::AuthenticateRequest request, read<pb::AuthenticateRequest>(message));
  NB_CO_TRY(check_scope(caller.grant, request.account_id()));
  NB_CO_TRY(check_request(request));
  AccountId account(request.account_id());
  ServiceId id(request.id());
  const auto found = co_await state->ports.store.service(by, std::move(account), std::move(id));
  if (!found && found.error().code == Code::kNotFound)
    co_return fail(Code::kFailedPrecondition, "get service from store: {}", found.error().text);
  if (!found) co_return found.error();
  VisitorClaim claim = claim_of(request, found->service);
  // The token too: behind one balancer all proxies may have one address.
  claim.attempt.proxy = caller.grant.token.value() + "@" + caller.ip;
  NB_CO_LET(const bool good, co_await state->gate.open(std::move(claim.attempt)));
  pb::AuthenticateResponse response;
  if (!good) co_return response.SerializeAsString();
  response.set_success(true);
  if (!found->private_key.empty()) {
    const crypto::SessionClaims claims{
        .user = claim.user, .domain = found->service.domain, .method = claim.method};
    NB_CO_LET(std::string token,
              crypto::sign_session(found->private_key, claims, state->ports.clock.wall()));
    response.set_session_token(std::move(token));
  }
  co_return response.SerializeAsString();
}

Answer get_oidc_url(ProxyStatePtr state, ProxyCaller caller, std::string message, Instant by) {
  NB_CO_LET(const pb::GetOIDCURLRequest request, read<pb::GetOIDCURLRequest>(message));
  NB_CO_TRY(check_scope(caller.grant, request.account_id()));
  NB_CO_LET(std::string domain, visited_host(request));
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

Answer validate_session(ProxyStatePtr state, ProxyCaller caller, std::string message, Instant by) {
  NB_CO_LET(const pb::ValidateSessionRequest request, read<pb::ValidateSessionRequest>(message));
  pb::ValidateSessionResponse response;
  if (request.domain().empty() || request.session_token().empty())
    co_return denied(response, "missing domain or session_token");
  NB_CO_TRY(check_request(request));
  std::string domain = request.domain();
  const auto found = co_await state->ports.store.service_of_domain(by, std::move(domain));
  if (!found && found.error().code == Code::kNotFound)
    co_return denied(response, "service_not_found");
  if (!found) co_return found.error();
  NB_CO_TRY(check_scope(caller.grant, found->service.account_id.value()));
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

Answer validate_tunnel_peer(ProxyStatePtr state, ProxyCaller caller, std::string message,
                            Instant by) {
  NB_CO_LET(const pb::ValidateTunnelPeerRequest request,
            read<pb::ValidateTunnelPeerRequest>(message));
  pb::ValidateTunnelPeerResponse response;
  if (request.domain().empty() || request.tunnel_ip().empty())
    co_return denied(response, "missing domain or tunnel_ip");
  NB_CO_TRY(check_request(request));
  const auto ip = IpAddress::parse(request.tunnel_ip());
  if (!ip) co_return denied(response, "invalid_tunnel_ip");
  std::string domain = request.domain();
  const auto found = co_await state->ports.store.service_of_domain(by, std::move(domain));
  if (!found && found.error().code == Code::kNotFound)
    co_return denied(response, "service_not_found");
  if (!found) co_return found.error();
  const Service& service = found->service;
  NB_CO_TRY(check_scope(caller.grant, service.account_id.value()));
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

Answer no_agent_networks(ProxyStatePtr /*state*/, ProxyCaller /*caller*/, std::string /*message*/,
                         Instant /*by*/) {
  co_return fail(Code::kUnimplemented, "agent-network limits service not configured on management");
}

// --- frame --------------------------------------------------------------------------------------

using Handler = Answer (*)(ProxyStatePtr, ProxyCaller, std::string, Instant);

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
  auto grant =
      co_await proxy_caller(state, loop, std::move(asked.authorization), asked.ip, asked.by);
  Result<std::string> done = fail(Code::kInternal, "not answered");
  if (grant) {
    ProxyCaller caller{.grant = *std::move(grant), .ip = std::move(asked.ip)};
    done = co_await asked.handler(state, std::move(caller), std::move(asked.message), asked.by);
  } else {
    done = std::move(grant).error();
  }
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
              escape_control(account.substr(0, kNameBytesMax)));
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
