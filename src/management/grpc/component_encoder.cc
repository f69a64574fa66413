#include "management/grpc/component_encoder.h"

#include "management/domain/login_rules.h"
#include "management/grpc/map_messages.h"
#include "management/netmap/network_map.h"
#include "management/netmap/punycode.h"
#include "management/netmap/wire.h"
#include "proto/management.pb.h"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <unordered_set>
#include <utility>
#include <vector>

namespace nb::management::grpc {
namespace {

namespace pb = ::management;
using netmap::AccountView;
using netmap::Bits;
using netmap::component_id;
using netmap::PeerIndex;
using netmap::PolicyView;
using netmap::ResourcePolicy;
using netmap::RuleView;
using netmap::Selection;

constexpr std::uint32_t kSshPort = 22;

pb::RuleProtocol protocol_of(const RuleView& rule) {
  return rule.ssh ? pb::NETBIRD_SSH : to_proto(rule.protocol);
}

bool leads_to(const PolicyRule& rule, const std::vector<GroupId>& groups) {
  return std::ranges::any_of(rule.destinations, [&](const GroupId& id) {
    return std::ranges::find(groups, id) != groups.end();
  });
}

/// Fills everything but peers and records, which are shared bytes.
class Components {
 public:
  Components(const ComponentInput& input, pb::NetworkMapComponentsFull& out)
      : index_(input.index),
        account_(input.index.account()),
        tables_(account_.snapshot()),
        selection_(account_, input.target),
        target_(input.target),
        me_(*account_.peers()[input.target].peer),
        out_(out) {
    std::uint32_t next = 0;
    position_.resize(account_.peers().size());
    selection_.candidates.for_each([&](PeerIndex peer) {
      position_[peer] = next++;
      if (login_expired(*account_.peers()[peer].peer, tables_.account.settings, input.now))
        expired_.set(peer);
    });
  }

  /// False where the receiver would calculate something else.
  [[nodiscard]] bool fill() {
    if (!index_.carries(selection_.candidates)) return false;
    if (!routes() || !policies() || !resources()) return false;
    groups();
    posture();
    names();
    settings();
    return true;
  }

  void append_shared(std::string& out) const {
    index_.append_peers(out, selection_.candidates, expired_);
    if (!out_.custom_zone_domain().empty())
      index_.append_records(out, selection_.in_zone, account_.peers()[target_].has_ipv6);
  }

 private:
  // ---- who ----------------------------------------------------------------------------------

  void groups() {
    for (const GroupId& id : selection_.groups) {
      const Group& group = *tables_.group(id);
      auto& entry = *out_.add_groups();
      entry.set_id(component_id(group));
      entry.set_is_all(group.is_all());
      selection_.members(id).for_each(
          [&](PeerIndex peer) { entry.add_peer_indexes(position_[peer]); });
    }
  }

  /// Groups that the target does not know have no members for it either.
  template <class Add>
  void each_known(const std::vector<GroupId>& list, Add add) const {
    for (const GroupId& id : list)
      if (selection_.groups.contains(id)) add(component_id(*tables_.group(id)));
  }

  void posture() {
    for (const auto& [id, failing] : selection_.failed) {
      const auto* const check = tables_.posture_checks.find(id);
      const Bits known = failing & selection_.candidates;
      if (check == nullptr || known.none()) continue;
      auto& entry = (*out_.mutable_posture_failed_peers())[component_id(*check)];
      known.for_each([&](PeerIndex peer) { entry.add_peer_indexes(position_[peer]); });
    }
  }

  // ---- rules --------------------------------------------------------------------------------

  [[nodiscard]] bool policies() {
    for (const PolicyView* const policy : selection_.policies)
      for (const RuleView& rule : policy->rules)
        if (!add_rule(*policy->policy, rule)) return false;
    return true;
  }

  bool add_rule(const Policy& policy, const RuleView& resolved) {
    if (!added_.insert(&resolved).second) return true;
    const auto& known = index_.rule(resolved);
    if (!known.exact) return false;
    const PolicyRule& rule = *resolved.rule;
    auto& entry = *out_.add_policies();
    entry.set_id(known.id);
    entry.set_action(resolved.action == netmap::Action::kDrop ? pb::DROP : pb::ACCEPT);
    entry.set_protocol(protocol_of(resolved));
    entry.set_bidirectional(rule.bidirectional);
    if (!add_side(rule.source_resource, rule.sources, *entry.mutable_source_group_ids(),
                  [&] { return entry.mutable_source_resource(); }) ||
        !add_side(rule.destination_resource, rule.destinations,
                  *entry.mutable_destination_group_ids(),
                  [&] { return entry.mutable_destination_resource(); }))
      return false;
    add_ports(resolved, entry);
    for (const auto& id : policy.source_posture_checks)
      if (const auto* const check = tables_.posture_checks.find(id))
        entry.add_source_posture_check_ids(component_id(*check));
    return !reaches_target(rule) || add_ssh_users(resolved, entry);
  }

  template <class Resource>
  bool add_side(const management::Resource& resource, const std::vector<GroupId>& groups,
                google::protobuf::RepeatedPtrField<std::string>& ids, Resource resource_of) const {
    if (netmap::names_peer(resource)) {
      const PeerIndex peer = account_.find(PeerId(resource.id));
      // A receiver takes the groups in place of a peer that it does not know.
      if (peer == netmap::kNoPeer || !selection_.candidates.test(peer)) return groups.empty();
      pb::ResourceCompact& out = *resource_of();
      out.set_type(resource.type);
      out.set_peer_index_set(true);
      out.set_peer_index(position_[peer]);
    }
    each_known(groups, [&](const std::string& id) { *ids.Add() = id; });
    return true;
  }

  static void add_ports(const RuleView& resolved, pb::PolicyCompact& entry) {
    const PolicyRule& rule = *resolved.rule;
    for (const std::string& text : rule.ports) {
      std::uint32_t port = 0;
      std::from_chars(text.data(), text.data() + text.size(), port);
      entry.add_ports(port);
    }
    for (const PortRange& range : rule.port_ranges) {
      auto& out = *entry.add_port_ranges();
      out.set_start(range.start);
      out.set_end(range.end);
    }
    // contract/network-map.md §1.8: netbird-ssh without ports is port 22, not any.
    if (resolved.ssh && rule.ports.empty() && rule.port_ranges.empty()) entry.add_ports(kSshPort);
  }

  [[nodiscard]] bool reaches_target(const PolicyRule& rule) const {
    return selection_.side(rule.destination_resource, rule.destinations).test(target_);
  }

  /// Who may log in to the target; of other peers it need not know. False where a group that may is
  /// no row any more: it has no public id to be sent by, and without its groups a rule lets all in.
  [[nodiscard]] bool add_ssh_users(const RuleView& resolved, pb::PolicyCompact& entry) {
    const PolicyRule& rule = *resolved.rule;
    const netmap::SshEffect effect = netmap::ssh_effect(rule);
    if (effect == netmap::SshEffect::kNone) return true;
    if (effect == netmap::SshEffect::kWhereEnabled && !me_.ssh_enabled) return true;
    if (effect == netmap::SshEffect::kAlways && !rule.authorized_groups.empty()) {
      for (const auto& [id, local_users] : rule.authorized_groups) {
        const Group* const group = tables_.group(id);
        if (group == nullptr) return false;
        const std::string& key = component_id(*group);
        auto& names = (*entry.mutable_authorized_groups())[key];
        for (const std::string& name : local_users) names.add_names(name);
        const auto& users = account_.users().of_group(id);
        if (users.empty() || out_.group_id_to_user_ids().contains(key)) continue;
        auto& list = (*out_.mutable_group_id_to_user_ids())[key];
        for (const UserId& user : users) list.add_user_ids(user.value());
      }
      return true;
    }
    if (effect == netmap::SshEffect::kAlways && !rule.authorized_user.empty()) {
      entry.set_authorized_user(rule.authorized_user);
      return true;
    }
    if (!out_.allowed_user_ids().empty()) return true;
    for (const UserId& user : account_.users().allowed()) out_.add_allowed_user_ids(user.value());
    return true;
  }

  // ---- routes and resources -----------------------------------------------------------------

  [[nodiscard]] bool routes() {
    for (const Route* const route : selection_.routes) {
      const bool own = route->peer == me_.id || account_.any_member(route->peer_groups, target_);
      if (own && route->enabled && !rules_travel_to(route->access_control_groups)) return false;
      auto& entry = *out_.add_routes();
      entry.set_id(component_id(*route));
      entry.set_net_id(route->net_id);
      entry.set_network_cidr(route->network.to_string());
      for (const std::string& domain : route->domains) entry.add_domains(domain);
      entry.set_keep_route(route->keep_route);
      if (const PeerIndex peer = account_.find(route->peer);
          peer != netmap::kNoPeer && selection_.candidates.test(peer)) {
        entry.set_peer_index_set(true);
        entry.set_peer_index(position_[peer]);
      }
      each_known(route->peer_groups, [&](const std::string& id) { entry.add_peer_group_ids(id); });
      each_known(route->groups, [&](const std::string& id) { entry.add_group_ids(id); });
      each_known(route->access_control_groups,
                 [&](const std::string& id) { entry.add_access_control_group_ids(id); });
      entry.set_network_type(static_cast<std::int32_t>(route->network_type));
      entry.set_masquerade(route->masquerade);
      entry.set_metric(static_cast<std::int32_t>(route->metric));
      entry.set_enabled(route->enabled);
      entry.set_skip_auto_apply(route->skip_auto_apply);
    }
    return true;
  }

  /// A receiver applies to a route of its own only the rules that lead to its groups, where the
  /// whole policy counts, and hands netbird-ssh to its firewall, which does not know it. Groups
  /// that do not exist limit a route all the same, and cannot be named.
  [[nodiscard]] bool rules_travel_to(const std::vector<GroupId>& groups) const {
    if (groups.empty()) return true;
    return std::ranges::all_of(groups,
                               [&](const GroupId& id) { return selection_.groups.contains(id); }) &&
           std::ranges::all_of(selection_.policies, [&](const PolicyView* policy) {
             const auto& rules = policy->policy->rules;
             if (std::ranges::none_of(
                     rules, [&](const PolicyRule& rule) { return leads_to(rule, groups); }))
               return true;
             return rules.size() == 1 && std::ranges::none_of(policy->rules, &RuleView::ssh);
           });
  }

  [[nodiscard]] bool resources() {
    for (const std::size_t at : selection_.resources) {
      const NetworkResource& resource = tables_.resources[at];
      const AccountView::Routers* const routers = account_.routers(resource.network_id);
      if (routers == nullptr) continue;
      const bool own = routers->contains(target_);
      std::vector<std::string> ids;
      for (const ResourcePolicy& policy : account_.resource_policies(at))
        for (const RuleView* const rule : policy.rules) {
          if (own && rule->ssh) return false;
          if (!own && !from_target(*policy.policy->policy, *rule->rule)) continue;
          if (!add_rule(*policy.policy->policy, *rule)) return false;
          ids.push_back(index_.rule(*rule).id);
        }
      if (ids.empty()) continue;
      const Network* const network = tables_.networks.find(resource.network_id);
      if (network == nullptr) return false;  // without a row there is no id to send
      add_resource(resource, component_id(*network), ids);
      add_routers(component_id(*network), *routers);
    }
    return true;
  }

  [[nodiscard]] bool from_target(const Policy& policy, const PolicyRule& rule) const {
    Bits sources = selection_.side(rule.source_resource, rule.sources);
    return selection_.without_failed(std::move(sources), policy).test(target_);
  }

  void add_resource(const NetworkResource& resource, const std::string& network,
                    const std::vector<std::string>& rule_ids) {
    const std::string& id = component_id(resource);
    auto& entry = *out_.add_network_resources();
    entry.set_id(id);
    entry.set_network_seq(network);
    entry.set_name(resource.name);
    entry.set_type(resource.type);
    if (resource.type == kResourceDomain)
      entry.set_domain_value(netmap::ascii_domain(resource.domain));
    else
      entry.set_prefix_cidr(resource.prefix.to_string());
    entry.set_enabled(true);
    auto& ids = (*out_.mutable_resource_policies_map())[id];
    for (const std::string& rule : rule_ids) ids.add_ids(rule);
  }

  void add_routers(const std::string& network, const AccountView::Routers& routers) {
    if (out_.routers_map().contains(network)) return;
    auto& list = (*out_.mutable_routers_map())[network];
    for (const auto& [peer, router] : routers) {
      if (!selection_.candidates.test(peer)) continue;
      auto& entry = *list.add_entries();
      entry.set_id(component_id(*router));
      entry.set_peer_index(position_[peer]);
      entry.set_peer_index_set(true);
      entry.set_masquerade(router->masquerade);
      entry.set_metric(static_cast<std::int32_t>(router->metric));
      entry.set_enabled(true);
      out_.add_router_peer_indexes(position_[peer]);
    }
  }

  // ---- names --------------------------------------------------------------------------------

  /// Those of `groups` that the target is in: why it gets something.
  template <class Add>
  void each_own(const std::vector<GroupId>& groups, Add add) const {
    for (const GroupId& id : groups)
      if (account_.is_member(id, target_)) add(component_id(*tables_.group(id)));
  }

  void names() {
    out_.set_dns_domain(account_.dns_domain());
    out_.set_dns_forwarder_port(account_.forwarder_port());
    const auto& disabled = tables_.account.dns_disabled_management_groups;
    each_own(disabled, [&](const std::string& id) {
      out_.mutable_dns_settings()->add_disabled_management_group_ids(id);
    });
    if (account_.any_member(disabled, target_)) return;
    if (!account_.dns_domain().empty())
      out_.set_custom_zone_domain(netmap::absolute_name(account_.dns_domain()));
    netmap::NetworkMap map;
    map.target = target_;
    netmap::add_distributed_names(account_, map);
    for (const netmap::MapZone& zone : map.zones) fill_zone(*out_.add_account_zones(), zone);
    for (const NameServerGroup* const group : map.name_servers) {
      auto& entry = *out_.add_nameserver_groups();
      entry.set_id(component_id(*group));
      for (const NameServer& server : group->name_servers)
        fill_name_server(*entry.add_nameservers(), server);
      each_own(group->groups, [&](const std::string& id) { entry.add_group_ids(id); });
      entry.set_primary(group->primary);
      for (const std::string& domain : group->domains) entry.add_domains(domain);
      entry.set_enabled(true);
      entry.set_search_domains_enabled(group->search_domains_enabled);
    }
  }

  void settings() {
    const AccountSettings& settings = tables_.account.settings;
    auto& out = *out_.mutable_account_settings();
    out.set_peer_login_expiration_enabled(settings.peer_login_expiration_enabled ||
                                          !expired_.none());
    out.set_peer_login_expiration_ns(settings.peer_login_expiration.count());
  }

  const netmap::ComponentIndex& index_;
  const AccountView& account_;
  const AccountSnapshot& tables_;
  const Selection selection_;
  const PeerIndex target_;
  const Peer& me_;
  pb::NetworkMapComponentsFull& out_;
  std::vector<std::uint32_t> position_;  // of candidates, in the envelope
  Bits expired_;
  std::unordered_set<const RuleView*> added_;
};

std::string network_bytes(const AccountNetwork& network) {
  pb::AccountNetwork out;
  out.set_identifier(network.identifier);
  out.set_net_cidr(network.net.to_string());
  if (network.net_v6.is_set()) out.set_net_v6_cidr(network.net_v6.to_string());
  out.set_dns(network.dns);
  return out.SerializeAsString();
}

}  // namespace

std::optional<ComponentMap> encode_components(const ComponentInput& input) {
  if (!input.index.usable()) return std::nullopt;
  google::protobuf::Arena arena;
  auto& full = *google::protobuf::Arena::CreateMessage<pb::NetworkMapComponentsFull>(&arena);
  Components components(input, full);
  if (!components.fill()) return std::nullopt;
  full.set_user_id_claim(input.user_id_claim);
  ComponentMap out{.network = network_bytes(input.index.account().snapshot().account.network),
                   .map = {}};
  netmap::wire::put_element(out.map, pb::NetworkMapComponentsFull::kPeerConfigFieldNumber,
                            input.peer_config);
  components.append_shared(out.map);
  out.map += deterministic_bytes(full);
  return out;
}

}  // namespace nb::management::grpc
