#include "management/netmap/standing.h"

#include <set>

namespace nb::netmap {

Standing::Standing(const MapView& view, PeerIndex target, WallTime now)
    : view_(&view), target_(target), me_(view.peers_->record(target).get()) {
  ssh_enabled_ = me_->peer->ssh_enabled;
  if (!me_->validated) return;
  apply_policies();
  split_connected(now);
}

bool Standing::force_dns_resolution() const {
  return me_->validated && view_->resources_->must_resolve_dns.test(target_);
}

void Standing::apply_policies() {
  const auto& rules = view_->rules_->rules;
  for (std::uint32_t position = 0; position < rules.size(); ++position) {
    const CompiledRule& rule = *rules[position];
    const bool source = rule.sources.test(target_);
    const bool destination = rule.destinations.test(target_);
    if (!source && !destination) continue;
    applied_.push_back({&rule, source, destination});
    if (source) connected_ |= rule.destinations;
    if (destination) connected_ |= rule.sources;
    if (destination) apply_ssh(rule, position);
  }
  connected_.reset(target_);
}

void Standing::apply_ssh(const CompiledRule& rule, std::uint32_t position) {
  if (rule.ssh == SshEffect::kNone) return;
  if (rule.ssh == SshEffect::kWhereEnabled && !me_->peer->ssh_enabled) return;
  ssh_enabled_ = true;
  ssh_rules_.push_back(position);
}

void Standing::split_connected(WallTime now) {
  const auto expired = view_->expired_at(now);
  offline_ = connected_ & expired->peers;
  active_ = connected_ - offline_;
  (active_ & view_->peers_->may_expire).for_each([&](PeerIndex peer) {
    const WallTime deadline = view_->peers_->deadlines[peer];
    if (deadline != WallTime::max() && (!changes_at_ || deadline < *changes_at_))
      changes_at_ = deadline;
  });
}

void Standing::write_checks(std::string& out) const {
  std::set<std::size_t> wanted;
  for (const CheckedPolicy& policy : view_->checks_->policies)
    if (policy.sources.test(target_)) wanted.insert(policy.checks.begin(), policy.checks.end());
  for (const std::size_t check : wanted) out += view_->checks_->checks[check]->element;
}

}  // namespace nb::netmap
