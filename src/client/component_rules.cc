#include "client/component_rules.h"

#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "proto/management.pb.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace nb::client {
namespace {

namespace pb = ::management;

constexpr std::uint32_t kSshPort = 22;
constexpr std::uint32_t kNativeSshPort = 22022;
constexpr std::string_view kAnyLocalUser = "*";

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

class PeerRules {
 public:
  PeerRules(const ComponentPeers& peers, pb::NetworkMap& out)
      : peers_(peers), me_(peers.me()), out_(out) {
    const Version version = version_of(peers.own().agent_version());
    port_ranges_ = version >= Version{0, 48, 0};
    native_ssh_ = version >= Version{0, 60, 0};
  }

  ComponentPeerSet run() {
    connect();
    ssh();
    return std::move(connected_);
  }

 private:
  void connect() {
    for (const auto& rule : peers_.full().policies()) {
      const auto source_peer = peers_.named_peer(rule.source_resource());
      const auto destination_peer = peers_.named_peer(rule.destination_resource());
      const ComponentPeerSet sources = source_peer
                                           ? ComponentPeerSet{*source_peer}
                                           : peers_.passing(rule, peers_.source_groups(rule));
      const ComponentPeerSet destinations =
          destination_peer ? ComponentPeerSet{*destination_peer} : peers_.destination_groups(rule);
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

  std::vector<Ports> ports(const pb::PolicyCompact& rule) const {
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
    const bool companion = rule.protocol() == pb::NETBIRD_SSH ||
                           (rule.protocol() == pb::TCP && native_ssh_ &&
                            peers_.own().ssh_enabled() && peers_.own().server_ssh_allowed());
    const auto includes = [&](std::uint32_t port) {
      return std::ranges::any_of(out, [&](const Ports& p) {
        return p.port.empty() ? covers(p.start, p.end, port) : p.port == std::to_string(port);
      });
    };
    if (companion && includes(kSshPort) && !includes(kNativeSshPort))
      out.push_back({.port = std::to_string(kNativeSshPort)});
    return out;
  }

  void emit(const pb::PolicyCompact& rule, const ComponentPeerSet& remotes,
            pb::RuleDirection direction) {
    const auto selections = ports(rule);
    for (const ComponentPeer index : remotes) {
      if (index == me_) continue;
      connected_.insert(index);
      emit_address(rule, selections, peers_.peer(index).ip(), direction);
      if (peers_.ipv6() && peers_.has_v6(index))
        emit_address(rule, selections, peers_.peer(index).ipv6(), direction);
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
      out.set_peerip(peers_.address(bytes));
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
      if (peers_.own().supports_source_prefixes())
        out.add_sourceprefixes(bytes + static_cast<char>(bytes.size() * 8));
    }
  }

  // ---- who may log in over SSH --------------------------------------------------------------

  void authorize(const pb::PolicyCompact& rule) {
    const std::string any(kAnyLocalUser);
    const std::set<std::string> allowed(peers_.full().allowed_user_ids().begin(),
                                        peers_.full().allowed_user_ids().end());
    if (rule.protocol() != pb::NETBIRD_SSH) {
      const bool implied =
          rule.protocol() == pb::ALL || (rule.protocol() == pb::TCP && lists_ssh(rule));
      if (implied && peers_.own().ssh_enabled()) authorized_[any] = allowed;
      return;
    }
    if (!rule.authorized_groups().empty()) {
      for (const auto& [id, local_users] : rule.authorized_groups()) {
        const auto users = peers_.full().group_id_to_user_ids().find(id);
        if (users == peers_.full().group_id_to_user_ids().end()) continue;
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
    out.set_useridclaim(peers_.full().user_id_claim());
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

  const ComponentPeers& peers_;
  const ComponentPeer me_;
  pb::NetworkMap& out_;
  bool port_ranges_ = false;
  bool native_ssh_ = false;
  std::set<std::tuple<std::string, std::string, int, int, int, std::string>> seen_;
  ComponentPeerSet connected_;
  std::map<std::string, std::set<std::string>> authorized_;  // users by local user
};

}  // namespace

ComponentPeerSet add_peer_rules(const ComponentPeers& peers, pb::NetworkMap& out) {
  return PeerRules(peers, out).run();
}

}  // namespace nb::client
