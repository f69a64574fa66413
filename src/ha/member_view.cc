#include "ha/member_view.h"

#include <algorithm>
#include <set>
#include <utility>

namespace nb::ha {
namespace {
constexpr std::chrono::hours kListedAfterDeath{1};
constexpr std::size_t kMembersMax = 1000;
}  // namespace

std::optional<std::string> MemberTable::nonce(const std::string& id, Instant now) {
  const auto it = alive.find(id);
  if (it == alive.end()) return std::nullopt;
  if (it->second.expires <= now) {
    alive.erase(it);
    return std::nullopt;
  }
  return it->second.nonce;
}

BeatReply MemberTable::beat(const BeatRequest& request, Instant now) {
  BeatReply reply;
  const std::string& id = request.self.value();
  reply.previous = nonce(id, now);
  if (!request.watch) {
    alive[id] = {request.incarnation.value(), now + request.ttl};
    listed[id] = now + request.ttl;
    metadata[id] = request.metadata;
  }
  std::erase_if(listed, [&](const auto& entry) {
    const bool old = entry.second + kListedAfterDeath < now;
    if (old) metadata.erase(entry.first);
    return old;
  });
  std::set<std::string> ids;
  for (const auto& known : request.known) ids.insert(known.value());
  for (const auto& [listed_id, deadline] : listed) {
    if (ids.size() < kMembersMax) ids.insert(listed_id);
  }
  for (const auto& member : ids) {
    SeenMember seen{InstanceId{member}, listed.contains(member), nonce(member, now), {}, {}};
    if (seen.nonce) {
      seen.remaining =
          std::chrono::duration_cast<std::chrono::milliseconds>(alive[member].expires - now);
    }
    if (const auto it = metadata.find(member); it != metadata.end()) seen.metadata = it->second;
    reply.members.push_back(std::move(seen));
  }
  return reply;
}

void MemberTable::leave(const InstanceId& self, const Incarnation& incarnation, Instant now) {
  if (nonce(self.value(), now) != incarnation.value()) return;  // a successor has our id already
  alive.erase(self.value());
  listed.erase(self.value());
  metadata.erase(self.value());
}

MemberView::MemberView(InstanceId self, Incarnation incarnation, MembershipConfig config)
    : self_(std::move(self)), incarnation_(std::move(incarnation)), config_(std::move(config)) {}

BeatRequest MemberView::request() const {
  BeatRequest request{self_, incarnation_, config_.metadata, config_.ttl, duplicate_, {}};
  for (const auto& [id, member] : others_) request.known.push_back(id);
  return request;
}

Beat MemberView::on_reply(const BeatReply& reply, Instant asked, Instant now) {
  Beat beat;
  beat.store_lost = answered_ && !reply.previous && !duplicate_;
  const bool was_deaf = answered_ && now - *answered_ > config_.ttl;
  judge_rival(reply.previous, now);
  if (beat.store_lost) store_lost_ = now;
  if (beat.store_lost || was_deaf) {
    // Everybody's key may be gone for the reason ours is. Who was alive when we last knew has one
    // TTL from now to be seen again (contract/signal-relay-ops.md §7.6, FLUSHALL).
    for (auto& [id, member] : others_) {
      if (member.expires > *answered_) member.expires = std::max(member.expires, now + config_.ttl);
    }
  }
  answered_ = now;
  const bool all_may_be_gone = store_lost_ && now - *store_lost_ <= config_.ttl;
  for (const auto& seen : reply.members) {
    if (seen.id == self_) continue;
    if (seen.nonce) {
      others_[seen.id] = {seen.id, Incarnation{*seen.nonce}, seen.metadata,
                          asked + std::min(seen.remaining, config_.ttl * 10)};
    } else if (!seen.listed && !all_may_be_gone) {
      others_.erase(seen.id);  // it left
    }
  }
  std::erase_if(others_, [&](const auto& entry) { return entry.second.expires <= now; });
  return beat;
}

void MemberView::judge_rival(const std::optional<std::string>& previous, Instant now) {
  // contract/signal-relay-ops.md §2.2 S21. A predecessor's nonce is seen once, since we overwrite
  // it; one that comes back belongs to a living process.
  const bool foreign = previous && *previous != incarnation_.value();
  if (foreign) {
    if (!rival_ || rival_->nonce != *previous) rival_ = Rival{*previous, now, now, 0};
    rival_->last = now;
    rival_->sightings++;
    const bool proven = rival_->sightings >= 2 && now - rival_->first >= config_.ttl;
    if (proven) (incarnation_.value() > rival_->nonce ? duplicate_ : contested_) = true;
    return;
  }
  if (duplicate_) {  // we only watch: the rival's key is gone
    duplicate_ = false;
    rival_.reset();
  }
  if (rival_ && now - rival_->last > config_.ttl) {
    contested_ = false;
    rival_.reset();
  }
}

void MemberView::on_left() {
  answered_.reset();
  store_lost_.reset();
  rival_.reset();
  others_.clear();
  duplicate_ = contested_ = false;
}

bool MemberView::living(const Member& member, Instant now) const {
  // While deaf, time stands still: silence of the store says nothing about others.
  const Instant until = fresh(now) ? now : answered_.value_or(now);
  return member.expires > until;
}

bool MemberView::alive(const InstanceId& instance, Instant now) const {
  if (instance == self_) return true;
  const auto it = others_.find(instance);
  return it != others_.end() && living(it->second, now);
}

bool MemberView::alive(const Claim& claim, Instant now) const {
  if (!alive(claim.instance, now)) return false;
  const std::string& newest = claim.instance == self_
                                  ? incarnation_.value()
                                  : others_.at(claim.instance).incarnation.value();
  return claim.incarnation.value() >= newest;
}

std::vector<Member> MemberView::members(Instant now) const {
  std::vector<Member> all{{self_, incarnation_, config_.metadata, now + config_.ttl}};
  for (const auto& [id, member] : others_) {
    if (living(member, now)) all.push_back(member);
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return all;
}

bool MemberView::fresh(Instant now) const {
  return answered_ && now - *answered_ <= config_.ttl;
}

}  // namespace nb::ha
