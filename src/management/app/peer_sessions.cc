#include "management/app/peer_sessions.h"

#include "base/assert.h"
#include "base/backoff.h"
#include "base/error_kinds.h"
#include "base/log_keys.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "management/app/request_once.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <string_view>
#include <utility>

namespace nb::management::app {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr std::string_view kNotRegistered = "peer is not registered";
constexpr auto kDisconnectDeadline = 10s;
/// What a validator may let pass after a token's end, and clocks that differ.
constexpr auto kTokenLeeway = 60s;
constexpr auto kTokenRepeat = 300s;  // contract/auth-idp.md §2.6

/// contract/management-grpc.md §8.3: FNV-1a 64 over these, without separators.
std::uint64_t meta_hash(const PeerMeta& meta) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const std::string* text : {&meta.wt_version, &meta.os_version, &meta.kernel_version,
                                  &meta.hostname, &meta.system_serial_number}) {
    for (const char c : *text) {
      hash ^= static_cast<unsigned char>(c);
      hash *= 0x100000001b3ULL;
    }
  }
  return hash;
}

/// Phones all have the same name: their user's is added (contract/management-grpc.md §5.2.1).
std::string name_of(const std::string& hostname, const std::optional<TokenUser>& user) {
  std::string lower = hostname;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (!user || user->email.empty() || (lower != "iphone" && lower != "ipad")) return hostname;
  return hostname + '-' + user->email.substr(0, user->email.find('@'));
}

std::string token_hash(std::string_view token) {
  return crypto::to_hex(crypto::sha256(token));
}

}  // namespace

Error as_agent_error(Error error) {
  switch (error.code) {
    case Code::kPermissionDenied:
    case Code::kFailedPrecondition:
    case Code::kNotFound:
    case Code::kInvalidArgument:
    case Code::kUnauthenticated:
      return error;
    case Code::kResourceExhausted:  // the database's queue: an outage like any other
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
    case Code::kAborted:
    case Code::kCancelled:  // old agents take it for their own shutdown and never come back
      return fail(Code::kUnavailable, "temporarily unavailable, please try again");
    default:
      return fail(Code::kInternal, "failed handling request");
  }
}

PeerSessions::PeerSessions(PeerSessionsPorts ports, PeerSessionsOptions options, Logger log)
    : store_(ports.store),
      agents_(ports.agents),
      hub_(ports.hub),
      tokens_(ports.tokens),
      filter_(ports.filter),
      filter_home_(std::move(ports.filter_home)),
      clock_(ports.clock),
      geo_(ports.geo),
      options_(std::move(options)),
      log_(std::move(log)) {}

asio::awaitable<ha::LoginVerdict> PeerSessions::filter(ha::LoginAttempt attempt, bool record) {
  if (filter_ == nullptr) co_return ha::LoginVerdict{};
  auto work =
      record ? filter_->check_and_add(std::move(attempt)) : filter_->check(std::move(attempt));
  if (!filter_home_) co_return co_await std::move(work);
  co_return co_await asio::co_spawn(filter_home_, std::move(work), asio::use_awaitable);
}

Result<> PeerSessions::judge(const ha::LoginVerdict& verdict, const PeerKey& key,
                             std::atomic<std::uint64_t>& counter, bool applies) {
  if (verdict.allowed()) return {};
  counter.fetch_add(1, std::memory_order_relaxed);
  if (options_.log_blocked_peers)
    log_.warn("peer connects too often or changes its description too often",
              {log::f(log::kPeer, key.value())});
  if (!applies || !options_.block_same_peers) return {};
  // Upstream denies permission, which would send the agent's user to a login page.
  return fail(Code::kResourceExhausted, "peer connects too often, please try again later");
}

Task<TokenUser> PeerSessions::authenticate(std::string jwt, PeerKey peer, Instant deadline) {
  if (tokens_ == nullptr)
    co_return fail(Code::kInvalidArgument,
                   "invalid jwt token, err: this server is not configured for user logins");
  TokenUse use{token_hash(jwt), std::move(peer), {}, kTokenRepeat};
  auto user = co_await tokens_->identify(deadline, Secret(std::move(jwt)));
  if (!user) {
    // Its texts are for agents; only what says nothing about the token is told as an outage.
    const bool outage = is_outage(user.error().code);
    co_return outage ? as_agent_error(std::move(user).error()) : std::move(user).error();
  }
  if (user->user.value().empty())
    co_return fail(Code::kUnauthenticated, "jwt token did not yield a user id");
  if (clock_.wall() >= user->expires_at + kTokenLeeway)
    co_return fail(Code::kUnauthenticated, "JWT expired");
  use.expires_at = user->expires_at + kTokenLeeway;
  // Last, when nothing about the token can be refused any more: a repetition must not hide why.
  const auto claimed = co_await agents_.claim_token(deadline, std::move(use));
  if (!claimed && claimed.error().code == Code::kUnauthenticated) co_return claimed.error();
  if (!claimed) co_return fail(Code::kUnavailable, "failed to claim jwt token");
  co_return std::move(*user);
}

Task<PeerView> PeerSessions::extend(ExtendCommand command) {
  if (command.jwt.empty()) co_return fail(Code::kInvalidArgument, "jwt token is required");
  auto user = co_await authenticate(std::move(command.jwt), command.key, command.deadline);
  if (!user) co_return std::move(user).error();
  auto done = co_await agents_.extend_session(command.deadline, std::move(command.key),
                                              std::move(user->user));
  if (!done) co_return as_agent_error(std::move(done).error());
  hub_.committed(done->view.peer.account_id, done->view.serial);
  co_return std::move(done->view);
}

Task<LoggedIn> PeerSessions::login(LoginCommand command) {
  if (command.meta) {
    ha::LoginAttempt attempt{command.key.value(), meta_hash(*command.meta)};
    const auto verdict = co_await filter(std::move(attempt), false);
    NB_CO_TRY(judge(verdict, command.key, counters_.login_blocked, true));
  } else {
    co_return fail(Code::kFailedPrecondition,
                   "peer system meta has to be provided to log in. Peer {}, remote addr {}",
                   command.key.value(), command.location.connection_ip.to_string());
  }
  std::optional<TokenUser> user;
  if (!command.jwt.empty()) {
    auto known = co_await authenticate(std::move(command.jwt), command.key, command.deadline);
    if (!known) co_return std::move(known).error();
    user = std::move(*known);
  }
  Relogin relogin{.key = command.key,
                  .user = user ? std::optional(user->user) : std::nullopt,
                  .ssh_key = command.ssh_key,
                  .has_extra_dns_labels = !command.extra_dns_labels.empty()};
  auto known = co_await store_.relogin(command.deadline, std::move(relogin));
  if (!known) {
    if (known.error().code != Code::kNotFound) co_return as_agent_error(std::move(known).error());
    co_return co_await enroll(std::move(command), std::move(user));
  }
  PeerView& view = known->view;
  if (known->was_changed) hub_.committed(view.peer.account_id, view.serial);
  LoggedIn done{std::move(view.peer), std::move(view.settings), std::move(view.network), false};
  done.peer.meta = merged_meta(done.peer.meta, std::move(*command.meta));
  if (!known->posture_checks) co_return done;
  co_return co_await with_posture(std::move(done), command.deadline);
}

Task<LoggedIn> PeerSessions::with_posture(LoggedIn done, Instant deadline) {
  auto posture = co_await store_.posture_snapshot(deadline, done.peer.account_id, done.peer.id);
  if (!posture) co_return as_agent_error(std::move(posture).error());
  done.posture = std::move(*posture);
  co_return done;
}

Task<LoggedIn> PeerSessions::enroll(LoginCommand command, std::optional<TokenUser> user) {
  NB_ASSERT(command.meta);  // login() asks for it
  Registration request;
  request.key = command.key;
  if (user)
    request.user = user->user;  // a setup key beside it is neither checked nor used
  else if (!command.setup_key.empty())
    request.setup_key = SetupKeyHash(options_.hash_setup_key(command.setup_key));
  request.name = name_of(command.meta->hostname, user);
  request.meta = std::move(*command.meta);
  if (geo_ != nullptr) geo_->locate(command.location);
  request.location = std::move(command.location);
  request.ssh_key = std::move(command.ssh_key);
  request.extra_dns_labels = std::move(command.extra_dns_labels);
  auto registered = co_await store_.register_peer(command.deadline, std::move(request));
  if (!registered) co_return as_agent_error(std::move(registered).error());
  Peer& peer = registered->peer;
  log_.info("peer registered",
            {log::f(log::kPeer, peer.id.value()), log::f(log::kAccount, peer.account_id.value())});
  hub_.committed(peer.account_id, registered->serial);
  if (peer.ephemeral && options_.on_ephemeral_idle) options_.on_ephemeral_idle(session_peer(peer));
  auto view = co_await store_.peer_by_id(command.deadline, peer.account_id, peer.id);
  if (!view) co_return as_agent_error(std::move(view).error());
  LoggedIn done{std::move(peer), std::move(view->settings), std::move(view->network), true};
  if (!registered->posture_checks) co_return done;
  co_return co_await with_posture(std::move(done), command.deadline);
}

MetaUpdate PeerSessions::meta_update(SyncCommand command) const {
  MetaUpdate update{.key = std::move(command.key), .meta = std::move(command.meta), .location = {}};
  if (command.location.connection_ip.is_set()) {
    if (geo_ != nullptr) geo_->locate(command.location);
    update.location = std::move(command.location);
  }
  return update;
}

void PeerSessions::noticed(const MetaUpdated& stored) {
  if (stored.change.any) counters_.meta_updates.fetch_add(1, std::memory_order_relaxed);
  if (stored.change.map_relevant || stored.location_changed)
    hub_.committed(stored.view.peer.account_id, stored.view.serial);
}

Task<MetaUpdated> PeerSessions::store_meta(SyncCommand command) {
  const Instant deadline = command.deadline;
  MetaUpdate update = meta_update(std::move(command));
  auto stored = co_await store_.update_meta(deadline, std::move(update));
  if (stored) noticed(*stored);
  co_return stored;
}

Task<> PeerSessions::let_through(ha::LoginVerdict verdict, PeerKey key, Instant deadline) {
  bool applies = false;
  if (options_.block_same_peers) {
    // A read and no more: who is refused writes nothing and wakes nobody.
    auto view = co_await registered(key, deadline);
    if (!view) co_return std::move(view).error();
    applies = !view->peer.added_with_sso();
  }
  co_return judge(verdict, key, counters_.sync_blocked, applies);
}

Task<SyncBegun> PeerSessions::begin_known(SyncCommand command, SessionCall call) {
  const PeerKey key = command.key;
  const Instant deadline = command.deadline;
  MetaUpdate update = meta_update(std::move(command));
  auto begun = co_await store_.begin_sync(deadline, std::move(update), std::move(call));
  if (!begun) welcome_.forget(key);
  if (begun && begun->session) noticed(begun->meta);
  co_return begun;
}

Task<SyncBegun> PeerSessions::begin_new(SyncCommand command, ha::LoginAttempt attempt,
                                        SessionCall call) {
  const PeerKey key = command.key;
  const Instant deadline = command.deadline;
  auto stored = co_await store_meta(std::move(command));
  if (!stored) co_return std::move(stored).error();
  co_await filter(std::move(attempt), true);  // let_through() has judged it
  call.peer = stored->view.peer.id;
  auto session = co_await store_.connect(deadline, std::move(call));
  if (session) welcome_.remember(key);
  co_return SyncBegun{std::move(*stored), std::move(session)};
}

Task<SyncStarted> PeerSessions::start(SyncCommand command) {
  const PeerKey key = command.key;
  const auto on_doubt = std::exchange(command.on_doubt, {});
  const auto refused = [](Error error) {
    if (error.code == Code::kNotFound)
      return fail(Code::kPermissionDenied, std::string(kNotRegistered));
    return as_agent_error(std::move(error));
  };
  const ha::LoginAttempt attempt{key.value(), meta_hash(command.meta.value_or(PeerMeta{}))};
  const bool welcome = welcome_.contains(key);
  // Keys that nobody registered must not fill the filter, which all instances share.
  const auto verdict = co_await filter(attempt, welcome);
  if (!verdict.allowed()) {
    const auto passed = co_await let_through(verdict, key, command.deadline);
    if (!passed) co_return passed.error();
  }
  const Instant asked = clock_.now();
  const std::uint64_t lapses = hub_.lapses();
  SessionCall call{.peer = {},
                   .instance = options_.instance,
                   .incarnation = options_.incarnation,
                   .number = ++calls_};
  auto beginning = welcome ? begin_known(std::move(command), call)
                           : begin_new(std::move(command), attempt, call);
  auto begun = co_await std::move(beginning);
  if (begun && options_.on_status_time) options_.on_status_time(true, clock_.now() - asked);
  if (!begun) co_return refused(std::move(begun).error());
  const Peer& peer = begun->meta.view.peer;
  auto& session = begun->session;
  if (!session) {
    counters_.connect_errors.fetch_add(1, std::memory_order_relaxed);
    if (session.error().code == Code::kNotFound)
      co_return fail(Code::kPermissionDenied, std::string(kNotRegistered));
    Error error = std::move(session).error();
    if (error.code == Code::kResourceExhausted)
      error.code = Code::kUnavailable;  // of the database; nothing has begun
    else if (on_doubt) {
      call.peer = peer.id;
      on_doubt({session_peer(peer), std::move(call)});
    }
    co_return as_agent_error(std::move(error));
  }
  counters_.connects.fetch_add(1, std::memory_order_relaxed);
  if (peer.ephemeral && options_.on_ephemeral_busy) options_.on_ephemeral_busy(session_peer(peer));
  InstanceId replaces;
  if (session->previous_epoch != 0 && session->previous_instance != options_.instance)
    replaces = std::move(session->previous_instance);
  co_return SyncStarted{std::move(begun->meta.view), session->epoch, std::move(replaces), lapses};
}

Task<> PeerSessions::update_meta(SyncCommand command) {
  if (!command.meta)
    co_return fail(Code::kFailedPrecondition,
                   "peer system meta has to be provided on sync. Peer {}, remote addr {}",
                   command.key.value(), command.location.connection_ip.to_string());
  auto stored = co_await store_meta(std::move(command));
  if (stored) co_return Result<>{};
  if (stored.error().code == Code::kNotFound)
    co_return fail(Code::kNotFound, "account not found: index lookup failed");
  co_return as_agent_error(std::move(stored).error());
}

Task<> PeerSessions::logout(PeerKey key, std::string nonce, Instant deadline) {
  // The key's holder may always remove itself (contract/management-grpc.md §5.8, "do better").
  auto view = co_await store_.peer_by_key(deadline, key);
  if (!view) {
    if (view.error().code == Code::kNotFound)
      co_return fail(Code::kNotFound, "peer not found: {}", key.value());
    co_return as_agent_error(std::move(view).error());
  }
  // The protocol has no protection against replays (contract/management-grpc.md §2).
  TokenUse use = request_once(nonce, key, clock_.wall());
  const auto fresh = co_await agents_.claim_token(deadline, std::move(use));
  if (!fresh && fresh.error().code == Code::kUnauthenticated)
    co_return fail(Code::kInvalidArgument, "invalid request message");
  if (!fresh) co_return as_agent_error(fresh.error());
  std::string initiator =
      view->peer.user_id.empty() ? std::string(kSystemInitiator) : view->peer.user_id.value();
  auto deleted = co_await store_.delete_peer(deadline, std::move(key), std::move(initiator));
  if (!deleted) co_return as_agent_error(std::move(deleted).error());
  const Peer& peer = deleted->peer;
  log_.info("peer deleted itself",
            {log::f(log::kPeer, peer.id.value()), log::f(log::kAccount, peer.account_id.value())});
  hub_.committed(peer.account_id, deleted->serial);
  hub_.end_peer(peer.account_id, peer.id, EndReason::kDeleted);
  co_return Result<>{};
}

asio::awaitable<void> PeerSessions::stopped(SessionPeer peer, std::int64_t epoch) {
  auto end = [this, id = peer.id, epoch](Instant deadline) {
    return store_.disconnect(deadline, id, epoch);
  };
  return end_session(std::move(peer), std::move(end), static_cast<std::uint64_t>(epoch));
}

asio::awaitable<void> PeerSessions::abandoned(SessionInDoubt session) {
  const auto number = static_cast<std::uint64_t>(session.call.number);
  auto end = [this, call = std::move(session.call)](Instant deadline) {
    return store_.abandon(deadline, call);
  };
  return end_session(std::move(session.peer), std::move(end), number);
}

asio::awaitable<void> PeerSessions::end_session(SessionPeer peer, EndSession end,
                                                std::uint64_t seed) {
  Backoff backoff({.first = 200ms, .most = 5s, .factor = 2.0, .jitter = 0.5}, seed);
  for (;;) {
    const Instant asked = clock_.now();
    auto ending = end(asked + kDisconnectDeadline);
    const auto was = co_await std::move(ending);
    if (options_.on_status_time) options_.on_status_time(false, clock_.now() - asked);
    if (was) {
      auto& counter = *was ? counters_.disconnects : counters_.disconnects_stale;
      counter.fetch_add(1, std::memory_order_relaxed);
      if (*was && peer.ephemeral && options_.on_ephemeral_idle) options_.on_ephemeral_idle(peer);
      co_return;
    }
    counters_.disconnect_errors.fetch_add(1, std::memory_order_relaxed);
    // The lease of this instance keeps the peer "connected" as long as we live: do not give up.
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    co_await clock_.sleep_for(backoff.next());
  }
}

Task<PeerView> PeerSessions::registered(PeerKey key, Instant deadline) {
  auto view = co_await store_.peer_by_key(deadline, std::move(key));
  if (view) co_return std::move(*view);
  if (view.error().code == Code::kNotFound)
    co_return fail(Code::kPermissionDenied, std::string(kNotRegistered));
  co_return as_agent_error(std::move(view).error());
}

}  // namespace nb::management::app
