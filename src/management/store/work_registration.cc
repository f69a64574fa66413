// First registration of a machine. Source: contract/management-grpc.md §5.2.1, network-map.md §4.
#include "base/text.h"
#include "management/store/change_log.h"
#include "management/store/idna.h"
#include "management/store/ipv6_change.h"
#include "management/store/range_change.h"
#include "management/store/store_work.h"

namespace nb::management::work {
namespace {

constexpr int kRandomAttempts = 10;
constexpr int kLowestFreeAttempts = 5;
constexpr std::string_view kInvalidKey = "couldn't add peer: setup key is invalid";

/// Who vouches for the machine, and what it gets from them.
struct Sponsor {
  AccountId account;
  std::vector<GroupId> auto_groups;
  std::optional<SetupKey> key;
  std::optional<User> user;
};

Result<Sponsor> sponsor_user(Session& session, const Context& context, const UserId& id) {
  // Not a shared lock: book() writes the row, which two that share it would forbid each other.
  const std::string text = fmt::format("SELECT {} FROM users u WHERE u.id = $1{}",
                                       rows::user_columns(), locking(session, "FOR NO KEY UPDATE"));
  NB_LET(const sql::Rows rows, session.query(text, {id.value()}));
  if (rows.empty()) return fail(Code::kNotFound, "failed adding new peer: user not found");
  columns::Damage damage;
  sql::RowReader reader(rows[0]);
  User user = rows::read_user(reader, context.codec, damage);
  if (user.pending_approval)
    return fail(Code::kPermissionDenied, "user pending approval cannot add peers");
  if (user.blocked) return fail(Code::kPermissionDenied, "user is blocked");
  Sponsor out;
  out.account = user.account_id;
  out.auto_groups = user.auto_groups;
  out.user = std::move(user);
  return out;
}

Result<Sponsor> sponsor_key(Session& session, const Context& context, const Registration& request) {
  auto key = setup_key_by_hash(session, context, *request.setup_key);
  if (!key && key.error().code != Code::kNotFound) return std::move(key).error();
  if (!key || !key->usable_at(context.clock.wall()))
    return fail(Code::kNotFound, std::string(kInvalidKey));
  if (!request.extra_dns_labels.empty() && !key->allow_extra_dns_labels)
    return fail(Code::kFailedPrecondition,
                "couldn't add peer: setup key doesn't allow extra DNS labels");
  Sponsor out;
  out.account = key->account_id;
  out.auto_groups = key->auto_groups;
  out.key = *std::move(key);
  return out;
}

Result<> require_unknown(Session& session, const PeerKey& key) {
  NB_LET(const sql::Rows known, session.query("SELECT 1 FROM peers WHERE key = $1", {key.value()}));
  if (known.empty()) return {};
  return fail(Code::kFailedPrecondition, "peer has been already registered");
}

Result<Sponsor> find_sponsor(Session& session, const Context& context,
                             const Registration& request) {
  if (request.proxy) {
    Sponsor out;
    out.account = request.proxy->account;
    return out;
  }
  if (request.user) {
    // Upstream accepts the labels here and then refuses every later login (network-map.md §4.3).
    if (!request.extra_dns_labels.empty())
      return fail(Code::kFailedPrecondition,
                  "couldn't add peer: setup key doesn't allow extra DNS labels");
    return sponsor_user(session, context, *request.user);
  }
  if (request.setup_key) return sponsor_key(session, context, request);
  return fail(Code::kPermissionDenied,
              "no peer auth method provided, please use a setup key or interactive SSO login");
}

Peer new_peer(const Context& context, const Registration& request, const Sponsor& sponsor,
              const AccountSettings& settings) {
  const WallTime now = context.clock.wall();
  Peer peer;
  peer.id = PeerId(context.ids.next());
  peer.account_id = sponsor.account;
  peer.key = request.key;
  peer.meta = request.meta;
  peer.name = sponsor.user ? display_hostname(request.name, sponsor.user->email) : request.name;
  peer.status.last_seen = now;
  // Who makes a temporary peer has access already: it would be gone before anybody approved it.
  peer.status.requires_approval = settings.extra_peer_approval_enabled && !request.temporary;
  peer.user_id = sponsor.user ? sponsor.user->id : UserId{};
  peer.ssh_key = request.ssh_key;
  peer.login_expiration_enabled = sponsor.user.has_value() && !request.temporary;
  peer.inactivity_expiration_enabled = peer.login_expiration_enabled;
  peer.last_login = now;
  peer.created_at = now;
  peer.ephemeral = request.temporary || (sponsor.key && sponsor.key->ephemeral);
  if (request.proxy) {
    peer.proxy_embedded = true;
    peer.proxy_cluster = request.proxy->cluster;
  }
  peer.location = request.location;
  peer.extra_dns_labels = request.extra_dns_labels;
  peer.allow_extra_dns_labels = sponsor.key && sponsor.key->allow_extra_dns_labels;
  return peer;
}

/// Of the wanted groups those that exist, and All; held against deletion.
Result<std::vector<GroupId>> joined_groups(Session& session, const Sponsor& sponsor) {
  const std::string text = fmt::format(
      "SELECT id FROM groups WHERE account_id = $1 AND (name = '{}' OR id IN {}) ORDER BY id{}",
      kGroupAllName, json_list(session, 2), locking(session, "FOR KEY SHARE"));
  NB_LET(const sql::Rows rows,
         session.query(text, {sponsor.account.value(), columns::ids(sponsor.auto_groups)}));
  std::vector<GroupId> out;
  for (std::size_t i = 0; i < rows.size(); ++i) out.emplace_back(rows[i].string(0));
  return out;
}

bool wants_ipv6(const Account& owner, const std::vector<GroupId>& groups) {
  if (!owner.network.net_v6.is_set()) return false;
  const auto& enabled = owner.settings.ipv6_enabled_groups;
  return std::any_of(groups.begin(), groups.end(), [&](const GroupId& group) {
    return std::find(enabled.begin(), enabled.end(), group) != enabled.end();
  });
}

enum class Insertion : std::uint8_t { kDone, kCollision };

Result<Insertion> try_insert(Session& session, const Peer& peer) {
  NB_LET(const sql::Rows stored,
         insert(session, rows::insert_peer(peer), "ON CONFLICT DO NOTHING RETURNING id"));
  if (!stored.empty()) return Insertion::kDone;
  // The same key, registered meanwhile, is not a collision that another address would cure.
  NB_LET(const sql::Rows same_key,
         session.query("SELECT 1 FROM peers WHERE key = $1", {peer.key.value()}));
  if (!same_key.empty()) return fail(Code::kFailedPrecondition, "peer has been already registered");
  return Insertion::kCollision;
}

/// Address and label that no committed row holds, after chance has failed.
Result<> take_lowest_free(Session& session, const Account& owner, std::string_view label,
                          Peer& peer) {
  // Those who come this way for one account do so one after the other.
  NB_TRY(session.lock(sql::lock_number("nb_allocation:" + owner.id.value())));
  NB_LET(
      const sql::Rows rows,
      session.query("SELECT ip, dns_label FROM peers WHERE account_id = $1", {owner.id.value()}));
  columns::Damage damage;
  std::vector<IpAddress> used;
  std::vector<std::string_view> labels;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    used.push_back(columns::read_address(rows[i].text(0), damage));
    labels.push_back(rows[i].text(1));
  }
  for (;;) {
    const auto free = lowest_free_address(owner.network.net, used);
    if (!free)
      return fail(Code::kFailedPrecondition, "network {} is out of IPs",
                  owner.network.net.to_string());
    peer.ip = *free;
    peer.dns_label = suffixed_label(label, *free);
    if (std::find(labels.begin(), labels.end(), peer.dns_label) == labels.end()) return {};
    used.push_back(*free);  // in a net larger than /16 two addresses give one suffix
  }
}

Result<> place_peer(Session& session, const Context& context, const Account& owner, bool ipv6,
                    Peer& peer) {
  NB_LET(const std::string label, label_of_hostname(peer.name, idna_to_ascii));
  const RandomFn random = context.random_fn();
  for (int attempt = 0; attempt < kRandomAttempts + kLowestFreeAttempts; ++attempt) {
    if (attempt < kRandomAttempts) {
      const auto ip = random_address(owner.network.net, random);
      if (!ip)
        return fail(Code::kFailedPrecondition, "network {} is out of IPs",
                    owner.network.net.to_string());
      peer.ip = *ip;
      peer.dns_label = attempt == 0 && !peer.ephemeral ? label : suffixed_label(label, *ip);
      if (ipv6) peer.ipv6 = random_address_v6(owner.network.net_v6, random);
    } else {
      NB_TRY(take_lowest_free(session, owner, label, peer));
      if (ipv6) {
        NB_LET(peer.ipv6, free_ipv6(session, context, owner.id, owner.network.net_v6));
      }
    }
    NB_LET(const Insertion done, try_insert(session, peer));
    if (done == Insertion::kDone) return {};
  }
  return fail(Code::kUnavailable, "no free address found in {} within {} attempts",
              owner.network.net.to_string(), kRandomAttempts + kLowestFreeAttempts);
}

Result<> check_labels_free(Session& session, const Sponsor& sponsor, const Registration& request) {
  if (request.extra_dns_labels.empty()) return {};
  const std::string text =
      fmt::format("SELECT dns_label FROM peers WHERE account_id = $1 AND dns_label IN {} LIMIT 1",
                  json_list(session, 2));
  std::vector<std::string> labels;  // names of peers are lower case
  for (const std::string& label : request.extra_dns_labels) labels.push_back(lower(label));
  NB_LET(const sql::Rows rows,
         session.query(text, {sponsor.account.value(), columns::strings(labels)}));
  if (rows.empty()) return {};
  return fail(Code::kFailedPrecondition, "extra DNS label '{}' is the name of another peer",
              rows[0].text(0));
}

Result<> join_groups(Session& session, const Peer& peer, const std::vector<GroupId>& groups) {
  const std::string text = fmt::format(
      "INSERT INTO group_peers (account_id, group_id, peer_id) SELECT $1, g.id, $2 FROM groups g "
      "WHERE "
      "g.id IN {} ON CONFLICT DO NOTHING",
      json_list(session, 3));
  NB_TRY(session.exec(text, {peer.account_id.value(), peer.id.value(), columns::ids(groups)}));
  return {};
}

/// The row decides, not what was read before: of any number of racing uses only the allowed ones
/// get a row back. Source: contract/network-map.md §7 "setup key limit".
Result<> use_key(Session& session, const SetupKey& key) {
  const std::string_view valid =
      session.postgres() ? "(expires_at IS NULL OR expires_at < '1900-01-01' OR expires_at > now())"
                         : "(expires_at IS NULL OR expires_at < '1900' OR julianday(expires_at) > "
                           "julianday('now'))";
  const std::string text = fmt::format(
      "UPDATE setup_keys SET used_times = COALESCE(used_times, 0) + 1, last_used = {} WHERE id = "
      "$1 AND "
      "NOT COALESCE(revoked, FALSE) AND {} AND (COALESCE(usage_limit, 0) = 0 OR "
      "COALESCE(used_times, 0) < usage_limit) RETURNING used_times",
      now_time(session), valid);
  NB_LET(const sql::Rows rows, session.query(text, {key.id.value()}));
  if (rows.empty()) return fail(Code::kFailedPrecondition, std::string(kInvalidKey));
  return {};
}

Result<> book(Session& session, const Context& context, const Sponsor& sponsor) {
  if (sponsor.key) return use_key(session, *sponsor.key);
  if (!sponsor.user) return {};
  NB_TRY(session.exec("UPDATE users SET last_login = $2 WHERE id = $1",
                      {sponsor.user->id.value(), context.clock.wall()}));
  return {};
}

Event registration_event(const Context& context, const Sponsor& sponsor, const Peer& peer,
                         const Account& owner) {
  if (sponsor.user)
    return peer_event(context, Activity::kPeerAddedByUser, sponsor.user->id.value(), peer,
                      owner.settings);
  Event event = peer_event(context, Activity::kPeerAddedWithSetupKey, sponsor.key->id.value(), peer,
                           owner.settings);
  event.meta.emplace_back("setup_key_name", sponsor.key->name);
  return event;
}

}  // namespace

Result<Registered> register_peer(Session& session, const Context& context,
                                 const Registration& request) {
  NB_TRY(require_unknown(session, request.key));
  const Result<Sponsor> found = find_sponsor(session, context, request);
  if (!found) {
    // It may be this machine that used its key up, through another instance a moment ago.
    NB_TRY(require_unknown(session, request.key));
    return found.error();
  }
  const Sponsor& sponsor = *found;
  NB_TRY(validate_extra_labels(request.extra_dns_labels));
  NB_TRY(check_labels_free(session, sponsor, request));
  NB_LET(const Account owner, account(session, context, sponsor.account));
  Registered out;
  NB_LET(out.posture_checks, looks_for_files(session, sponsor.account));
  if (!request.proxy) {
    NB_LET(out.groups, joined_groups(session, sponsor));
  }
  out.peer = new_peer(context, request, sponsor, owner.settings);
  // In no group, yet services have to reach peers that have IPv6 only.
  const bool ipv6 =
      request.proxy ? owner.network.net_v6.is_set() && !owner.settings.ipv6_enabled_groups.empty()
                    : wants_ipv6(owner, out.groups);
  NB_TRY(place_peer(session, context, owner, ipv6, out.peer));
  NB_TRY(join_groups(session, out.peer, out.groups));
  if (!request.temporary)
    NB_TRY(add_event(session, context, registration_event(context, sponsor, out.peer, owner)));
  // Hot rows last, in the order every transaction takes them: key, then account.
  NB_TRY(book(session, context, sponsor));
  Changes changes(sponsor.account);
  changes.touched(out.peer.id).touched_all(out.groups);
  if (sponsor.user) changes.touched(sponsor.user->id);
  NB_LET(out.serial, bump_serial(session, context, changes));
  NB_TRY(require_unchanged(session, owner));
  return out;
}

}  // namespace nb::management::work
