// Source   contract/network-map.md §4.1 "Range change", §9 scenario 71.
#include "management/store/range_change.h"

#include <boost/json.hpp>

#include <set>

namespace nb::management::work {
namespace {

struct Seat {
  PeerId peer;
  IpAddress ip;
};

Result<std::vector<Seat>> locked_seats(Session& session, const AccountId& account) {
  const std::string text =
      fmt::format("SELECT id, ip FROM peers WHERE account_id = $1 ORDER BY id{}",
                  locking(session, "FOR NO KEY UPDATE"));
  NB_LET(const sql::Rows rows, session.query(text, {account.value()}));
  columns::Damage damage;
  std::vector<Seat> out;
  out.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.push_back({PeerId(rows[i].string(0)), columns::read_address(rows[i].text(1), damage)});
  return out;
}

bool is_host(const Prefix& net, const IpAddress& ip) {
  if (!ip.is_v4() || !net.contains(ip)) return false;
  const std::uint32_t size = net.length == 0 ? 0 : 1U << (32 - net.length);
  const std::uint32_t offset = ip.v4_value() - net.masked().address.v4_value();
  return offset != 0 && offset != size - 1;
}

/// Seats in `net` for those who have none there, in the order of ids.
Result<std::vector<Seat>> new_seats(const std::vector<Seat>& seats, const Prefix& net,
                                    const RandomFn& random) {
  std::set<IpAddress> taken;
  std::vector<Seat> moving;
  for (const Seat& seat : seats) {
    // Of two with one address (a damaged database) the second moves.
    if (!is_host(net, seat.ip) || !taken.insert(seat.ip).second) moving.push_back(seat);
  }
  const std::uint64_t free =
      host_count(net) - std::min<std::uint64_t>(host_count(net), taken.size());
  if (moving.size() > free)
    return fail(Code::kFailedPrecondition, "network {} is out of IPs", net.to_string());
  std::uint32_t next = net.masked().address.v4_value() + 1;
  for (Seat& seat : moving) {
    seat.ip = {};  // that of a second one on an address is a host of the net, too
    // Chance finds a free one soon while most are free; then one after the other.
    for (int attempt = 0; attempt < 10; ++attempt) {
      const auto ip = random_address(net, random);
      if (!ip || !taken.insert(*ip).second) continue;
      seat.ip = *ip;
      break;
    }
    if (seat.ip.is_set()) continue;
    while (!taken.insert(IpAddress::v4(next)).second) ++next;
    seat.ip = IpAddress::v4(next);
  }
  return moving;
}

/// First all old addresses are given up, then the new ones taken: a new one may be the old one of a
/// peer that comes later.
Result<> reseat(Session& session, const std::vector<Seat>& seats) {
  if (seats.empty()) return {};
  boost::json::array list;
  list.reserve(seats.size());
  for (const Seat& seat : seats)
    list.push_back(boost::json::array{seat.peer.value(), columns::address(seat.ip)});
  const std::string text = boost::json::serialize(list);
  const std::string_view source = session.postgres()
                                      ? "(SELECT value->>0 AS id, value->>1 AS ip FROM "
                                        "json_array_elements(CAST($1 AS json))) v"
                                      : "(SELECT json_extract(value, '$[0]') AS id, "
                                        "json_extract(value, '$[1]') AS ip FROM json_each($1)) v";
  NB_TRY(session.exec(fmt::format("UPDATE peers SET ip = 'moving ' || peers.id FROM {} WHERE "
                                  "peers.id = v.id",
                                  source),
                      {text}));
  NB_TRY(session.exec(
      fmt::format("UPDATE peers SET ip = v.ip FROM {} WHERE peers.id = v.id", source), {text}));
  return {};
}

}  // namespace

Result<std::size_t> change_range(Session& session, const Context& context, Prefix net,
                                 Changes& changes) {
  const AccountId& account_id = changes.account();
  net = net.masked();
  NB_TRY(locked_seats(session, account_id));
  NB_LET(const std::int64_t found,
         session.exec("UPDATE accounts SET network_net = $2 WHERE id = $1",
                      {account_id.value(), columns::network(net)}));
  if (found == 0) return fail(Code::kNotFound, "account not found: {}", account_id.value());
  // Once more: those who were registered between the two locks.
  NB_LET(const auto seats, locked_seats(session, account_id));
  NB_LET(const auto moving, new_seats(seats, net, context.random_fn()));
  NB_TRY(reseat(session, moving));
  changes.touched_account();
  for (const Seat& seat : moving) changes.touched(seat.peer);
  return moving.size();
}

Result<> start_again(Session& session, std::string_view reason) {
  // The database says it, in the words of a serialization failure, so that Database::run repeats
  // the transaction. SQLite has one writer: nothing can have changed.
  if (!session.postgres())
    return fail(Code::kInternal, "start again on an engine with one writer: {}", reason);
  return session.script(
      fmt::format("DO $$ BEGIN RAISE serialization_failure USING MESSAGE = '{}'; END $$", reason));
}

Result<> require_unchanged(Session& session, const Account& seen) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT network_net, network_net_v6, settings_ipv6_enabled_groups, "
                       "COALESCE(settings_extra_peer_approval_enabled, FALSE) FROM accounts WHERE "
                       "id = $1",
                       {seen.id.value()}));
  columns::Damage damage;
  if (!rows.empty() && columns::read_network_v4(rows[0].text(0), damage) == seen.network.net &&
      columns::read_network_v6(rows[0].text(1), damage) == seen.network.net_v6 &&
      columns::read_ids<GroupId>(rows[0].text(2), damage) == seen.settings.ipv6_enabled_groups &&
      rows[0].boolean(3) == seen.settings.extra_peer_approval_enabled)
    return {};
  return start_again(session, "the settings of the account were changed meanwhile");
}

}  // namespace nb::management::work
