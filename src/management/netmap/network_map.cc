#include "management/netmap/network_map.h"

#include "management/domain/login_rules.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <tuple>
#include <utility>

namespace nb::netmap {
namespace {

using management::IpAddress;
using management::Peer;
using management::UserId;

constexpr std::string_view kAnyLocalUser = "*";
constexpr std::uint16_t kSshPort = 22;
constexpr std::uint16_t kNativeSshPort = 22022;

std::vector<PeerIndex> joined(const std::vector<PeerIndex>& left,
                              const std::vector<PeerIndex>& right) {
  std::vector<PeerIndex> out;
  out.reserve(left.size() + right.size());
  std::ranges::set_union(left, right, std::back_inserter(out));
  return out;
}

/// The users a rule lets in, by local user (contract/network-map.md §2.6).
class SshUsers {
 public:
  void add(const std::string& local_user, const std::vector<UserId>& users) {
    auto& entry = by_local_user_[local_user];
    entry.insert(users.begin(), users.end());
  }
  void replace_any(const std::vector<UserId>& users) {
    by_local_user_[std::string(kAnyLocalUser)] = {users.begin(), users.end()};
  }
  [[nodiscard]] SshAuth result() const {
    SshAuth auth;
    std::map<UserId, std::uint32_t> positions;
    for (const auto& [local_user, users] : by_local_user_) {
      auto& indexes = auth.machine_users[local_user];
      for (const UserId& user : users) {
        const auto next = static_cast<std::uint32_t>(auth.users.size());
        const auto [at, fresh] = positions.emplace(user, next);
        if (fresh) auth.users.push_back(user);
        indexes.push_back(at->second);
      }
    }
    return auth;
  }

 private:
  std::map<std::string, std::set<UserId>> by_local_user_;
};

class Calculation {
 public:
  Calculation(const AccountView& view, PeerIndex target, WallTime now)
      : view_(view), me_(view.peers()[target]), now_(now) {
    map_.serial = view.serial();
    map_.target = target;
  }

  NetworkMap run() && {
    map_.ssh_enabled = me_.peer->ssh_enabled;
    if (!me_.validated) return std::move(map_);
    map_.validated = true;
    policies();
    peers();
    dns();
    map_.ssh_auth = ssh_users_.result();
    return std::move(map_);
  }

 private:
  void policies() {
    // Positions are ascending, so merging both lists keeps the account's rule order.
    for (const std::uint32_t position : joined(me_.as_source, me_.as_destination)) {
      const ResolvedRule& rule = view_.rules()[position];
      const bool source = std::ranges::binary_search(me_.as_source, position);
      const bool destination = std::ranges::binary_search(me_.as_destination, position);
      if (destination) ssh(rule);
      // Both lists without repetition: a peer on both sides gets each direction once.
      static const std::vector<PeerIndex> kNobody;
      const bool both_ways = rule.rule->bidirectional;
      const auto& out_to = source ? rule.destinations : kNobody;
      const auto& out_back = destination && both_ways ? rule.sources : kNobody;
      const auto& in_from = destination ? rule.sources : kNobody;
      const auto& in_back = source && both_ways ? rule.destinations : kNobody;
      emit(rule, joined(in_from, in_back), Direction::kIn);
      emit(rule, joined(out_to, out_back), Direction::kOut);
    }
  }

  void emit(const ResolvedRule& rule, const std::vector<PeerIndex>& remotes, Direction direction) {
    const PortFeatures features{.ranges = me_.features.port_ranges,
                                .ssh_companion = me_.features.native_ssh && me_.peer->ssh_enabled &&
                                                 me_.peer->meta.flags.server_ssh_allowed &&
                                                 rule.rule->protocol == management::kProtocolTcp};
    const auto& ports = rule.ports_for(features);
    for (const PeerIndex remote : remotes) {
      if (remote == map_.target) continue;
      connected_.push_back(remote);
      const Peer& peer = *view_.peers()[remote].peer;
      emit_address(rule, ports, peer.ip, direction);
      // The remote's own IPv6 capability is not asked for (§2.4 step 5).
      if (me_.has_ipv6 && peer.ipv6.is_set()) emit_address(rule, ports, peer.ipv6, direction);
    }
  }

  void emit_address(const ResolvedRule& rule, const std::vector<PortSelection>& ports,
                    const IpAddress& remote, Direction direction) {
    if (view_.rule_ids_repeat()) {
      std::string listed;
      for (const std::string& port : rule.rule->ports) listed += port + ',';
      if (!seen_
               .emplace(rule.rule->id.value(), remote, direction, rule.protocol, rule.action,
                        std::move(listed))
               .second)
        return;
    }
    for (const PortSelection& selection : ports)
      map_.firewall_rules.push_back({.rule = rule.rule,
                                     .remote = remote,
                                     .direction = direction,
                                     .action = rule.action,
                                     .protocol = rule.protocol,
                                     .ports = &selection});
  }

  void ssh(const ResolvedRule& resolved) {
    const management::PolicyRule& rule = *resolved.rule;
    if (resolved.ssh) {
      map_.ssh_enabled = true;
      if (!rule.authorized_groups.empty()) {
        for (const auto& [group, local_users] : rule.authorized_groups) {
          const auto& users = view_.group_users(group);
          if (users.empty()) continue;
          if (local_users.empty()) ssh_users_.add(std::string(kAnyLocalUser), users);
          for (const std::string& local_user : local_users) ssh_users_.add(local_user, users);
        }
      } else if (!rule.authorized_user.empty()) {
        ssh_users_.add(std::string(kAnyLocalUser), {UserId(rule.authorized_user)});
      } else {
        ssh_users_.replace_any(view_.allowed_users());
      }
      return;
    }
    const bool covers = resolved.protocol == Protocol::kAll ||
                        (resolved.protocol == Protocol::kTcp &&
                         (lists_port(rule, kSshPort) || lists_port(rule, kNativeSshPort)));
    if (!covers || !me_.peer->ssh_enabled) return;
    ssh_users_.replace_any(view_.allowed_users());
  }

  void peers() {
    std::ranges::sort(connected_);
    connected_.erase(std::ranges::unique(connected_).begin(), connected_.end());
    const auto& settings = view_.snapshot().account.settings;
    for (const PeerIndex remote : connected_) {
      const Peer& peer = *view_.peers()[remote].peer;
      // Blocking a user marks the user's peers as expired; the vectors ask for nothing beyond that.
      if (management::login_expired(peer, settings, now_)) {
        map_.offline_peers.push_back(remote);
        continue;
      }
      map_.remote_peers.push_back(remote);
      const auto deadline = management::login_deadline(peer, settings);
      if (deadline && (!map_.changes_at || *deadline < *map_.changes_at))
        map_.changes_at = deadline;
    }
  }

  void dns() {
    map_.dns_enabled = !me_.dns_disabled;
    if (!map_.dns_enabled || view_.dns_domain().empty()) return;
    // The candidates of §2.3 steps 1 and 3: the target and everyone a rule names to it.
    std::vector<PeerIndex> known = connected_;
    known.insert(std::ranges::lower_bound(known, map_.target), map_.target);
    for (const PeerIndex index : known) {
      const PeerView& view = view_.peers()[index];
      records(view, view.peer->dns_label);
      for (const std::string& label : view.peer->extra_dns_labels) records(view, label);
    }
  }

  void records(const PeerView& view, const std::string& label) {
    if (label.empty()) return;
    const std::string name = label + '.' + view_.dns_domain();
    map_.peer_zone.push_back({name, view.peer->ip});
    if (me_.has_ipv6 && view.has_ipv6 && view.in_ipv6_group)
      map_.peer_zone.push_back({name, view.peer->ipv6});
  }

  const AccountView& view_;
  const PeerView& me_;
  WallTime now_;
  NetworkMap map_;
  std::vector<PeerIndex> connected_;  // the connect list, with repetitions until peers()
  SshUsers ssh_users_;
  std::set<std::tuple<std::string, IpAddress, Direction, Protocol, Action, std::string>> seen_;
};

}  // namespace

NetworkMap calculate(const AccountView& view, PeerIndex target, WallTime now) {
  return Calculation(view, target, now).run();
}

}  // namespace nb::netmap
