#include "management/netmap/view_builder.h"

#include "management/netmap/posture.h"
#include "management/netmap/same_objects.h"
#include "management/netmap/wire.h"

#include <algorithm>
#include <numeric>

namespace nb::netmap {
namespace {

using management::Group;
using management::GroupId;
using management::Peer;
using management::PeerId;

constexpr std::int64_t kForwarderPort = 22054;
constexpr std::int64_t kForwarderPortOld = 5353;
constexpr std::size_t kNowhere = management::EntityTable<Peer>::kNowhere;

}  // namespace

ViewBuilder::ViewBuilder(const MapView* before, management::AccountSnapshotPtr next,
                         const MapViewOptions& options)
    : before_(before), view_(new MapView), account_(*next) {
  view_->snapshot_ = std::move(next);
  view_->options_ = options;
  view_->dns_domain_ = account_.account.dns_domain(options.dns_domain);
}

std::shared_ptr<const MapView> ViewBuilder::build() {
  build_slots();
  build_groups();
  build_peers();
  build_globals();
  build_checks();
  build_rules();
  build_checked_policies();
  build_routes();
  build_resources();
  build_names();
  view_->peers_ = std::move(peers_);
  view_->groups_ = std::move(groups_);
  view_->checks_ = std::move(checks_);
  view_->rules_ = std::move(rules_);
  view_->routes_ = std::move(routes_);
  view_->resources_ = std::move(resources_);
  view_->names_ = std::move(names_);
  return std::move(view_);
}

void ViewBuilder::build_slots() {
  const auto& table = account_.peers;
  peers_->slot_of.resize(table.size());
  old_position_.assign(table.size(), kNowhere);
  if (before_ == nullptr) {
    std::iota(peers_->slot_of.begin(), peers_->slot_of.end(), PeerIndex{0});
    peers_->slots = table.size();
    added_.resize(table.size());
    std::iota(added_.begin(), added_.end(), std::size_t{0});
    return;
  }
  const auto& old_table = before_->snapshot_->peers;
  const PeerPart& old = *before_->peers_;
  std::size_t j = 0;
  // Both tables are sorted: one walk.
  for (std::size_t i = 0; i < table.size(); ++i) {
    while (j < old_table.size() && old_table.ptr(j) != table.ptr(i) &&
           old_table[j].id < table[i].id)
      removed_.set(old.slot_of[j++]);
    if (j < old_table.size() &&
        (old_table.ptr(j) == table.ptr(i) || old_table[j].id == table[i].id)) {
      if (old_table.ptr(j) != table.ptr(i)) replaced_.push_back(i);
      old_position_[i] = j;
      peers_->slot_of[i] = old.slot_of[j++];
    } else {
      added_.push_back(i);
    }
  }
  for (; j < old_table.size(); ++j) removed_.set(old.slot_of[j]);
  // A slot that gets free now is given away by the next view at the earliest, so that between two
  // views a slot means one peer.
  peers_->free = old.free;
  auto slots = static_cast<PeerIndex>(old.slots);
  for (const std::size_t position : added_) {
    if (peers_->free.empty()) {
      peers_->slot_of[position] = slots++;
    } else {
      peers_->slot_of[position] = peers_->free.back();
      peers_->free.pop_back();
    }
  }
  removed_.for_each([&](PeerIndex free) { peers_->free.push_back(free); });
  std::ranges::sort(peers_->free, std::greater<>());
  peers_->slots = slots;
}

PeerIndex ViewBuilder::slot(const PeerId& id) const {
  const std::size_t position = account_.peers.position(id);
  return position == kNowhere ? kNoPeer : peers_->slot_of[position];
}

Bits ViewBuilder::group_members(const Group& group) const {
  Bits out;
  const auto& table = account_.peers;
  // Large groups: one walk over two sorted lists; small ones: a search each.
  if (group.peers.size() * 8 < table.size() || !std::ranges::is_sorted(group.peers)) {
    for (const PeerId& id : group.peers)
      if (const PeerIndex peer = slot(id); peer != kNoPeer) out.set(peer);
    return out;
  }
  std::size_t position = 0;
  for (const PeerId& id : group.peers) {
    while (position < table.size() && table[position].id < id) ++position;
    if (position == table.size()) break;
    if (table[position].id == id) out.set(peers_->slot_of[position]);
  }
  return out;
}

std::shared_ptr<const GroupRecord> ViewBuilder::group_record(std::size_t position) const {
  const auto& group = account_.groups.ptr(position);
  std::shared_ptr<const GroupRecord> old;
  if (before_ != nullptr) {
    const std::size_t at = before_->snapshot_->groups.position(group->id);
    if (at != before_->snapshot_->groups.kNowhere) old = before_->groups_->groups[at];
  }
  const auto joins = [&](std::size_t peer) {
    return std::ranges::binary_search(group->peers, account_.peers[peer].id);
  };
  if (old != nullptr && old->group == group && !old->members.intersects(removed_) &&
      std::ranges::none_of(added_, joins))
    return old;
  auto made = std::make_shared<GroupRecord>();
  made->group = group;
  made->members = group_members(*group);
  return made;
}

const GroupRecord* ViewBuilder::group(const GroupId& id) const {
  const std::size_t position = account_.groups.position(id);
  return position == account_.groups.kNowhere ? nullptr : groups_->groups[position].get();
}

Bits ViewBuilder::members(const GroupList& list) const {
  Bits out;
  for (const GroupId& id : list)
    if (const GroupRecord* const found = group(id)) out |= found->members;
  return out;
}

void ViewBuilder::build_groups() {
  for (std::size_t position = 0; position < account_.groups.size(); ++position) {
    groups_->groups.push_back(group_record(position));
    for (const auto& resource : account_.groups[position].resources)
      groups_of_resource_[resource.id].push_back(position);
  }
  groups_->in_ipv6_group = members(account_.account.settings.ipv6_enabled_groups);
  groups_->without_dns = members(account_.account.dns_disabled_management_groups);
}

void ViewBuilder::build_peers() {
  const PeerContext context{account_.account.settings, view_->dns_domain_};
  const bool ipv6 = !account_.account.settings.ipv6_enabled_groups.empty();
  const bool same_context =
      before_ != nullptr &&
      AccountSettingsOfPeers(account_.account, view_->dns_domain_) ==
          AccountSettingsOfPeers(before_->snapshot_->account, before_->dns_domain_) &&
      ipv6 != before_->snapshot_->account.settings.ipv6_enabled_groups.empty();
  if (before_ != nullptr) {
    const PeerPart& old = *before_->peers_;
    peers_->chunks = old.chunks;
    peers_->deadlines = old.deadlines;
    peers_->present = old.present - removed_;
    peers_->validated = old.validated - removed_;
    peers_->stored_as_expired = old.stored_as_expired - removed_;
    peers_->may_expire = old.may_expire - removed_;
    peers_->old_forwarder = old.old_forwarder - removed_;
  }
  peers_->deadlines.resize(peers_->slots, WallTime::max());
  if (!same_context) {
    for (std::size_t position = 0; position < account_.peers.size(); ++position)
      build_peer(position, context);
  } else {
    for (const std::size_t position : added_) build_peer(position, context);
    for (const std::size_t position : replaced_) build_peer(position, context);
    const Bits moved = groups_->in_ipv6_group ^ before_->groups_->in_ipv6_group;
    for (std::size_t position = 0; !moved.none() && position < account_.peers.size(); ++position)
      if (moved.test(peers_->slot_of[position])) build_peer(position, context);
  }
  changed_looks_ |= removed_;
  build_chunks();
}

void ViewBuilder::build_peer(std::size_t position, const PeerContext& context) {
  const auto& peer = account_.peers.ptr(position);
  const PeerIndex at = peers_->slot_of[position];
  const bool ipv6_group =
      groups_->in_ipv6_group.test(at) ||
      (peer->proxy_embedded && !account_.account.settings.ipv6_enabled_groups.empty());
  const PeerRecordPtr old =
      old_position_[position] == kNowhere ? nullptr : before_->peers_->record(at);
  const auto record = std::make_shared<const PeerRecord>(peer, context, ipv6_group);
  if (old == nullptr || !record->acts_like(*old)) {  // otherwise no map shows what is new
    new_records_[at] = record;
    if (old == nullptr || !record->looks_like(*old)) changed_looks_.set(at);
  }
  const auto put = [&](Bits& bits, bool value) {
    if (value)
      bits.set(at);
    else
      bits.reset(at);
  };
  peers_->deadlines[at] = record->deadline.value_or(WallTime::max());
  peers_->present.set(at);
  put(peers_->validated, record->validated);
  put(peers_->stored_as_expired, record->stored_as_expired);
  put(peers_->may_expire, record->deadline || record->stored_as_expired);
  put(peers_->old_forwarder, !record->features.new_forwarder);
}

void ViewBuilder::build_chunks() {
  std::map<std::size_t, PeerChunk::Records> changed;
  const auto records_of = [&](PeerIndex slot) -> PeerChunk::Records& {
    const std::size_t chunk = slot / PeerChunk::kPeers;
    const auto [at, fresh] = changed.try_emplace(chunk);
    if (fresh && chunk < peers_->chunks.size()) at->second = peers_->chunks[chunk]->records();
    return at->second;
  };
  removed_.for_each([&](PeerIndex slot) { records_of(slot)[slot % PeerChunk::kPeers] = nullptr; });
  for (const auto& [slot, record] : new_records_)
    records_of(slot)[slot % PeerChunk::kPeers] = record;
  peers_->chunks.resize((peers_->slots + PeerChunk::kPeers - 1) / PeerChunk::kPeers);
  for (auto& [chunk, records] : changed)
    peers_->chunks[chunk] = std::make_shared<const PeerChunk>(std::move(records));
}

void ViewBuilder::build_globals() {
  const bool all_new = !account_.peers.empty() && peers_->old_forwarder.none();
  view_->forwarder_port_ = all_new ? kForwarderPort : kForwarderPortOld;
  const auto& account = account_.account;
  const auto& settings = account.settings;
  std::string text = view_->dns_domain_;
  const auto add = [&](std::string_view value) {
    text.push_back('\n');
    text += value;
  };
  for (const std::int64_t number :
       {view_->forwarder_port_, std::int64_t{account.network.net.length},
        std::int64_t{account.network.net_v6.length}, settings.peer_login_expiration.count()})
    add(std::to_string(number));
  for (const bool flag :
       {account.network.net_v6.is_set(), settings.peer_login_expiration_enabled,
        settings.routing_peer_dns_resolution_enabled, settings.lazy_connection_enabled,
        settings.auto_update_always, settings.extra_peer_approval_enabled})
    add(flag ? "1" : "0");
  add(settings.auto_update_version);
  view_->globals_ = std::move(text);
  if (before_ != nullptr && same_table(account_.users, before_->snapshot_->users) &&
      same_table(account_.groups, before_->snapshot_->groups)) {
    view_->users_ = before_->users_;
    return;
  }
  auto users = std::make_shared<const UserIndex>(account_);
  view_->users_ =
      before_ != nullptr && *before_->users_ == *users ? before_->users_ : std::move(users);
}

void ViewBuilder::build_checks() {
  for (std::size_t position = 0; position < account_.posture_checks.size(); ++position) {
    const auto& check = account_.posture_checks.ptr(position);
    std::shared_ptr<const CheckRecord> old;
    if (before_ != nullptr) {
      const std::size_t at = before_->snapshot_->posture_checks.position(check->id);
      if (at != before_->snapshot_->posture_checks.kNowhere) old = before_->checks_->checks[at];
    }
    const bool same = old != nullptr && old->check->checks == check->checks;
    CheckRecord made{
        .check = check, .failing = same ? old->failing - removed_ : Bits{}, .element = {}};
    const auto judge = [&](std::size_t peer) {
      const PeerIndex at = peers_->slot_of[peer];
      if (passes(check->checks, account_.peers[peer]))
        made.failing.reset(at);
      else
        made.failing.set(at);
    };
    if (same) {
      std::ranges::for_each(added_, judge);
      std::ranges::for_each(replaced_, judge);
    } else {
      for (std::size_t peer = 0; peer < account_.peers.size(); ++peer) judge(peer);
    }
    if (same && made.failing == old->failing) {
      checks_->checks.push_back(std::move(old));
      continue;
    }
    std::string files;
    for (const std::string& file : checked_files(check->checks)) wire::put_element(files, 1, file);
    if (!files.empty()) wire::put_element(made.element, 6, files);
    checks_->checks.push_back(std::make_shared<const CheckRecord>(std::move(made)));
  }
}

Bits ViewBuilder::failing(const management::Policy& policy) const {
  Bits out;
  for (const auto& id : policy.source_posture_checks) {
    const std::size_t position = account_.posture_checks.position(id);
    if (position != account_.posture_checks.kNowhere) out |= checks_->checks[position]->failing;
  }
  return out;
}

}  // namespace nb::netmap
