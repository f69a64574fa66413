#include "management/netmap/ssh_users.h"

#include "management/netmap/ports.h"

#include <string_view>

namespace nb::netmap {
namespace {

using management::UserId;

constexpr std::string_view kAnyLocalUser = "*";
constexpr std::uint16_t kSshPort = 22;
constexpr std::uint16_t kNativeSshPort = 22022;

}  // namespace

SshEffect ssh_effect(const management::PolicyRule& rule) {
  if (rule.protocol == management::kProtocolSsh) return SshEffect::kAlways;
  if (rule.protocol == management::kProtocolAll) return SshEffect::kWhereEnabled;
  const bool covers = rule.protocol == management::kProtocolTcp &&
                      (lists_port(rule, kSshPort) || lists_port(rule, kNativeSshPort));
  return covers ? SshEffect::kWhereEnabled : SshEffect::kNone;
}

void SshUsers::add(const std::string& local_user, const std::vector<UserId>& users) {
  by_local_user_[local_user].insert(users.begin(), users.end());
}

void SshUsers::replace_any(const std::vector<UserId>& users) {
  by_local_user_[std::string(kAnyLocalUser)] = {users.begin(), users.end()};
}

void SshUsers::apply(const management::PolicyRule& rule, const UserIndex& users) {
  if (rule.protocol != management::kProtocolSsh) return replace_any(users.allowed());
  if (!rule.authorized_groups.empty()) {
    for (const auto& [group, local_users] : rule.authorized_groups) {
      const auto& members = users.of_group(group);
      if (members.empty()) continue;
      if (local_users.empty()) add(std::string(kAnyLocalUser), members);
      for (const std::string& local_user : local_users) add(local_user, members);
    }
  } else if (!rule.authorized_user.empty()) {
    add(std::string(kAnyLocalUser), {UserId(rule.authorized_user)});
  } else {
    replace_any(users.allowed());
  }
}

SshAuth SshUsers::result() const {
  SshAuth auth;
  std::map<UserId, std::uint32_t> positions;
  for (const auto& [local_user, users] : by_local_user_) {
    auto& indexes = auth.machine_users[local_user];
    for (const UserId& user : users) {
      const auto next = static_cast<std::uint32_t>(auth.users.size());
      const auto [at, fresh] = positions.emplace(user, next);
      if (fresh) auth.users.push_back(user);
      indexes.push_back(at->second);
    }
  }
  return auth;
}

}  // namespace nb::netmap
