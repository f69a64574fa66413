// The objects of one kind in an account snapshot: sorted by id, shared with the snapshots before
// and after, so that a change copies pointers and not objects.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

namespace nb::management {

/// What happened to the objects of one kind between two snapshots.
template <class T>
struct EntityChanges {
  std::vector<std::shared_ptr<const T>> upserts;
  std::vector<decltype(T::id)> removed;
  [[nodiscard]] bool empty() const { return upserts.empty() && removed.empty(); }
};

/// Immutable in use; iteration gives `const T&` in ascending order of ids.
template <class T>
class EntityTable {
 public:
  using Id = decltype(T::id);
  using Ptr = std::shared_ptr<const T>;

  class Iterator {
   public:
    using iterator_category = std::random_access_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = const T*;
    using reference = const T&;
    Iterator() = default;
    explicit Iterator(const Ptr* at) : at_(at) {}
    reference operator*() const { return **at_; }
    pointer operator->() const { return at_->get(); }
    reference operator[](difference_type n) const { return *at_[n]; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    Iterator operator++(int) { return Iterator(at_++); }
    Iterator& operator--() {
      --at_;
      return *this;
    }
    Iterator operator--(int) { return Iterator(at_--); }
    Iterator& operator+=(difference_type n) {
      at_ += n;
      return *this;
    }
    Iterator& operator-=(difference_type n) {
      at_ -= n;
      return *this;
    }
    friend Iterator operator+(Iterator it, difference_type n) { return it += n; }
    friend Iterator operator+(difference_type n, Iterator it) { return it += n; }
    friend Iterator operator-(Iterator it, difference_type n) { return it -= n; }
    friend difference_type operator-(Iterator a, Iterator b) { return a.at_ - b.at_; }
    friend bool operator==(Iterator, Iterator) = default;
    friend auto operator<=>(Iterator, Iterator) = default;

   private:
    const Ptr* at_ = nullptr;
  };

  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

  EntityTable() = default;
  /// Sorts; of several objects with one id the last counts.
  explicit EntityTable(std::vector<T> items) {
    items_.reserve(items.size());
    for (T& item : items) items_.push_back(std::make_shared<const T>(std::move(item)));
    std::stable_sort(items_.begin(), items_.end(), before);
    // Keep the last of each run: reverse, drop repetitions, reverse.
    std::reverse(items_.begin(), items_.end());
    items_.erase(std::unique(items_.begin(), items_.end(),
                             [](const Ptr& a, const Ptr& b) { return a->id == b->id; }),
                 items_.end());
    std::reverse(items_.begin(), items_.end());
  }

  [[nodiscard]] Iterator begin() const { return Iterator(items_.data()); }
  [[nodiscard]] Iterator end() const { return Iterator(items_.data() + items_.size()); }
  [[nodiscard]] std::size_t size() const { return items_.size(); }
  [[nodiscard]] bool empty() const { return items_.empty(); }
  [[nodiscard]] const T& operator[](std::size_t position) const { return *items_[position]; }
  /// Equal pointers in two tables are the same unchanged object.
  [[nodiscard]] const Ptr& ptr(std::size_t position) const { return items_[position]; }

  /// kNowhere when there is none.
  [[nodiscard]] std::size_t position(const Id& id) const {
    const auto it = lower(id);
    return it != items_.end() && (*it)->id == id ? static_cast<std::size_t>(it - items_.begin())
                                                 : kNowhere;
  }
  /// Null when there is none.
  [[nodiscard]] const T* find(const Id& id) const {
    const auto it = lower(id);
    return it != items_.end() && (*it)->id == id ? it->get() : nullptr;
  }

  /// The table after `changes`; removing what is not there is no error, and what comes as well as
  /// goes stays. Objects in between are not looked at: cost is that of copying their pointers.
  [[nodiscard]] EntityTable with(const EntityChanges<T>& changes) const {
    if (changes.empty()) return *this;
    struct Edit {
      const Id* id;
      const Ptr* item;  // null: removed
    };
    std::vector<Edit> edits;
    for (const Id& id : changes.removed) edits.push_back({&id, nullptr});
    for (const Ptr& item : changes.upserts) edits.push_back({&item->id, &item});
    std::stable_sort(edits.begin(), edits.end(),
                     [](const Edit& a, const Edit& b) { return *a.id < *b.id; });
    EntityTable out;
    out.items_.reserve(items_.size() + changes.upserts.size());
    auto at = items_.begin();
    for (auto edit = edits.begin(); edit != edits.end(); ++edit) {
      if (const auto next = std::next(edit); next != edits.end() && *next->id == *edit->id)
        continue;  // the last one of an id counts
      const auto place =
          std::lower_bound(at, items_.end(), *edit->id,
                           [](const Ptr& item, const Id& wanted) { return item->id < wanted; });
      out.items_.insert(out.items_.end(), at, place);
      at = place;
      if (at != items_.end() && (*at)->id == *edit->id) ++at;
      if (edit->item != nullptr) out.items_.push_back(*edit->item);
    }
    out.items_.insert(out.items_.end(), at, items_.end());
    return out;
  }

 private:
  static bool before(const Ptr& a, const Ptr& b) { return a->id < b->id; }
  [[nodiscard]] auto lower(const Id& id) const {
    return std::lower_bound(items_.begin(), items_.end(), id,
                            [](const Ptr& item, const Id& wanted) { return item->id < wanted; });
  }

  std::vector<Ptr> items_;
};

}  // namespace nb::management
