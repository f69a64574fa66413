#include "base/error_kinds.h"
#include "base/log_keys.h"
#include "base/text.h"
#include "crypto/access_token.h"
#include "management/auth/auth.h"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <utility>

namespace nb::management::auth {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr std::size_t kTokenMax = 16 * 1024;
constexpr auto kTouchEvery = 60s;

/// ^([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]{2,}$ — contract/network-map.md §6.3.
bool is_private_domain(std::string_view domain) {
  if (domain.empty() || domain.size() > 253) return false;
  std::size_t labels = 0;
  for (std::size_t at = 0; at <= domain.size(); ++labels) {
    const auto dot = std::min(domain.find('.', at), domain.size());
    const std::string_view label = domain.substr(at, dot - at);
    const bool last = dot == domain.size();
    const auto ok = [last](char c) {
      return (c >= 'a' && c <= 'z') || (!last && ((c >= '0' && c <= '9') || c == '-'));
    };
    if (label.empty() || !std::all_of(label.begin(), label.end(), ok)) return false;
    if (label.front() == '-' || label.back() == '-' || label.find("--") != label.npos) return false;
    if (last && label.size() < 2) return false;
    at = dot + 1;
  }
  return labels >= 2;
}

/// The domain by which the claims' person finds an account; empty: none of that kind.
std::string private_domain(const Claims& claims) {
  std::string domain = lower(claims.domain);
  return claims.domain_category == "private" && is_private_domain(domain) ? domain : std::string{};
}

}  // namespace

Authority::Authority(AuthorityPorts ports, AuthorityOptions options)
    : ports_(std::move(ports)), options_(std::move(options)), rules_(options_.rules) {}

Task<Claims> Authority::verified(Instant deadline, std::string jwt) {
  if (ports_.keys == nullptr)
    co_return fail(Code::kUnauthenticated, "this server is not configured for user logins");
  if (jwt.size() > kTokenMax) co_return fail(Code::kUnauthenticated, "token is too long");
  auto jws = crypto::Jws::parse(jwt);
  if (!jws) co_return fail(Code::kUnauthenticated, "{}", jws.error().text);
  NB_CO_LET(const std::shared_ptr<const ClaimRules> rules, rules_.known());
  const auto key = co_await ports_.keys->find(deadline, *jws);
  if (!key) co_return key.error();
  if (const auto good = crypto::verify(*jws, *key); !good)
    co_return fail(Code::kUnauthenticated, "{}", good.error().text);
  co_return read_claims(std::move(jws->payload), *rules, ports_.clock.wall());
}

Enrolment Authority::enrolment(const Claims& claims) const {
  Enrolment person;
  person.user = claims.user;
  person.name = claims.name.empty() ? claims.preferred_username : claims.name;
  person.email = claims.email;
  person.single_account = options_.single_account;
  person.default_policy = options_.default_policy;
  const auto subject = decode_subject(claims.user.value());
  person.may_found =
      !options_.local_founders_only || (subject && subject->connector_id == kLocalConnector);
  person.private_domain =
      options_.single_account ? options_.single_account_domain : private_domain(claims);
  return person;
}

Task<Enrolled> Authority::resolved(Instant deadline, Claims claims) {
  auto known = co_await ports_.store.user(deadline, claims.user);
  if (known) {
    // Service users have no login at the provider; a token that names one is not theirs.
    if (known->user.is_service_user)
      co_return fail(Code::kUnauthenticated, "service users can not log in");
    const Account& account = known->account;
    const bool stands = account.domain_category == "private" && account.is_domain_primary;
    if (options_.single_account || stands || private_domain(claims).empty())
      co_return Enrolled{.known = *std::move(known)};
    // With many accounts, a known user's domain may have become private
    // (contract/network-map.md §6.3 (2)).
    co_return co_await ports_.store.enrol(deadline, enrolment(claims));
  }
  if (known.error().code != Code::kNotFound) co_return std::move(known).error();
  if (ports_.provider != nullptr) {
    // A deleted user's token lives on for a while, and must not make the user anew.
    const auto gone = co_await ports_.provider->deleted(deadline, claims.user,
                                                        claims.issued_at.value_or(WallTime{}));
    if (!gone) co_return gone.error();
    if (*gone) co_return fail(Code::kUnauthenticated, "the user was deleted");
  }
  auto enrolled = co_await ports_.store.enrol(deadline, enrolment(claims));
  if (!enrolled && enrolled.error().code == Code::kFailedPrecondition)
    ports_.log.limited().warn("a user of another provider was refused: nobody owns this server yet",
                              {log::f(log::kUser, claims.user.value())});
  if (enrolled && enrolled->serial)
    ports_.changes.committed(enrolled->known.account.id, *enrolled->serial);
  if (enrolled && enrolled->how != Enrolled::How::kKnown)
    ports_.log.info(enrolled->how == Enrolled::How::kFounded ? "account founded" : "user joined",
                    {log::f(log::kAccount, enrolled->known.account.id.value())});
  co_return enrolled;
}

Task<> Authority::apply_groups(Instant deadline, Claims claims, KnownUser known) {
  const AccountSettings& settings = known.account.settings;
  if (!settings.jwt_groups_enabled || settings.jwt_groups_claim_name.empty()) co_return Result<>{};
  // Who logs in with a password here has no groups in his tokens.
  const auto subject = decode_subject(claims.user.value());
  if (ports_.provider != nullptr && subject && subject->connector_id == kLocalConnector)
    co_return Result<>{};
  auto names = text_list(claims, settings.jwt_groups_claim_name);
  const auto& allowed = settings.jwt_allow_groups;
  const auto is_allowed = [&](const std::string& name) {
    return std::find(allowed.begin(), allowed.end(), name) != allowed.end();
  };
  const bool limited = settings.jwt_allow_groups_unreadable || !allowed.empty();
  if (limited && std::none_of(names.begin(), names.end(), is_allowed))
    co_return fail(Code::kPermissionDenied,
                   "user does not belong to any of the allowed JWT groups");
  const auto synced =
      co_await ports_.store.sync_token_groups(deadline, claims.user, std::move(names));
  if (!synced)
    ports_.log.warn("groups of a token were not stored; they are tried again with the next call",
                    {log::f("error", synced.error().text)});
  else if (synced->serial)
    ports_.changes.committed(known.account.id, *synced->serial);
  co_return Result<>{};
}

asio::awaitable<void> Authority::note_login(Instant deadline, Claims claims, KnownUser known) {
  const User& user = known.user;
  LoginSeen seen{.user = user.id};
  const std::string& name = claims.name.empty() ? claims.preferred_username : claims.name;
  if (name != user.name) seen.name = name;
  if (claims.email != user.email) seen.email = claims.email;
  // The provider's own word first; otherwise the login of the session behind the token.
  auto login = claims.last_login;
  if (!login) login = claims.auth_time ? claims.auth_time : claims.issued_at;
  if (login && (!user.last_login || *login >= *user.last_login + kTouchEvery)) {
    seen.last_login = login;
    seen.record_event = user.last_login.has_value();
  }
  if (seen.name.empty() && seen.email.empty() && !seen.last_login) co_return;
  const auto stored = co_await ports_.store.login_seen(deadline, std::move(seen));
  ignore(stored, "a call does not fail because of its bookkeeping");
}

Task<Caller> Authority::bearer(Instant deadline, std::string jwt) {
  // A browser that leaves must not cut off half of what follows from its token.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  auto claims = co_await verified(deadline, std::move(jwt));
  if (!claims) co_return std::move(claims).error();
  auto enrolled = co_await resolved(deadline, *claims);
  if (!enrolled) co_return std::move(enrolled).error();
  const auto groups = co_await apply_groups(deadline, *claims, enrolled->known);
  if (!groups) co_return groups.error();
  co_await note_login(deadline, *std::move(claims), enrolled->known);
  co_return Caller{std::move(enrolled->known), Scheme::kJwt};
}

Task<Caller> Authority::personal_token(Instant deadline, std::string token) {
  if (const auto form = crypto::check_token(crypto::TokenKind::kPersonal, token); !form)
    co_return form.error();
  auto holder = co_await ports_.store.token(deadline, crypto::hash_token(token));
  if (!holder) {
    if (holder.error().code == Code::kNotFound)
      co_return fail(Code::kUnauthenticated, "token invalid");
    co_return std::move(holder).error();
  }
  const WallTime now = ports_.clock.wall();
  if (!holder->expires_at || *holder->expires_at <= now)
    co_return fail(Code::kUnauthenticated, "token invalid");
  if (!holder->last_used || *holder->last_used + kTouchEvery <= now) {
    const auto touched =
        co_await ports_.store.token_used(deadline, holder->token, now, kTouchEvery);
    ignore(touched, "a call does not fail because of its bookkeeping");
  }
  co_return Caller{std::move(holder->owner), Scheme::kPersonalToken, std::move(holder->token)};
}

Task<app::TokenUser> Authority::identify(Instant deadline, Secret token) {
  auto claims = co_await verified(deadline, std::string(token.reveal()));
  if (!claims) {
    const Error& error = claims.error();
    if (is_outage(error.code)) co_return fail(Code::kUnavailable, "{}", error.text);
    if (error.text == kNoExpiration || error.text == kNoUserId) co_return error;
    co_return fail(Code::kInvalidArgument, "invalid jwt token, err: {}", error.text);
  }
  auto enrolled = co_await resolved(deadline, *claims);
  if (!enrolled) {
    const Error& error = enrolled.error();
    if (is_outage(error.code)) co_return fail(Code::kUnavailable, "{}", error.text);
    co_return fail(Code::kInternal, "unable to fetch account with claims, err: {}", error.text);
  }
  const auto groups = co_await apply_groups(deadline, *claims, enrolled->known);
  if (!groups) co_return groups.error();
  app::TokenUser out;
  out.account = enrolled->known.account.id;
  out.user = claims->user;
  out.email = claims->email.empty() ? enrolled->known.user.email : claims->email;
  out.expires_at = claims->expires_at;
  co_return out;
}

}  // namespace nb::management::auth
