// Test help: edits of one field of one object, or the removal of one object. A whole new object
// hides by everything that it changes what depends on the one field that was overlooked.
#pragma once

#include "management/domain/account_snapshot.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

namespace nb::netmap::test {

/// For accounts of RandomAccount; same seed, same edits.
class RandomEdits {
 public:
  explicit RandomEdits(std::uint64_t seed) : random_(seed) {}
  /// Every kind of object and every field that a map may depend on have their turn.
  [[nodiscard]] management::SnapshotDelta next(const management::AccountSnapshot& account);
  /// What the last one did, for messages of tests.
  [[nodiscard]] const std::string& said() const { return said_; }

 private:
  template <class T>
  struct Field {
    const char* name;
    std::function<void(T&)> edit;
  };
  template <class T>
  using Fields = std::vector<Field<T>>;

  [[nodiscard]] std::size_t below(std::size_t limit) { return random_() % limit; }
  [[nodiscard]] bool chance(double probability) {
    return std::uniform_real_distribution<>(0, 1)(random_) < probability;
  }
  [[nodiscard]] std::string one_of(std::initializer_list<const char*> list) {
    return *(list.begin() + static_cast<std::ptrdiff_t>(below(list.size())));
  }
  static void flip(bool& value) { value = !value; }
  /// An object of the account, or an id of none.
  template <class Table>
  [[nodiscard]] typename Table::Id any_id(const Table& table) {
    using Id = typename Table::Id;
    return table.empty() || chance(0.1) ? Id("nothing") : table[below(table.size())].id;
  }
  /// Puts an id in or takes it out. Lists stay sorted: members of groups are.
  template <class Id, class Table>
  void toggle(std::vector<Id>& list, const Table& table) {
    const Id id = any_id(table);
    if (std::erase(list, id) > 0) return;
    list.insert(std::upper_bound(list.begin(), list.end(), id), id);
  }
  template <class T>
  void apply(const Fields<T>& fields, T& object);
  /// False where there is no object of this kind.
  template <class T>
  [[nodiscard]] bool edit(const char* kind, const management::EntityTable<T>& table,
                          management::EntityChanges<T>& changes, const Fields<T>& fields);

  Fields<management::Account> account_fields();
  Fields<management::User> user_fields();
  Fields<management::Peer> peer_fields();
  Fields<management::Peer> machine_fields();
  Fields<management::Group> group_fields();
  Fields<management::Policy> policy_fields();
  Fields<management::PolicyRule> rule_fields();
  Fields<management::PostureCheck> check_fields();
  Fields<management::Route> route_fields();
  Fields<management::NetworkRouter> router_fields();
  Fields<management::NetworkResource> resource_fields();
  Fields<management::NameServerGroup> name_server_fields();
  Fields<management::DnsZone> zone_fields();
  Fields<management::ProxyService> service_fields();
  Fields<management::ProxyDomain> domain_fields();

  std::mt19937_64 random_;
  const management::AccountSnapshot* account_ = nullptr;  // during next()
  std::uint32_t moved_ = 0;
  std::string said_;
};

}  // namespace nb::netmap::test
