#include "management/domain/login_rules.h"
#include "management/netmap/network_map.h"
#include "management/rest/encode_peers.h"
#include "management/rest/handlers.h"

namespace nb::management::rest {
namespace {

constexpr Need kReads{Module::kPeers, Operation::kRead};

std::vector<Wanted> peers_and_groups(std::optional<std::vector<std::string>> only = {}) {
  return {{Part::kPeers, std::move(only)}, {Part::kGroups}};
}

bool owns(const Call& call, const Peer& peer) {
  return !peer.user_id.empty() && peer.user_id == call.user().id;
}

bool view_blocked(const Call& call) {
  return call.account().settings.regular_users_view_blocked;
}

Error not_a_peer(const std::string& id) {
  return fail(Code::kNotFound, "peer not found: {}", id);
}

/// Whether the filters of the query fit; a caller who sees only his own is not filtered.
bool fits(const Peer& peer, const std::optional<std::string>& name,
          const std::optional<std::string>& ip) {
  if (name && peer.name.find(*name) == std::string::npos) return false;
  if (!ip || ip->empty()) return true;
  return peer.ip.to_string().find(*ip) != std::string::npos ||
         (peer.ipv6.is_set() && peer.ipv6.to_string().find(*ip) != std::string::npos);
}

/// The soonest moment at which somebody's login ends, which no row tells.
std::optional<WallTime> next_expiry(const AccountSnapshot& account,
                                    const std::vector<std::size_t>& shown, WallTime now) {
  std::optional<WallTime> next;
  for (const std::size_t i : shown) {
    const auto end = login_deadline(account.peers[i], account.account.settings);
    if (end && *end > now && (!next || *end < *next)) next = end;
  }
  return next;
}

Reply peers_json(const Services& services, const Call& call, const AccountSnapshot& account,
                 bool all) {
  const GroupTexts texts(account);
  const auto groups = group_texts_of_peers(account, texts);
  FlagTexts flags;
  const PeerFrame frame{account.account,
                        texts,
                        flags,
                        account.account.dns_domain(services.dns_domain),
                        services.clock.wall(),
                        call.may(Module::kGroups, Operation::kRead)};
  const auto name = all ? call.argument("name") : std::nullopt;
  const auto ip = all ? call.argument("ip") : std::nullopt;
  JsonWriter json;
  json.reserve(account.peers.size() * 1'800);  // growing at the end would copy it all
  std::vector<std::size_t> shown;
  for (std::size_t i = 0; i < account.peers.size(); ++i) {
    const Peer& peer = account.peers[i];
    if (!peer.proxy_embedded && (all || owns(call, peer)) && fits(peer, name, ip))
      shown.push_back(i);
  }
  json.array(shown, [&](std::size_t i) {
    write_peer(json, account.peers[i], groups[i], frame, PeerForm::kListed);
  });
  return {.body = std::move(json).take(),
          .cacheable = true,
          .changes_at = next_expiry(account, shown, frame.now)};
}

Task<Reply> list(const Services& services, Call call) {
  const auto all = sees_all(call, Module::kPeers);
  if (!all) co_return all.error();
  if (!*all && view_blocked(call)) co_return Reply{.body = "[]", .cacheable = true};
  MakeList make = [&services, all = *all](const Call& asked, const AccountSnapshot& account) {
    return Result<Reply>(peers_json(services, asked, account, all));
  };
  auto wanted = peers_and_groups();
  co_return co_await polled(services, std::move(call), std::move(wanted), std::move(make));
}

Task<Reply> show(const Services& services, const Call& call, std::string id) {
  const auto all = sees_all(call, Module::kPeers);
  if (!all) co_return all.error();
  auto account = co_await read(services, call, peers_and_groups(only(id)));
  if (!account) co_return std::move(account).error();
  const Peer* peer = (*account)->peer(PeerId(id));
  if (peer == nullptr) co_return not_a_peer(id);
  if (!*all && !owns(call, *peer)) co_return fail(Code::kPermissionDenied, "permission denied");
  if (peer->proxy_embedded) co_return fail(Code::kInvalidArgument, "not allowed to read peer");
  const GroupTexts texts(**account);
  const auto groups = group_texts_of_peers(**account, texts);
  const std::string& domain = (*account)->account.dns_domain(services.dns_domain);
  FlagTexts flags;
  const PeerFrame frame{(*account)->account,
                        texts,
                        flags,
                        domain,
                        services.clock.wall(),
                        call.may(Module::kGroups, Operation::kRead)};
  co_return reply_with(
      [&](JsonWriter& json) { write_peer(json, *peer, groups.at(0), frame, PeerForm::kSingle); });
}

Task<Reply> get(const Services& services, Call call) {
  std::string id = call.params[0];
  co_return co_await show(services, call, std::move(id));
}

Reply accessible(const Services& services, AccountSnapshotPtr account, const PeerId& id) {
  const netmap::AccountView view(account, services.dns_domain);
  const netmap::PeerIndex target = view.find(id);
  std::vector<const Peer*> reachable;
  if (target != netmap::kNoPeer) {
    const netmap::NetworkMap map = netmap::calculate(view, target, services.clock.wall());
    for (const auto* list : {&map.remote_peers, &map.offline_peers})
      for (const netmap::PeerIndex index : *list)
        if (const Peer* peer = view.peers()[index].peer; !peer->proxy_embedded)
          reachable.push_back(peer);
  }
  const std::string& domain = account->account.dns_domain(services.dns_domain);
  return list_reply(reachable, [&](JsonWriter& json, const Peer* peer) {
    write_accessible_peer(json, *peer, domain);
  });
}

Task<Reply> list_accessible(const Services& services, Call call) {
  const auto all = sees_all(call, Module::kPeers);
  if (!all) co_return all.error();
  const PeerId id(call.params[0]);
  auto account = co_await services.store.snapshot(call.deadline, call.account_id());
  if (!account) co_return std::move(account).error();
  if (!*all) {
    const Peer* peer = (*account)->peer(id);
    if (peer == nullptr) co_return not_a_peer(id.value());
    if (!owns(call, *peer) || view_blocked(call)) co_return Reply{.body = "[]"};
  }
  co_return accessible(services, *std::move(account), id);
}

Result<UpdatePeer> decode(const Call& call) {
  NB_LET(const JsonObject body, call.json());
  UpdatePeer command;
  command.id = PeerId(call.params[0]);
  command.name = body.text("name");
  command.ssh_enabled = body.flag("ssh_enabled");
  command.login_expiration_enabled = body.flag("login_expiration_enabled");
  body.read("inactivity_expiration_enabled", command.inactivity_expiration_enabled);
  body.read("approval_required", command.approval_required);
  body.read("ip", command.ip);
  body.read("ipv6", command.ipv6);
  NB_TRY(body.done());
  return command;
}

Task<Reply> update(const Services& services, Call call) {
  auto command = decode(call);
  if (!command) co_return std::move(command).error();
  auto updated = co_await execute(services, call, *std::move(command));
  if (!updated) co_return std::move(updated).error();
  std::string id = call.params[0];
  co_return co_await show(services, call, std::move(id));
}

Task<Reply> remove(const Services& services, Call call) {
  DeletePeer command{PeerId(call.params[0])};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

Task<Reply> give_access(const Services& services, Call call) {
  const auto body = call.json();
  if (!body) co_return body.error();
  CreateTemporaryPeer command;
  command.target = PeerId(call.params[0]);
  command.name = body->text("name");
  command.key = PeerKey(body->text("wg_pub_key"));
  body->read("rules", command.rules);
  if (const auto done = body->done(); !done) co_return done.error();
  const auto rules = command.rules;
  auto peer = co_await execute(services, call, std::move(command));
  if (!peer) co_return std::move(peer).error();
  co_return reply_with([&](JsonWriter& json) {
    json.object([&] {
      json.field("id", peer->id);
      json.field("name", peer->name);
      json.list("rules", rules);
    });
  });
}

}  // namespace

void add_peers(RouteTable& table, const Services& services) {
  table.add("GET", "/api/peers", Access::kSigned, handled(services, list));
  table.add("GET", "/api/peers/{peerId}", Access::kSigned, handled(services, get));
  table.add("PUT", "/api/peers/{peerId}", {{Module::kPeers, Operation::kUpdate}},
            handled(services, update));
  table.add("DELETE", "/api/peers/{peerId}", {{Module::kPeers, Operation::kDelete}},
            handled(services, remove));
  table.add("GET", "/api/peers/{peerId}/accessible-peers", Access::kSigned,
            handled(services, list_accessible));
  table.add("POST", "/api/peers/{peerId}/temporary-access",
            {kReads, {Module::kPeers, Operation::kCreate}, {Module::kPolicies, Operation::kCreate}},
            handled(services, give_access));
}

}  // namespace nb::management::rest
