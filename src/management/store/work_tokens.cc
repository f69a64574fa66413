// Single use of tokens, and longer sessions.
// Source   contract/management-grpc.md §5.2.5, §5.10.
#include "management/domain/login_rules.h"
#include "management/store/agent_work.h"
#include "management/store/change_log.h"

namespace nb::management::work {

Result<> claim_token(Session& session, const TokenUse& use) {
  const auto expires =
      std::chrono::duration_cast<std::chrono::milliseconds>(use.expires_at.time_since_epoch())
          .count();
  // Whoever comes first inserts; everybody else reads what that one wrote, on any instance.
  NB_LET(const std::int64_t inserted,
         session.exec(fmt::format("INSERT INTO nb_token_claims (token_hash, peer_key, claimed_at, "
                                  "expires_at) VALUES ($1, $2, {}, $3) ON CONFLICT (token_hash) DO "
                                  "NOTHING",
                                  now_ms(session)),
                      {use.token_hash, use.peer.value(), static_cast<std::int64_t>(expires)}));
  if (inserted > 0) return {};
  NB_LET(const sql::Rows rows,
         session.query(fmt::format("SELECT peer_key, {} - claimed_at FROM nb_token_claims WHERE "
                                   "token_hash = $1",
                                   now_ms(session)),
                       {use.token_hash}));
  const bool again = !rows.empty() && rows[0].text(0) == use.peer.value() &&
                     rows[0].integer(1) <=
                         std::chrono::duration_cast<std::chrono::milliseconds>(use.repeat).count();
  if (!again) return fail(Code::kUnauthenticated, "JWT already used");
  return {};
}

Result<std::size_t> forget_tokens(Session& session) {
  // Ten minutes after its end nobody takes a token any more, whatever the leeway.
  NB_LET(const std::int64_t gone,
         session.exec(fmt::format("DELETE FROM nb_token_claims WHERE expires_at < {} - 600000",
                                  now_ms(session))));
  return static_cast<std::size_t>(gone);
}

Result<ExtendedSession> extend_session(Session& session, const Context& context, const PeerKey& key,
                                       const UserId& user) {
  ExtendedSession out;
  NB_LET(out.view, peer_by_key_locked(session, context, key));
  Peer& peer = out.view.peer;
  if (!out.view.settings.peer_login_expiration_enabled)
    return fail(Code::kFailedPrecondition, "peer login expiration is disabled for the account");
  if (!peer.added_with_sso() || !peer.login_expiration_enabled)
    return fail(Code::kFailedPrecondition, "peer is not eligible for session extension");
  if (peer.user_id != user)
    return fail(Code::kPermissionDenied,
                "peer is already registered by a different User or a Setup Key");
  if (out.view.owner_blocked) return fail(Code::kPermissionDenied, "user is blocked");
  const WallTime now = context.clock.wall();
  out.was_expired = login_expired(peer, out.view.settings, now);
  peer.last_login = now;
  peer.status.login_expired = false;
  NB_TRY(session.exec(
      "UPDATE peers SET last_login = $2, peer_status_login_expired = FALSE WHERE id = $1",
      {peer.id.value(), now}));
  NB_TRY(add_event(session, context,
                   peer_event(context, Activity::kUserExtendedPeerSession, user.value(), peer,
                              out.view.settings)));
  // Other peers' maps say until when this one is online: without a new serial an instance would
  // take it offline at the old deadline.
  NB_LET(out.view.serial, bump_serial(session, context, Changes(peer.account_id).touched(peer.id)));
  return out;
}

}  // namespace nb::management::work
