#include "management/app/stream_rights.h"

#include <cstddef>

namespace nb::management::app {
namespace {

bool same_users(const AccountSnapshot& a, const AccountSnapshot& b) {
  if (a.users.size() != b.users.size()) return false;
  for (std::size_t i = 0; i < a.users.size(); ++i)
    if (a.users.ptr(i) != b.users.ptr(i)) return false;
  return true;
}

}  // namespace

bool may_have_stream(const AccountSnapshot& account, const Peer& peer) {
  if (peer.user_id.empty()) return true;
  if (peer.status.login_expired) return false;
  const User* const owner = account.user(peer.user_id);
  return owner != nullptr && !owner->blocked;
}

std::vector<std::string> lost_rights(const AccountSnapshot& before, const AccountSnapshot& after) {
  const bool users_differ = !same_users(before, after);
  std::vector<std::string> out;
  std::size_t j = 0;
  for (std::size_t i = 0; i < before.peers.size(); ++i) {
    if (!users_differ && j < after.peers.size() && before.peers.ptr(i) == after.peers.ptr(j)) {
      ++j;  // nearly all of them
      continue;
    }
    const Peer& was = before.peers[i];
    while (j < after.peers.size() && after.peers[j].id < was.id) ++j;
    if (j == after.peers.size() || after.peers[j].id != was.id) {
      out.push_back(was.id.value());
      continue;
    }
    if (may_have_stream(before, was) && !may_have_stream(after, after.peers[j]))
      out.push_back(was.id.value());
  }
  return out;
}

}  // namespace nb::management::app
