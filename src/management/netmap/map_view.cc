#include "management/netmap/map_view.h"

#include "management/netmap/component_index.h"
#include "management/netmap/view_builder.h"
#include "management/netmap/view_diff.h"
#include "management/netmap/wire.h"

#include <algorithm>
#include <utility>

namespace nb::netmap {
namespace {

/// Ways in which SSH users are combined; each is a set of rules, and few differ in practice.
constexpr std::size_t kSshAuthsMax = 4'096;

}  // namespace

ViewUpdate MapView::update(const MapViewPtr& before, management::AccountSnapshotPtr next,
                           const MapViewOptions& options) {
  ViewUpdate out;
  out.view = ViewBuilder(before.get(), std::move(next), options).build();
  if (before == nullptr) return out;
  const ViewDiff diff(*before, *out.view);
  out.everyone = diff.everyone();
  out.affected = diff.affected();
  return out;
}

PeerIndex MapView::find(const management::PeerId& id) const {
  const std::size_t position = snapshot_->peers.position(id);
  return position == snapshot_->peers.kNowhere ? kNoPeer : peers_->slot_of[position];
}

bool MapView::irregular(PeerIndex slot) const {
  if (rules_->irregular.test(slot)) return true;
  return rules_->direct_source_with_checks &&
         std::ranges::any_of(routes_->routes, [&](const auto& record) {
           return (record->by_group.test(slot) || record->peer == slot) && record->route->enabled &&
                  !record->route->access_control_groups.empty();
         });
}

std::shared_ptr<const AccountView> MapView::plain() const {
  const std::scoped_lock lock(mutex_);
  if (plain_ == nullptr)
    plain_ = std::make_shared<const AccountView>(snapshot_, options_.dns_domain);
  return plain_;
}

std::shared_ptr<const ComponentIndex> MapView::components() const {
  const std::scoped_lock lock(components_mutex_);
  if (components_ == nullptr) components_ = std::make_shared<const ComponentIndex>(*this);
  return components_;
}

std::shared_ptr<const MapView::Expired> MapView::expired_at(WallTime now) const {
  const std::scoped_lock lock(mutex_);
  if (expired_ != nullptr && expired_->from <= now && now < expired_->until) return expired_;
  auto made = std::make_shared<Expired>();
  made->from = now;
  made->peers = peers_->stored_as_expired;
  peers_->may_expire.for_each([&](PeerIndex slot) {
    const WallTime deadline = peers_->deadlines[slot];
    if (deadline <= now)
      made->peers.set(slot);
    else if (!made->peers.test(slot))
      made->until = std::min(made->until, deadline);
  });
  expired_ = std::move(made);
  return expired_;
}

std::shared_ptr<const std::string> MapView::ssh_auth(
    const std::vector<std::uint32_t>& rules) const {
  const std::scoped_lock lock(mutex_);
  if (const auto found = ssh_auths_.find(rules); found != ssh_auths_.end()) return found->second;
  SshUsers users;
  for (const std::uint32_t position : rules) users.apply(rules_->rules[position]->rule(), *users_);
  const SshAuth auth = users.result();
  std::string out;
  wire::put_bytes(out, 1, options_.user_id_claim);
  for (const auto& user : auth.users) wire::put_element(out, 2, options_.user_hash(user));
  for (const auto& [local_user, indexes] : auth.machine_users) {
    std::string packed;
    for (const std::uint32_t index : indexes) wire::put_varint(packed, index);
    std::string value;
    wire::put_bytes(value, 1, packed);
    std::string entry;  // of a map field: key and value are there even when empty
    wire::put_element(entry, 1, local_user);
    wire::put_element(entry, 2, value);
    wire::put_element(out, 3, entry);
  }
  if (ssh_auths_.size() >= kSshAuthsMax) ssh_auths_.clear();
  return ssh_auths_.emplace(rules, std::make_shared<const std::string>(std::move(out)))
      .first->second;
}

}  // namespace nb::netmap
