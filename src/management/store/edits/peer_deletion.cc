#include "management/store/edits/peer_deletion.h"

#include "management/store/peer_removal.h"

#include <algorithm>

namespace nb::management::work {
namespace {

bool has_side(const Policy& policy, const PeerId& peer) {
  return std::any_of(policy.rules.begin(), policy.rules.end(), [&](const PolicyRule& rule) {
    return rule.source_resource.id == peer.value() || rule.destination_resource.id == peer.value();
  });
}

}  // namespace

Result<> delete_peer(AccountEdit& edit, const Peer& peer) {
  NB_TRY(check_unlinked(edit.session(), peer));
  NB_LET(const std::vector<Policy> policies, edit.get_all<Policy>());
  NB_TRY(remove_peer(edit.session(), peer, edit.changes()));
  for (const Policy& policy : policies)
    if (has_side(policy, peer.id))
      edit.event(Activity::kPolicyDeleted, policy.id.value(), {{"name", policy.name}});
  // Browser clients come and go without a word.
  if (peer.meta.kernel_version != "wasm")
    NB_TRY(edit.peer_event(Activity::kPeerRemovedByUser, peer, peer.id.value()));
  edit.end_peer({peer.id, true, peer.ephemeral});
  return {};
}

Result<> expire_peers_of(AccountEdit& edit, const UserId& user, std::string_view reason) {
  NB_LET(
      const sql::Rows rows,
      edit.session().query(
          "UPDATE peers SET peer_status_login_expired = TRUE WHERE account_id = $1 AND user_id = "
          "$2 AND NOT COALESCE(peer_status_login_expired, FALSE) RETURNING id",
          {edit.account_id().value(), user.value()}));
  std::vector<PeerId> ids;
  for (std::size_t i = 0; i < rows.size(); ++i) ids.emplace_back(rows[i].string(0));
  NB_LET(const std::vector<Peer> peers, edit.get_some<Peer>(ids));
  for (const Peer& peer : peers) {
    edit.changes().touched(peer.id);
    NB_TRY(edit.peer_event(Activity::kPeerLoginExpired, peer, peer.id.value(),
                           {{"reason", std::string(reason)}}));
    edit.end_peer({peer.id, false, peer.ephemeral});
  }
  return {};
}

}  // namespace nb::management::work
