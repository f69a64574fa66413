// Who may log in to the target by SSH.
// Source   contract/network-map.md §2.6.
#pragma once

#include "management/domain/ids.h"
#include "management/netmap/rule_kinds.h"
#include "management/netmap/user_index.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace nb::netmap {

struct SshAuth {
  std::vector<management::UserId> users;
  /// Local user of the machine, or "*" for any, to positions in `users`.
  std::map<std::string, std::vector<std::uint32_t>> machine_users;
};

/// What a rule with the target among its destinations does for the target's SSH server.
enum class SshEffect : std::uint8_t {
  kNone,
  kWhereEnabled,  // lets everybody in, where the peer's own setting has SSH on
  kAlways,        // netbird-ssh: switches it on
};
[[nodiscard]] SshEffect ssh_effect(const management::PolicyRule& rule);

/// Gathers what such rules allow, in the order of rules.
class SshUsers {
 public:
  /// A rule whose effect applies to the target.
  void apply(const management::PolicyRule& rule, const UserIndex& users);
  [[nodiscard]] SshAuth result() const;

 private:
  void add(const std::string& local_user, const std::vector<management::UserId>& users);
  void replace_any(const std::vector<management::UserId>& users);

  std::map<std::string, std::set<management::UserId>> by_local_user_;
};

}  // namespace nb::netmap
