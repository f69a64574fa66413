#include "management/store/edits/peers.h"

#include "crypto/box.h"
#include "management/domain/temporary_access.h"
#include "management/store/edits/membership.h"
#include "management/store/edits/peer_deletion.h"
#include "management/store/edits/perform.h"
#include "management/store/idna.h"

#include <algorithm>

namespace nb::management::work {
namespace {

constexpr std::size_t kNameBytesMax = 255;
constexpr std::size_t kRulesMax = 100;

Result<Peer> locked_peer(AccountEdit& edit, const PeerId& id) {
  auto peer = edit.lock<Peer>(id);
  if (!peer && peer.error().code == Code::kNotFound)
    return fail(Code::kNotFound, "peer not found: {}", id.value());
  NB_TRY(peer);
  if (peer->proxy_embedded) return fail(Code::kInvalidArgument, "not allowed to read peer");
  return peer;
}

Result<bool> taken(AccountEdit& edit, std::string_view column, const std::string& value,
                   const Peer& self) {
  NB_LET(
      const sql::Rows rows,
      edit.session().query(
          fmt::format("SELECT 1 FROM peers WHERE account_id = $1 AND {} = $2 AND id <> $3", column),
          {edit.account_id().value(), value, self.id.value()}));
  return !rows.empty();
}

Result<> change_ip(AccountEdit& edit, const std::string& text, Peer& peer) {
  const auto ip = IpAddress::parse(text);
  if (!ip || !ip->is_v4()) return fail(Code::kInvalidArgument, "invalid IP address {}", text);
  if (*ip == peer.ip) return {};
  NB_LET(const Account* account, edit.account());
  const Prefix& net = account->network.net;
  if (!net.is_set()) return fail(Code::kFailedPrecondition, "the account has no network range");
  const std::uint32_t first = net.masked().address.v4_value();
  const std::uint64_t last = first + host_count(net) + 1;  // the broadcast address
  if (!net.contains(*ip) || ip->v4_value() == first || ip->v4_value() == last)
    return fail(Code::kInvalidArgument, "IP {} is not within the account network range {}",
                ip->to_string(), net.to_string());
  NB_LET(const bool used, taken(edit, "ip", columns::address(*ip), peer));
  if (used)
    return fail(Code::kInvalidArgument, "IP {} is already assigned to another peer",
                ip->to_string());
  const std::string old = peer.ip.to_string();
  const Peer before = peer;
  peer.ip = *ip;
  return edit.peer_event(Activity::kPeerIpUpdated, before, peer.id.value(),
                         {{"old_ip", old}, {"ip", ip->to_string()}});
}

/// A peer has an IPv6 address only while it is in a group that has them.
Result<bool> in_ipv6_group(AccountEdit& edit, const Account& account, const Peer& peer) {
  Session& session = edit.session();
  NB_LET(const sql::Rows rows,
         session.query(
             fmt::format("SELECT 1 FROM group_peers WHERE peer_id = $1 AND group_id IN {} LIMIT 1",
                         json_list(session, 2)),
             {peer.id.value(), columns::ids(account.settings.ipv6_enabled_groups)}));
  return !rows.empty();
}

Result<> change_ipv6(AccountEdit& edit, const std::string& text, Peer& peer) {
  const auto ip = IpAddress::parse(text);
  if (!ip || !ip->is_v6() || ip->unmapped().is_v4())
    return fail(Code::kInvalidArgument, "invalid IPv6 address {}", text);
  if (*ip == peer.ipv6) return {};
  NB_LET(const Account* account, edit.account());
  const Prefix& net = account->network.net_v6;
  if (!net.is_set())
    return fail(Code::kFailedPrecondition, "IPv6 is not configured for this account");
  if (!net.contains(*ip) || *ip == net.masked().address)
    return fail(Code::kInvalidArgument, "IPv6 {} is not within the account network range {}",
                ip->to_string(), net.to_string());
  NB_LET(const bool used, taken(edit, "ipv6", columns::address(*ip), peer));
  if (used)
    return fail(Code::kInvalidArgument, "IPv6 {} is already assigned to another peer",
                ip->to_string());
  NB_LET(const bool member, in_ipv6_group(edit, *account, peer));
  if (!member)
    return fail(Code::kFailedPrecondition, "peer {} is not in a group with IPv6 enabled",
                peer.id.value());
  const std::string old = peer.ipv6.to_string();
  const Peer before = peer;
  peer.ipv6 = *ip;
  return edit.peer_event(Activity::kPeerIpUpdated, before, peer.id.value(),
                         {{"old_ipv6", old}, {"ipv6", ip->to_string()}});
}

/// The label of the new name, or that with octets of the address where another peer has it.
Result<> rename(AccountEdit& edit, const std::string& name, Peer& peer) {
  if (name.empty()) return fail(Code::kInvalidArgument, "peer name shouldn't be empty");
  if (name.size() > kNameBytesMax)
    return fail(Code::kInvalidArgument, "peer name: over {} bytes", kNameBytesMax);
  if (name == peer.name) return {};
  NB_LET(std::string label, label_of_hostname(name, idna_to_ascii));
  NB_LET(const bool used, taken(edit, "dns_label", label, peer));
  if (used) {
    label = suffixed_label(label, peer.ip);
    NB_LET(const bool used_too, taken(edit, "dns_label", label, peer));
    if (used_too)
      return fail(Code::kInvalidArgument, "peer name {} is taken by another peer", name);
  }
  peer.name = name;
  peer.dns_label = std::move(label);
  return edit.peer_event(Activity::kPeerRenamed, peer, peer.id.value());
}

Result<> switch_flag(AccountEdit& edit, bool& flag, bool wanted, Activity on, Activity off,
                     const Peer& peer) {
  if (flag == wanted) return {};
  flag = wanted;
  // The target is the address: what listings have always shown for these.
  return edit.peer_event(wanted ? on : off, peer, peer.ip.to_string());
}

Result<> change_expiry(AccountEdit& edit, const UpdatePeer& command, Peer& peer) {
  const bool inactivity =
      command.inactivity_expiration_enabled.value_or(peer.inactivity_expiration_enabled);
  const auto refuse = [](std::string_view what) {
    return fail(Code::kFailedPrecondition,
                "this peer hasn't been added with the SSO login, therefore the {} can't be updated",
                what);
  };
  if (!peer.added_with_sso()) {
    if (command.login_expiration_enabled != peer.login_expiration_enabled)
      return refuse("login expiration");
    if (inactivity != peer.inactivity_expiration_enabled) return refuse("inactivity expiration");
  }
  NB_TRY(switch_flag(edit, peer.login_expiration_enabled, command.login_expiration_enabled,
                     Activity::kPeerLoginExpirationEnabled, Activity::kPeerLoginExpirationDisabled,
                     peer));
  return switch_flag(edit, peer.inactivity_expiration_enabled, inactivity,
                     Activity::kPeerInactivityExpirationEnabled,
                     Activity::kPeerInactivityExpirationDisabled, peer);
}

Result<> change_approval(AccountEdit& edit, const std::optional<bool>& required, Peer& peer) {
  if (!required || *required == peer.status.requires_approval) return {};
  peer.status.requires_approval = *required;
  return edit.peer_event(*required ? Activity::kPeerApprovalRevoked : Activity::kPeerApproved, peer,
                         peer.id.value());
}

Result<> write_peer(AccountEdit& edit, const Peer& peer) {
  edit.changes().touched(peer.id);
  NB_TRY(edit.session().exec(
      "UPDATE peers SET name = $2, dns_label = $3, ip = $4, ipv6 = $5, ssh_enabled = $6, "
      "login_expiration_enabled = $7, inactivity_expiration_enabled = $8, "
      "peer_status_requires_approval = $9 WHERE id = $1",
      {peer.id.value(), peer.name, peer.dns_label, columns::address(peer.ip),
       columns::address(peer.ipv6), peer.ssh_enabled, peer.login_expiration_enabled,
       peer.inactivity_expiration_enabled, peer.status.requires_approval}));
  return {};
}

bool same_choice(const Peer& a, const Peer& b) {
  return a.name == b.name && a.ip == b.ip && a.ipv6 == b.ipv6 && a.ssh_enabled == b.ssh_enabled &&
         a.login_expiration_enabled == b.login_expiration_enabled &&
         a.inactivity_expiration_enabled == b.inactivity_expiration_enabled &&
         a.status.requires_approval == b.status.requires_approval;
}

Registration temporary_registration(const CreateTemporaryPeer& command, const PeerKey& key,
                                    const UserId& user) {
  Registration out;
  out.key = key;
  out.user = user;
  out.name = command.name;
  out.meta.hostname = command.name;
  out.meta.go_os = "js";
  out.meta.os = "JS";
  out.meta.kernel_version = "wasm";
  out.temporary = true;
  return out;
}

PolicyDraft temporary_policy(const Peer& peer, PolicyRuleDraft rule) {
  PolicyDraft draft;
  draft.name = "Temporary access policy for peer " + peer.name;
  draft.description = draft.name;
  draft.enabled = true;
  draft.rules.push_back(std::move(rule));
  return draft;
}

}  // namespace

Result<Peer> perform(AccountEdit& edit, const UpdatePeer& command) {
  NB_LET(Peer peer, locked_peer(edit, command.id));
  const Peer before = peer;
  if (command.ip) NB_TRY(change_ip(edit, *command.ip, peer));
  if (command.ipv6) NB_TRY(change_ipv6(edit, *command.ipv6, peer));
  NB_TRY(rename(edit, command.name, peer));
  NB_TRY(switch_flag(edit, peer.ssh_enabled, command.ssh_enabled, Activity::kPeerSshEnabled,
                     Activity::kPeerSshDisabled, peer));
  NB_TRY(change_expiry(edit, command, peer));
  NB_TRY(change_approval(edit, command.approval_required, peer));
  if (!same_choice(before, peer)) NB_TRY(write_peer(edit, peer));
  return peer;
}

Result<Nothing> perform(AccountEdit& edit, const DeletePeer& command) {
  NB_LET(const Peer peer, locked_peer(edit, command.id));
  NB_TRY(delete_peer(edit, peer));
  return Nothing{};
}

Result<Peer> perform(AccountEdit& edit, const CreateTemporaryPeer& command) {
  const auto key = crypto::PublicKey::parse(command.key.value());
  if (!key) return fail(Code::kInvalidArgument, "wg_pub_key is not a WireGuard key");
  if (command.name.empty() || command.name.size() > kNameBytesMax)
    return fail(Code::kInvalidArgument, "name must have 1 to {} bytes", kNameBytesMax);
  if (command.rules.size() > kRulesMax)
    return fail(Code::kInvalidArgument, "at most {} rules", kRulesMax);
  for (const std::string& word : command.rules)
    NB_TRY(temporary_rule(word, {}, command.target, edit.actor().user));
  NB_TRY(lock_user(edit.session(), edit.actor().user));
  NB_LET(const std::vector<PeerId> target, edit.hold_peers({command.target}));
  if (target.empty()) return fail(Code::kNotFound, "peer not found: {}", command.target.value());
  NB_LET(const Registered made,
         register_peer(edit.session(), edit.context(),
                       temporary_registration(command, PeerKey(key->base64()), edit.actor().user)));
  for (const std::string& word : command.rules) {
    NB_LET(PolicyRuleDraft rule,
           temporary_rule(word, made.peer.id, command.target, edit.actor().user));
    SavePolicy save;
    save.draft = temporary_policy(made.peer, std::move(rule));
    NB_TRY(perform(edit, save));
  }
  edit.changes().touched(made.peer.id);
  edit.made_idle(made.peer);
  return made.peer;
}

}  // namespace nb::management::work
