#include "client/component_map.h"

#include "base/ip.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "proto/management.pb.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace nb::client {
namespace {

namespace pb = ::management;

using Index = std::uint32_t;
using Peers = std::set<Index>;

constexpr std::size_t kKeyBytes = 32;
constexpr std::uint32_t kSshPort = 22;
constexpr std::uint32_t kNativeSshPort = 22022;
constexpr std::string_view kAnyLocalUser = "*";
constexpr std::string_view kPeerType = "peer";
constexpr std::string_view kDomainPlaceholder = "192.0.2.0/32";
constexpr std::string_view kEverywhereV4 = "0.0.0.0/0";
constexpr std::string_view kEverywhereV6 = "::/0";
constexpr std::int32_t kTypeV4 = 1;
constexpr std::int32_t kTypeV6 = 2;
constexpr std::int32_t kTypeDomain = 3;

using Version = std::array<int, 3>;

/// Of an agent; text after the first '-' does not count. Development builds are newest.
Version version_of(std::string_view text) {
  for (const std::string_view build : {"development", "dev-", "ci-"})
    if (text.starts_with(build)) return {1'000, 0, 0};
  Version out{};
  if (text.starts_with('v')) text.remove_prefix(1);
  std::size_t part = 0;
  for (const char c : text.substr(0, text.find_first_of("-+"))) {
    if (c == '.') {
      if (++part == out.size()) break;
    } else if (c >= '0' && c <= '9') {
      out[part] = std::min(out[part] * 10 + (c - '0'), 1'000'000);
    } else {
      return {};
    }
  }
  return out;
}

bool covers(std::uint32_t start, std::uint32_t end, std::uint32_t port) {
  return start <= port && port <= end;
}

bool lists_ssh(const pb::PolicyCompact& rule) {
  const auto is_ssh = [](std::uint32_t port) { return port == kSshPort || port == kNativeSshPort; };
  return std::ranges::any_of(rule.ports(), is_ssh) ||
         std::ranges::any_of(rule.port_ranges(), [](const auto& range) {
           return covers(range.start(), range.end(), kSshPort) ||
                  covers(range.start(), range.end(), kNativeSshPort);
         });
}

bool is_v6(std::string_view network) {
  return network.find(':') != network.npos;
}

bool is_default_v4(const std::string& network) {
  return network == kEverywhereV4;
}

class Expansion {
 public:
  Expansion(const pb::NetworkMapComponentsFull& full, Index me, WallTime now)
      : full_(full), me_(me), own_(full.peers(static_cast<int>(me))), now_(now) {
    const Version version = version_of(own_.agent_version());
    port_ranges_ = version >= Version{0, 48, 0};
    native_ssh_ = version >= Version{0, 60, 0};
    ipv6_ = own_.supports_ipv6() && own_.ipv6().size() == 16;
    for (const auto& group : full.groups()) {
      auto& members = groups_[group.id()];
      for (const Index index : group.peer_indexes())
        if (is_peer(index)) members.insert(index);
      if (group.is_all()) all_groups_.insert(group.id());
      if (members.contains(me_)) own_groups_.insert(group.id());
    }
    for (const auto& [check, failing] : full.posture_failed_peers())
      failed_[check] = {failing.peer_indexes().begin(), failing.peer_indexes().end()};
    for (const auto& rule : full.policies()) rules_[rule.id()] = &rule;
  }

  pb::NetworkMap run() {
    out_.set_serial(full_.network().serial());
    *out_.mutable_peerconfig() = full_.peer_config();
    connect();
    split_connected();
    advertised();
    resources();
    for (const pb::Route& route : routes_) add_route(route);
    for (const Index peer : active_) *out_.add_remotepeers() = remote(peer);
    for (const Index peer : offline_) *out_.add_offlinepeers() = remote(peer);
    names();
    ssh();
    out_.set_remotepeersisempty(out_.remotepeers().empty());
    out_.set_firewallrulesisempty(out_.firewallrules().empty());
    out_.set_routesfirewallrulesisempty(out_.routesfirewallrules().empty());
    return std::move(out_);
  }

 private:
  // ---- peers and groups ---------------------------------------------------------------------

  [[nodiscard]] bool is_peer(Index index) const {
    return index < static_cast<Index>(full_.peers_size()) &&
           peer(index).wg_pub_key().size() == kKeyBytes;
  }
  [[nodiscard]] const pb::PeerCompact& peer(Index index) const {
    return full_.peers(static_cast<int>(index));
  }
  [[nodiscard]] static std::string address(const std::string& bytes) {
    std::array<std::uint8_t, 16> all{};
    if (bytes.size() != 4 && bytes.size() != all.size()) return {};
    std::ranges::copy(bytes, all.begin());
    if (bytes.size() == all.size()) return IpAddress::v6(all).text();
    std::uint32_t value = 0;
    for (std::size_t at = 0; at < 4; ++at) value = value << 8 | all[at];
    return IpAddress::v4(value).text();
  }
  [[nodiscard]] bool has_v6(Index index) const { return peer(index).ipv6().size() == 16; }
  [[nodiscard]] std::string key(Index index) const {
    return crypto::to_base64(peer(index).wg_pub_key());
  }

  [[nodiscard]] const Peers& group(const std::string& id) const {
    static const Peers none;
    const auto found = groups_.find(id);
    return found == groups_.end() ? none : found->second;
  }

  /// Of one side of a rule: `All` or a sole entry stands for exactly its members.
  template <class List>
  [[nodiscard]] Peers side(const List& ids) const {
    Peers out;
    for (const std::string& id : ids) {
      if (!groups_.contains(id)) continue;
      if (ids.size() == 1 || all_groups_.contains(id)) return group(id);
      out.insert(group(id).begin(), group(id).end());
    }
    return out;
  }

  [[nodiscard]] std::optional<Index> named_peer(const pb::ResourceCompact& resource) const {
    if (resource.type() != kPeerType || !resource.peer_index_set() ||
        !is_peer(resource.peer_index()))
      return std::nullopt;
    return resource.peer_index();
  }

  [[nodiscard]] bool passes(const pb::PolicyCompact& rule, Index index) const {
    return std::ranges::none_of(rule.source_posture_check_ids(), [&](const std::string& check) {
      const auto found = failed_.find(check);
      return found != failed_.end() && found->second.contains(index);
    });
  }

  [[nodiscard]] Peers passing(const pb::PolicyCompact& rule, Peers peers) const {
    std::erase_if(peers, [&](Index index) { return !passes(rule, index); });
    return peers;
  }

  [[nodiscard]] pb::RemotePeerConfig remote(Index index) const {
    const pb::PeerCompact& from = peer(index);
    pb::RemotePeerConfig out;
    out.set_wgpubkey(key(index));
    out.add_allowedips(address(from.ip()) + "/32");
    if (ipv6_ && has_v6(index)) out.add_allowedips(address(from.ipv6()) + "/128");
    out.mutable_sshconfig()->set_sshpubkey(from.ssh_pub_key());
    if (!full_.dns_domain().empty()) out.set_fqdn(from.dns_label() + '.' + full_.dns_domain());
    out.set_agentversion(from.agent_version());
    return out;
  }

  // ---- connections and firewall rules -------------------------------------------------------

  void connect() {
    for (const auto& rule : full_.policies()) {
      const auto source_peer = named_peer(rule.source_resource());
      const auto destination_peer = named_peer(rule.destination_resource());
      const Peers sources =
          source_peer ? Peers{*source_peer} : passing(rule, side(rule.source_group_ids()));
      const Peers destinations =
          destination_peer ? Peers{*destination_peer} : side(rule.destination_group_ids());
      const bool source = sources.contains(me_);
      const bool destination = destinations.contains(me_);
      if (rule.bidirectional()) {
        if (source) emit(rule, destinations, pb::IN);
        if (destination) emit(rule, sources, pb::OUT);
      }
      if (source) emit(rule, destinations, pb::OUT);
      if (destination) emit(rule, sources, pb::IN);
      if (destination) authorize(rule);
    }
  }

  struct Ports {
    std::string port;  // empty: by range
    std::uint32_t start = 0;
    std::uint32_t end = 0;
  };

  [[nodiscard]] std::vector<Ports> ports(const pb::PolicyCompact& rule) const {
    if (rule.ports().empty() && rule.port_ranges().empty()) return {Ports{}};
    std::vector<Ports> out;
    for (const std::uint32_t port : rule.ports()) out.push_back({.port = std::to_string(port)});
    if (rule.ports().empty()) {
      for (const auto& range : rule.port_ranges()) {
        if (port_ranges_)
          out.push_back({.port = {}, .start = range.start(), .end = range.end()});
        else if (range.start() == range.end())
          out.push_back({.port = std::to_string(range.start())});
      }
    }
    const bool companion =
        rule.protocol() == pb::NETBIRD_SSH || (rule.protocol() == pb::TCP && native_ssh_ &&
                                               own_.ssh_enabled() && own_.server_ssh_allowed());
    const auto includes = [&](std::uint32_t port) {
      return std::ranges::any_of(out, [&](const Ports& p) {
        return p.port.empty() ? covers(p.start, p.end, port) : p.port == std::to_string(port);
      });
    };
    if (companion && includes(kSshPort) && !includes(kNativeSshPort))
      out.push_back({.port = std::to_string(kNativeSshPort)});
    return out;
  }

  void emit(const pb::PolicyCompact& rule, const Peers& remotes, pb::RuleDirection direction) {
    const auto selections = ports(rule);
    for (const Index index : remotes) {
      if (index == me_) continue;
      connected_.insert(index);
      emit_address(rule, selections, peer(index).ip(), direction);
      if (ipv6_ && has_v6(index)) emit_address(rule, selections, peer(index).ipv6(), direction);
    }
  }

  void emit_address(const pb::PolicyCompact& rule, const std::vector<Ports>& selections,
                    const std::string& bytes, pb::RuleDirection direction) {
    const pb::RuleProtocol protocol =
        rule.protocol() == pb::NETBIRD_SSH ? pb::TCP : rule.protocol();
    std::string listed;
    for (const std::uint32_t port : rule.ports()) listed += std::to_string(port) + ',';
    if (!seen_.emplace(rule.id(), bytes, direction, protocol, rule.action(), listed).second) return;
    for (const Ports& selection : selections) {
      auto& out = *out_.add_firewallrules();
      out.set_peerip(address(bytes));
      out.set_direction(direction);
      out.set_action(rule.action());
      out.set_protocol(protocol);
      out.set_port(selection.port);
      out.set_policyid(rule.id());
      if (selection.port.empty() && (protocol == pb::TCP || protocol == pb::UDP)) {
        auto& range = *out.mutable_portinfo()->mutable_range();
        range.set_start(selection.start);
        range.set_end(selection.end);
      }
      if (own_.supports_source_prefixes())
        out.add_sourceprefixes(bytes + static_cast<char>(bytes.size() * 8));
    }
  }

  void split_connected() {
    const auto& settings = full_.account_settings();
    for (const Index index : connected_) {
      const pb::PeerCompact& who = peer(index);
      const WallTime end{std::chrono::nanoseconds(who.last_login_unix_nano()) +
                         std::chrono::nanoseconds(settings.peer_login_expiration_ns())};
      const bool expired = settings.peer_login_expiration_enabled() && who.added_with_sso_login() &&
                           who.login_expiration_enabled() && end <= now_;
      (expired ? offline_ : active_).insert(index);
    }
  }

  // ---- SSH ----------------------------------------------------------------------------------

  void authorize(const pb::PolicyCompact& rule) {
    const std::string any(kAnyLocalUser);
    const std::set<std::string> allowed(full_.allowed_user_ids().begin(),
                                        full_.allowed_user_ids().end());
    if (rule.protocol() != pb::NETBIRD_SSH) {
      const bool implied =
          rule.protocol() == pb::ALL || (rule.protocol() == pb::TCP && lists_ssh(rule));
      if (implied && own_.ssh_enabled()) authorized_[any] = allowed;
      return;
    }
    if (!rule.authorized_groups().empty()) {
      for (const auto& [id, local_users] : rule.authorized_groups()) {
        const auto users = full_.group_id_to_user_ids().find(id);
        if (users == full_.group_id_to_user_ids().end()) continue;
        const auto add = [&](const std::string& name) {
          authorized_[name].insert(users->second.user_ids().begin(),
                                   users->second.user_ids().end());
        };
        if (local_users.names().empty()) add(any);
        for (const std::string& name : local_users.names()) add(name);
      }
    } else if (!rule.authorized_user().empty()) {
      authorized_[any].insert(rule.authorized_user());
    } else {
      authorized_[any] = allowed;
    }
  }

  void ssh() {
    auto& out = *out_.mutable_sshauth();
    out.set_useridclaim(full_.user_id_claim());
    std::map<std::string, std::uint32_t> positions;
    for (const auto& [local_user, users] : authorized_) {
      auto& entry = (*out.mutable_machine_users())[local_user];
      for (const std::string& user : users) {
        const auto [at, fresh] =
            positions.emplace(user, static_cast<std::uint32_t>(positions.size()));
        if (fresh)
          out.add_authorizedusers(std::string(crypto::as_text(crypto::ssh_user_hash(user))));
        entry.add_indexes(at->second);
      }
    }
  }

  // ---- routes -------------------------------------------------------------------------------

  [[nodiscard]] static bool is_dynamic(const pb::RouteRaw& route) {
    return route.network_type() == kTypeDomain;
  }

  [[nodiscard]] static std::string ha_id(const pb::RouteRaw& route) {
    if (!is_dynamic(route) || route.domains().empty())
      return route.net_id() + '|' + route.network_cidr();
    std::string out = route.net_id() + '|';
    for (const std::string& domain : route.domains()) out += domain + ", ";
    return out;
  }

  struct Advertised {
    pb::Route route;
    const pb::RouteRaw* raw;
  };

  [[nodiscard]] std::vector<Advertised> advertised_by(Index index) const {
    std::vector<Advertised> out;
    const auto add = [&](const pb::RouteRaw& raw, const std::string& suffix) {
      pb::Route route;
      route.set_id(raw.id() + suffix);
      route.set_netid(raw.net_id());
      route.set_network(raw.network_cidr());
      route.set_networktype(raw.network_type());
      route.set_peer(key(index));
      route.set_metric(raw.metric());
      route.set_masquerade(raw.masquerade());
      for (const std::string& domain : raw.domains()) route.add_domains(domain);
      route.set_keeproute(raw.keep_route());
      route.set_skipautoapply(raw.skip_auto_apply());
      out.push_back({std::move(route), &raw});
    };
    for (const auto& raw : full_.routes()) {
      if (std::ranges::any_of(raw.peer_group_ids(),
                              [&](const std::string& id) { return group(id).contains(index); }))
        add(raw, ':' + key(index));
      if (raw.peer_index_set() && raw.peer_index() == index) add(raw, {});
    }
    return out;
  }

  void advertised() {
    std::set<std::string> own_ha_ids;
    for (const Advertised& own : advertised_by(me_)) {
      own_ha_ids.insert(ha_id(*own.raw));
      if (!own.raw->enabled()) continue;
      rules_of_own_route(own);
      routes_.push_back(own.route);
    }
    for (const Index index : active_)
      for (const Advertised& theirs : advertised_by(index)) {
        const bool mine = std::ranges::any_of(theirs.raw->group_ids(), [&](const std::string& id) {
          return own_groups_.contains(id);
        });
        if (theirs.raw->enabled() && mine && !own_ha_ids.contains(ha_id(*theirs.raw)))
          routes_.push_back(theirs.route);
      }
  }

  void add_route(const pb::Route& route) {
    if (!ipv6_ && is_v6(route.network())) return;
    *out_.add_routes() = route;
    if (!ipv6_ || !is_default_v4(route.network())) return;
    auto& v6 = *out_.add_routes();
    v6 = route;
    v6.set_id(route.id() + "-v6-default");
    v6.set_netid(route.netid() + "-v6");
    v6.set_network(std::string(kEverywhereV6));
    v6.set_networktype(kTypeV6);
  }

  // ---- what the receiver's own routes let through -------------------------------------------

  void rules_of_own_route(const Advertised& own) {
    const pb::RouteRaw& raw = *own.raw;
    if (raw.access_control_group_ids().empty()) return permit_everyone(own.route);
    Peers distribution;
    for (const std::string& id : raw.group_ids())
      distribution.insert(group(id).begin(), group(id).end());
    for (const std::string& id : raw.access_control_group_ids())
      for (const auto& rule : full_.policies())
        if (std::ranges::find(rule.destination_group_ids(), id) !=
            rule.destination_group_ids().end())
          route_rules(rule, own.route, distribution, plain_rules_);
  }

  [[nodiscard]] static pb::RouteFirewallRule base_rule(const pb::Route& route) {
    pb::RouteFirewallRule out;
    out.set_destination(route.network());
    out.set_isdynamic(route.networktype() == kTypeDomain);
    *out.mutable_domains() = route.domains();
    out.set_routeid(route.id());
    out.mutable_portinfo();
    return out;
  }

  static void turn_to_v6(const pb::Route& route, pb::RouteFirewallRule& rule) {
    if (!is_default_v4(route.network())) return;
    rule.set_destination(std::string(kEverywhereV6));
    rule.set_routeid(route.id() + "-v6-default");
  }

  [[nodiscard]] bool has_v6_twin(const pb::Route& route) const {
    return ipv6_ && !is_v6(route.network()) &&
           (route.networktype() == kTypeDomain || is_default_v4(route.network()));
  }

  void permit_everyone(const pb::Route& route) {
    if (is_v6(route.network()) && !ipv6_) return;
    pb::RouteFirewallRule rule = base_rule(route);
    rule.set_protocol(pb::ALL);
    rule.add_sourceranges(std::string(is_v6(route.network()) ? kEverywhereV6 : kEverywhereV4));
    plain_rules_.push_back(rule);
    if (!has_v6_twin(route)) return;
    turn_to_v6(route, rule);
    rule.set_sourceranges(0, std::string(kEverywhereV6));
    plain_rules_.push_back(rule);
  }

  void route_rules(const pb::PolicyCompact& policy, const pb::Route& route,
                   const Peers& distribution, std::vector<pb::RouteFirewallRule>& out) {
    if (is_v6(route.network()) && !ipv6_) return;
    Peers sources;
    for (const std::string& id : policy.source_group_ids())
      for (const Index index : group(id))
        if (index != me_) sources.insert(index);
    if (const auto index = named_peer(policy.source_resource())) sources.insert(*index);
    std::erase_if(sources, [&](Index index) {
      return !distribution.contains(index) || !passes(policy, index);
    });
    std::vector<std::string> v4;
    std::vector<std::string> v6;
    for (const Index index : sources) {
      v4.push_back(address(peer(index).ip()) + "/32");
      if (has_v6(index)) v6.push_back(address(peer(index).ipv6()) + "/128");
    }
    pb::RouteFirewallRule rule = base_rule(route);
    rule.set_action(policy.action());
    rule.set_protocol(policy.protocol());
    rule.set_policyid(policy.id());
    add_ported(policy, rule, is_v6(route.network()) ? v6 : v4, out);
    if (!has_v6_twin(route) || v6.empty()) return;
    turn_to_v6(route, rule);
    add_ported(policy, rule, v6, out);
  }

  static void add_ported(const pb::PolicyCompact& policy, pb::RouteFirewallRule rule,
                         const std::vector<std::string>& sources,
                         std::vector<pb::RouteFirewallRule>& out) {
    *rule.mutable_sourceranges() = {sources.begin(), sources.end()};
    for (const std::uint32_t port : policy.ports()) {
      pb::RouteFirewallRule made = rule;
      if (port != 0) made.mutable_portinfo()->set_port(port);
      out.push_back(std::move(made));
    }
    if (!policy.ports().empty()) return;
    for (const auto& range : policy.port_ranges()) {
      pb::RouteFirewallRule made = rule;
      if (range.start() != 0 && range.end() != 0) *made.mutable_portinfo()->mutable_range() = range;
      out.push_back(std::move(made));
    }
    if (policy.port_ranges().empty()) out.push_back(std::move(rule));
  }

  // ---- networks -----------------------------------------------------------------------------

  void resources() {
    Peers reached;
    bool routes_any = false;
    std::vector<pb::RouteFirewallRule> resource_rules;
    std::vector<pb::Route> found;
    for (const auto& resource : full_.network_resources()) {
      const auto policies = policies_to(resource);
      if (!resource.enabled() || policies.empty()) continue;
      const auto routers = routers_of(resource.network_seq());
      if (const auto own = routers.find(me_); own != routers.end()) {
        routes_any = true;
        const pb::Route route = route_to(resource, me_, *own->second);
        found.push_back(route);
        Peers distribution;
        for (const auto* const policy : policies) {
          const Peers from = sources_of(*policy);
          for (const Index index : passing(*policy, from)) reached.insert(index);
          for (const std::string& id : policy->source_group_ids())
            distribution.insert(group(id).begin(), group(id).end());
          if (const auto index = named_peer(policy->source_resource())) distribution.insert(*index);
        }
        for (const auto* const policy : policies)
          route_rules(*policy, route, distribution, resource_rules);
        continue;
      }
      const bool reaches = std::ranges::any_of(policies, [&](const pb::PolicyCompact* policy) {
        return sources_of(*policy).contains(me_) && passes(*policy, me_);
      });
      if (!reaches) continue;
      for (const auto& [index, router] : routers) {
        found.push_back(route_to(resource, index, *router));
        reached.insert(index);
      }
    }
    for (const pb::Route& route : found) add_route(route);
    for (const auto& rule : resource_rules)
      if (routes_any && !rule.sourceranges().empty()) *out_.add_routesfirewallrules() = rule;
    for (const auto& rule : plain_rules_) *out_.add_routesfirewallrules() = rule;
    for (const Index index : reached)
      if (index != me_ && !offline_.contains(index)) active_.insert(index);
  }

  [[nodiscard]] std::vector<const pb::PolicyCompact*> policies_to(
      const pb::NetworkResourceRaw& resource) const {
    std::vector<const pb::PolicyCompact*> out;
    const auto listed = full_.resource_policies_map().find(resource.id());
    if (listed == full_.resource_policies_map().end()) return out;
    for (const std::string& id : listed->second.ids())
      if (const auto found = rules_.find(id); found != rules_.end()) out.push_back(found->second);
    return out;
  }

  using Routers = std::map<Index, const pb::NetworkRouterEntry*>;
  [[nodiscard]] Routers routers_of(const std::string& network) const {
    Routers out;
    const auto listed = full_.routers_map().find(network);
    if (listed == full_.routers_map().end()) return out;
    for (const auto& entry : listed->second.entries())
      if (entry.peer_index_set() && is_peer(entry.peer_index())) out[entry.peer_index()] = &entry;
    return out;
  }

  [[nodiscard]] Peers sources_of(const pb::PolicyCompact& policy) const {
    if (const auto index = named_peer(policy.source_resource())) return {*index};
    return side(policy.source_group_ids());
  }

  [[nodiscard]] pb::Route route_to(const pb::NetworkResourceRaw& resource, Index index,
                                   const pb::NetworkRouterEntry& router) const {
    pb::Route out;
    out.set_id(resource.id() + ':' + key(index));
    out.set_netid(resource.name());
    out.set_peer(key(index));
    out.set_metric(router.metric());
    out.set_masquerade(router.masquerade());
    out.set_keeproute(true);
    if (resource.type() == "domain") {
      out.add_domains(resource.domain_value());
      out.set_networktype(kTypeDomain);
      out.set_network(std::string(kDomainPlaceholder));
    } else {
      out.set_network(resource.prefix_cidr());
      out.set_networktype(is_v6(resource.prefix_cidr()) ? kTypeV6 : kTypeV4);
    }
    return out;
  }

  // ---- names --------------------------------------------------------------------------------

  void names() {
    auto& dns = *out_.mutable_dnsconfig();
    dns.set_forwarderport(full_.dns_forwarder_port());
    const auto is_own = [&](const std::string& id) { return own_groups_.contains(id); };
    dns.set_serviceenable(
        std::ranges::none_of(full_.dns_settings().disabled_management_group_ids(), is_own));
    if (!dns.serviceenable()) return;
    if (!full_.custom_zone_domain().empty() && !full_.all_dns_records().empty()) {
      auto& zone = *dns.add_customzones();
      zone.set_domain(full_.custom_zone_domain());
      *zone.mutable_records() = full_.all_dns_records();
    }
    for (const auto& zone : full_.account_zones()) *dns.add_customzones() = zone;
    const std::string own_address = address(own_.ip());
    for (const auto& group : full_.nameserver_groups()) {
      const bool is_server = std::ranges::any_of(
          group.nameservers(), [&](const auto& server) { return server.ip() == own_address; });
      if (!group.enabled() || is_server || std::ranges::none_of(group.group_ids(), is_own))
        continue;
      auto& out = *dns.add_nameservergroups();
      *out.mutable_nameservers() = group.nameservers();
      *out.mutable_domains() = group.domains();
      out.set_primary(group.primary());
      out.set_searchdomainsenabled(group.search_domains_enabled());
    }
  }

  const pb::NetworkMapComponentsFull& full_;
  const Index me_;
  const pb::PeerCompact& own_;
  const WallTime now_;
  bool port_ranges_ = false;
  bool native_ssh_ = false;
  bool ipv6_ = false;
  std::map<std::string, Peers> groups_;
  std::set<std::string> all_groups_;
  std::set<std::string> own_groups_;
  std::map<std::string, Peers> failed_;  // by check
  std::map<std::string, const pb::PolicyCompact*> rules_;
  std::set<std::tuple<std::string, std::string, int, int, int, std::string>> seen_;
  Peers connected_;
  Peers active_;
  Peers offline_;
  std::map<std::string, std::set<std::string>> authorized_;  // users by local user
  std::vector<pb::Route> routes_;
  std::vector<pb::RouteFirewallRule> plain_rules_;
  pb::NetworkMap out_;
};

}  // namespace

Result<pb::NetworkMap> expand_components(const pb::NetworkMapEnvelope& envelope,
                                         const std::string& own_key, WallTime now) {
  if (!envelope.has_full()) return fail(Code::kInvalidArgument, "the envelope has no components");
  const auto& peers = envelope.full().peers();
  for (int at = 0; at < peers.size(); ++at)
    if (own_key.size() == kKeyBytes && peers.Get(at).wg_pub_key() == own_key)
      return Expansion(envelope.full(), static_cast<Index>(at), now).run();
  return fail(Code::kInvalidArgument, "the receiver is not among the peers of its own map");
}

}  // namespace nb::client
