#include "management/store/ipv6_change.h"

#include "management/domain/allocation.h"
#include "management/store/store_work.h"

#include <algorithm>
#include <set>
#include <utility>

namespace nb::management::work {
namespace {

constexpr int kRandomTries = 20;

/// Addresses of an IPv6 net that nobody has.
class Ipv6Pool {
 public:
  Ipv6Pool(const Prefix& net, RandomFn random) : net_(net), random_(std::move(random)) {}

  Result<> load(Session& session, const AccountId& account) {
    NB_LET(const sql::Rows rows,
           session.query("SELECT ipv6 FROM peers WHERE account_id = $1 AND ipv6 IS NOT NULL",
                         {account.value()}));
    columns::Damage damage;
    for (std::size_t i = 0; i < rows.size(); ++i)
      used_.insert(columns::read_address(rows[i].text(0), damage));
    return {};
  }

  /// Unset when chance finds none and the net is used up.
  IpAddress take() {
    for (int attempt = 0; attempt < kRandomTries; ++attempt)
      if (const IpAddress ip = random_address_v6(net_, random_); used_.insert(ip).second) return ip;
    // Only in small nets chance fails for long: the last 16 bits are all of their hosts.
    const auto base = net_.masked().address.bytes();
    const int host_bits = std::min(128 - net_.length, 16);
    for (std::uint32_t host = 1; host < (1U << host_bits) - 1; ++host) {
      auto bytes = base;
      bytes[14] = static_cast<std::uint8_t>(bytes[14] | (host >> 8));
      bytes[15] = static_cast<std::uint8_t>(host);
      const IpAddress ip = IpAddress::v6(bytes);
      if (net_.contains(ip) && used_.insert(ip).second) return ip;
    }
    return {};
  }

 private:
  const Prefix net_;
  const RandomFn random_;
  std::set<IpAddress> used_;
};

struct Ipv6State {
  PeerId id;
  IpAddress current;
  bool wanted = false;
};

Result<std::vector<Ipv6State>> ipv6_states(Session& session, const AccountId& account,
                                           const std::vector<PeerId>* peers,
                                           const std::vector<GroupId>& enabled) {
  // Embedded peers of a reverse proxy are in no group and have an address whenever there is any.
  const std::string text = fmt::format(
      "SELECT p.id, p.ipv6, CASE WHEN p.proxy_meta_embedded OR EXISTS (SELECT 1 FROM group_peers m "
      "WHERE m.peer_id = p.id AND m.group_id IN {}) THEN 1 ELSE 0 END FROM peers p WHERE "
      "p.account_id = $1{} ORDER BY p.id{}",
      json_list(session, 2),
      peers != nullptr ? fmt::format(" AND p.id IN {}", json_list(session, 3)) : std::string{},
      locking(session, "FOR NO KEY UPDATE OF p"));
  std::vector<sql::Param> params = {account.value(), columns::ids(enabled)};
  if (peers != nullptr) params.emplace_back(columns::ids(*peers));
  NB_LET(const sql::Rows rows, session.query(text, params));
  columns::Damage damage;
  std::vector<Ipv6State> out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.push_back({PeerId(rows[i].string(0)), columns::read_address(rows[i].text(1), damage),
                   !enabled.empty() && rows[i].integer(2) != 0});
  return out;
}

Result<> set_ipv6(Session& session, Changes& changes, const PeerId& peer, const IpAddress& ip) {
  changes.touched(peer);
  NB_TRY(session.exec("UPDATE peers SET ipv6 = $2 WHERE id = $1",
                      {peer.value(), columns::address(ip)}));
  return {};
}

}  // namespace

Result<IpAddress> free_ipv6(Session& session, const Context& context, const AccountId& account,
                            const Prefix& net) {
  Ipv6Pool pool(net, context.random_fn());
  NB_TRY(pool.load(session, account));
  return pool.take();
}

Result<> reconcile_ipv6(Session& session, const Context& context, const std::vector<PeerId>* peers,
                        const Ipv6Rules& rules, Changes& changes) {
  const AccountId& account = changes.account();
  NB_LET(const std::vector<Ipv6State> states,
         ipv6_states(session, account, peers, rules.enabled_groups));
  Ipv6Pool pool(rules.net, context.random_fn());
  bool loaded = false;
  for (const Ipv6State& state : states) {
    const bool wanted = state.wanted && rules.net.is_set();
    if (!wanted && state.current.is_set()) NB_TRY(set_ipv6(session, changes, state.id, {}));
    if (!wanted || (state.current.is_set() && rules.net.contains(state.current))) continue;
    if (!std::exchange(loaded, true)) NB_TRY(pool.load(session, account));
    NB_TRY(set_ipv6(session, changes, state.id, pool.take()));
  }
  return {};
}

}  // namespace nb::management::work
