// Test help: random accounts in which everything is mixed, dangling ids included, and random
// changes to them. Same seed, same account.
#pragma once

#include "management/domain/account_snapshot.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace nb::netmap::test {

class RandomAccount {
 public:
  explicit RandomAccount(std::uint64_t seed) : random_(seed) {}

  [[nodiscard]] management::AccountSnapshotPtr make();
  /// One change of one kind of object; mostly one that a map depends on.
  [[nodiscard]] management::SnapshotDelta change(const management::AccountSnapshot& account);
  /// A change that no map may notice.
  [[nodiscard]] management::SnapshotDelta noise(const management::AccountSnapshot& account);

 private:
  using GroupIds = std::vector<management::GroupId>;

  [[nodiscard]] std::size_t below(std::size_t limit) { return random_() % limit; }
  [[nodiscard]] bool chance(double probability) {
    return std::uniform_real_distribution<>(0, 1)(random_) < probability;
  }
  template <class T>
  [[nodiscard]] const T& one_of(const std::vector<T>& list) {
    return list[below(list.size())];
  }
  [[nodiscard]] std::string one_of(std::initializer_list<const char*> list) {
    return *(list.begin() + static_cast<std::ptrdiff_t>(below(list.size())));
  }
  [[nodiscard]] std::string id(const char* kind, std::size_t count);
  [[nodiscard]] GroupIds some_groups(std::size_t max);
  [[nodiscard]] management::Resource some_peer();

  management::Account account();
  management::User user(std::size_t number);
  management::Peer peer(std::size_t number);
  management::Group group(std::size_t number);
  management::Policy policy(std::size_t number);
  management::PolicyRule rule(const std::string& id);
  management::PostureCheck check(std::size_t number);
  management::Route route(std::size_t number);
  management::NetworkRouter router(std::size_t number);
  management::NetworkResource resource(std::size_t number);
  management::NameServerGroup name_servers(std::size_t number);
  management::DnsZone zone(std::size_t number);
  management::ProxyService service(std::size_t number);

  std::mt19937_64 random_;
  std::size_t peers_ = 0;
  std::size_t groups_ = 0;
  std::int64_t order_ = 0;
};

}  // namespace nb::netmap::test
