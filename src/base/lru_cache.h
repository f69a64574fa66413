// A bounded map that forgets the least recently used entry.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace nb {

/// Lets string keys be looked up by string_view.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

/// Not thread-safe: one per loop. Expiry is the caller's: store the time in the value.
template <class Key, class Value, class Hash = std::hash<Key>>
class LruCache {
 public:
  explicit LruCache(std::size_t entries_max) : entries_max_(entries_max == 0 ? 1 : entries_max) {}

  /// Null when absent; otherwise marks it as used. Valid until the next put() or erase().
  template <class K>
  Value* find(const K& key) {
    const auto it = index_.find(key);
    if (it == index_.end()) return nullptr;
    order_.splice(order_.begin(), order_, it->second);
    return &it->second->second;
  }
  Value& put(Key key, Value value) {
    if (Value* known = find(key)) return *known = std::move(value);
    if (order_.size() >= entries_max_) {
      index_.erase(order_.back().first);
      order_.pop_back();
      ++evicted_;
    }
    order_.emplace_front(key, std::move(value));
    index_.emplace(std::move(key), order_.begin());
    return order_.front().second;
  }
  template <class K>
  bool erase(const K& key) {
    const auto it = index_.find(key);
    if (it == index_.end()) return false;
    order_.erase(it->second);
    index_.erase(it);
    return true;
  }
  void clear() {
    index_.clear();
    order_.clear();
  }
  [[nodiscard]] std::size_t size() const { return order_.size(); }
  [[nodiscard]] std::size_t evicted() const { return evicted_; }

 private:
  using Entries = std::list<std::pair<Key, Value>>;
  std::size_t entries_max_;
  std::size_t evicted_ = 0;
  Entries order_;  // most recent first
  std::unordered_map<Key, typename Entries::iterator, Hash, std::equal_to<>> index_;
};

}  // namespace nb
