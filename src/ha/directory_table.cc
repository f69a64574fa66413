#include "ha/directory_table.h"

#include <algorithm>
#include <utility>

namespace nb::ha {
namespace {

const std::string* at(const std::map<std::string, std::string>& map, const PeerKey& peer) {
  const auto it = map.find(peer.value());
  return it == map.end() ? nullptr : &it->second;
}

std::optional<Claim> parsed(const std::string* text) {
  return text ? parse_token(*text) : std::nullopt;
}

}  // namespace

Holder make_holder(const std::string& instance, const std::string* epoch) {
  auto claim = parsed(epoch);
  if (claim && claim->instance.value() != instance) claim.reset();
  return {InstanceId{instance}, std::move(claim)};
}

void DirectoryTable::set(const PeerKey& peer, const Claim& claim) {
  registry[peer.value()] = claim.instance.value();
  epochs[peer.value()] = token(claim);
}

Claimed DirectoryTable::claim(const PeerKey& peer, Claim claim) {
  Claimed result;
  result.previous = find(peer);
  // Counted on from any token, also one whose field was deleted.
  if (const auto before = parsed(at(epochs, peer)); before && before->seq + 1 < kClaimSeqEnd) {
    claim.seq = std::max(claim.seq, before->seq + 1);
  }
  set(peer, claim);
  result.claim = std::move(claim);
  return result;
}

bool DirectoryTable::release(const PeerKey& peer, const Claim& claim) {
  if (at(epochs, peer)) return forget(peer, {claim.instance, claim});
  return forget(peer, {claim.instance, std::nullopt});  // somebody deleted our token
}

std::optional<Holder> DirectoryTable::find(const PeerKey& peer) const {
  const auto* instance = at(registry, peer);
  if (!instance) return std::nullopt;
  return make_holder(*instance, at(epochs, peer));
}

Reasserted DirectoryTable::reassert(const PeerKey& peer, const Claim& claim) {
  const auto* instance = at(registry, peer);
  const auto* epoch = at(epochs, peer);
  if (epoch && *epoch == token(claim)) {
    if (instance && *instance == claim.instance.value()) return {Kept::kKept, {}};
    set(peer, claim);  // an outsider deleted or overwrote the field
    return {Kept::kRestored, {}};
  }
  // The newest claim known stands, also one whose field was deleted. Of two equal sequences the
  // stored one stands, so that nobody flips to and fro.
  const auto stored = parsed(epoch);
  if (stored && stored->seq >= claim.seq) return {Kept::kLost, Holder{stored->instance, stored}};
  if (instance && *instance != claim.instance.value() &&
      !(stored && stored->instance.value() == *instance)) {
    return {Kept::kLost, Holder{InstanceId{*instance}, std::nullopt}};
  }
  set(peer, claim);
  return {Kept::kRestored, {}};
}

bool DirectoryTable::forget(const PeerKey& peer, const Holder& seen) {
  const auto* instance = at(registry, peer);
  const auto* epoch = at(epochs, peer);
  const bool same_field = instance && *instance == seen.instance.value();
  if (seen.claim) {
    if (!epoch || *epoch != token(*seen.claim)) return false;
    epochs.erase(peer.value());
  } else {
    if (!same_field) return false;
    const auto stored = parsed(epoch);
    if (stored && stored->instance == seen.instance) return false;  // claimed properly since
    if (epoch && !stored) epochs.erase(peer.value());
  }
  if (same_field) registry.erase(peer.value());
  return true;
}

DirectoryPage DirectoryTable::scan(const std::string& cursor, std::size_t limit) const {
  DirectoryPage page;
  auto it = cursor.empty() ? registry.begin() : registry.upper_bound(cursor);
  for (; it != registry.end() && page.entries.size() < limit; ++it) {
    const PeerKey peer{it->first};
    page.entries.push_back({peer, make_holder(it->second, at(epochs, peer))});
  }
  if (it != registry.end() && !page.entries.empty()) page.next = page.entries.back().peer.value();
  return page;
}

}  // namespace nb::ha
