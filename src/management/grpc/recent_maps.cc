#include "management/grpc/recent_maps.h"

#include "management/netmap/wire.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace nb::management::grpc {
namespace {

/// Messages at the top of an encoded message: peers, routes and rules of a network map.
std::size_t count_messages(std::string_view bytes) {
  using netmap::wire::take_varint;
  constexpr std::uint64_t kVarint = 0;
  constexpr std::uint64_t kBytes = 2;
  std::size_t count = 0;
  while (!bytes.empty()) {
    const std::uint64_t type = take_varint(bytes) & 7U;
    if (type == kVarint) {
      static_cast<void>(take_varint(bytes));
    } else if (type == kBytes) {
      const std::uint64_t size = take_varint(bytes);
      bytes.remove_prefix(std::min<std::uint64_t>(size, bytes.size()));
      ++count;
    } else {
      break;  // we write no others
    }
  }
  return count;
}

/// Of the same object, also when it is gone and another one stands at its address.
template <class T>
bool is(const std::weak_ptr<T>& known, const std::shared_ptr<T>& asked) {
  return !known.owner_before(asked) && !asked.owner_before(known);
}

}  // namespace

PreparedMap::PreparedMap(MadeMap made)
    : map(std::move(made.map)),
      changes_at(made.changes_at),
      digest(map.digest()),
      objects(map.network ? 0 : count_messages(map.map)) {}

bool RecentMaps::same(const Entry& entry, const Source& source) {
  return is(entry.view, source.view) && is(entry.login, source.login) && entry.form == source.form;
}

std::shared_ptr<const PreparedMap> RecentMaps::find(const Source& source, WallTime now) {
  const std::lock_guard lock(mutex_);
  const auto known = by_peer_.find(source.peer.value());
  if (known == by_peer_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, known->second);
  const Entry& entry = *known->second;
  if (!entry.map || !same(entry, source)) return nullptr;
  const bool in_time =
      entry.made_at <= now && (!entry.map->changes_at || now < *entry.map->changes_at);
  return in_time ? entry.map : nullptr;
}

void RecentMaps::drop_oldest() {
  const Entry& oldest = entries_.back();
  if (oldest.map) bytes_ -= oldest.map->size();
  by_peer_.erase(oldest.peer);
  entries_.pop_back();
}

bool RecentMaps::made(const Source& source, WallTime now,
                      const std::shared_ptr<const PreparedMap>& map) {
  const std::size_t size = map->size();
  const std::lock_guard lock(mutex_);
  auto known = by_peer_.find(source.peer.value());
  if (known == by_peer_.end()) {
    if (entries_.size() >= limits_.peers_max) drop_oldest();
    entries_.push_front({.peer = source.peer.value()});
    known = by_peer_.emplace(entries_.front().peer, entries_.begin()).first;
  }
  Entry& entry = *known->second;
  const bool often = entry.made_at <= now && now < entry.made_at + limits_.often;
  const bool keep = (same(entry, source) || often) && size <= limits_.map_bytes_max;
  if (entry.map) bytes_ -= entry.map->size();
  entry.view = source.view;
  entry.login = source.login;
  entry.form = source.form;
  entry.made_at = now;
  entry.map = keep ? map : nullptr;
  if (keep) bytes_ += size;
  while (bytes_ > limits_.bytes_max) drop_oldest();
  return keep;
}

std::size_t RecentMaps::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace nb::management::grpc
