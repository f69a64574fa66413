// Test help: a component map, calculated as agents do, against the legacy map of the same peer.
#pragma once

#include "client/component_map.h"
#include "crypto/encoding.h"
#include "management/domain/account_snapshot.h"
#include "management/grpc/test_canonical_map.h"
#include "management/netmap/component_index.h"

#include <google/protobuf/util/message_differencer.h>

#include <map>
#include <string>

namespace nb::management::grpc::test {

/// The ids of a legacy map as receivers of components see them: public, peers by their keys.
class PublicIds {
 public:
  explicit PublicIds(const AccountSnapshot& account) {
    for (const Policy& policy : account.policies) {
      std::size_t number = 0;
      for (const PolicyRule& rule : policy.rules) {
        if (!netmap::usable(rule)) continue;
        std::string id = netmap::component_id(policy);
        if (++number > 1) id += '-' + std::to_string(number);
        rules_[rule.id.value()] = id;
        // A route rule names the policy, so those of later rules of a policy do not tell.
        if (number == 1) policies_[policy.id.value()] = id;
      }
      several_[policy.id.value()] = number > 1;
    }
    for (const auto& route : account.routes)
      routes_[route.id.value()] = netmap::component_id(route);
    for (const auto& one : account.resources) routes_[one.id.value()] = netmap::component_id(one);
    for (const Peer& peer : account.peers) keys_[peer.id.value()] = peer.key.value();
  }

  [[nodiscard]] std::string rule(const std::string& id) const { return found(rules_, id); }
  /// Rules of one policy are not told apart: both sides say the policy's.
  [[nodiscard]] std::string policy(const std::string& id) const { return found(policies_, id); }
  [[nodiscard]] std::string first_rule(const std::string& id) const {
    for (const auto& [policy, first] : policies_)
      if (several_.at(policy) && id.starts_with(first + '-')) return first;
    return id;
  }
  /// "route", "route:peer", either with a suffix of its IPv6 companion.
  [[nodiscard]] std::string route(std::string id) const {
    std::string suffix;
    constexpr std::string_view kCompanion = "-v6-default";
    if (id.ends_with(kCompanion)) {
      suffix = kCompanion;
      id.resize(id.size() - kCompanion.size());
    }
    const auto colon = id.find(':');
    if (colon == id.npos) return found(routes_, id) + suffix;
    return found(routes_, id.substr(0, colon)) + ':' + found(keys_, id.substr(colon + 1)) + suffix;
  }

 private:
  using Ids = std::map<std::string, std::string>;
  static std::string found(const Ids& ids, const std::string& id) {
    const auto at = ids.find(id);
    return at == ids.end() ? id : at->second;
  }
  Ids rules_;
  Ids policies_;
  Ids routes_;
  Ids keys_;
  std::map<std::string, bool> several_;
};

/// Empty when both SyncResponses mean the same for `peer`.
inline std::string expansion_difference(const AccountSnapshot& account, const Peer& peer,
                                        const std::string& legacy, const std::string& components,
                                        WallTime now) {
  ::management::SyncResponse wanted;
  ::management::SyncResponse got;
  if (!wanted.ParseFromString(legacy) || !got.ParseFromString(components)) return "not a message";
  if (got.version() != 1 || got.has_networkmap()) return "not a component map";
  const auto map = client::expand_components(got.networkmapenvelope(),
                                             *crypto::from_base64(peer.key.value()), now);
  if (!map) return map.error().text;
  got.clear_networkmapenvelope();
  got.clear_version();
  *got.mutable_networkmap() = *map;
  // Only of the legacy message: what agents older than the component form read.
  wanted.clear_remotepeersisempty();
  wanted.clear_remotepeers();
  const PublicIds ids(account);
  for (auto& rule : *wanted.mutable_networkmap()->mutable_firewallrules())
    rule.set_policyid(ids.rule(rule.policyid()));
  for (auto& route : *wanted.mutable_networkmap()->mutable_routes())
    route.set_id(ids.route(route.id()));
  for (auto& rule : *wanted.mutable_networkmap()->mutable_routesfirewallrules()) {
    rule.set_policyid(ids.policy(rule.policyid()));
    rule.set_routeid(ids.route(rule.routeid()));
  }
  for (auto& rule : *got.mutable_networkmap()->mutable_routesfirewallrules())
    rule.set_policyid(ids.first_rule(rule.policyid()));
  std::string out;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&out);
  return differencer.Compare(canonical(std::move(wanted)), canonical(std::move(got)))
             ? std::string{}
             : out.substr(0, 2'000);
}

}  // namespace nb::management::grpc::test
