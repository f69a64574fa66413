#include "management/domain/login_rules.h"

namespace nb::management {

std::optional<WallTime> login_deadline(const Peer& peer, const AccountSettings& settings) {
  if (!peer.added_with_sso() || !peer.login_expiration_enabled) return {};
  if (!settings.peer_login_expiration_enabled) return {};
  // A peer that never logged in has been due for ever.
  return peer.last_login.value_or(WallTime{}) + settings.peer_login_expiration;
}

bool login_expired(const Peer& peer, const AccountSettings& settings, WallTime now) {
  if (!peer.added_with_sso()) return false;
  if (peer.status.login_expired) return true;
  const auto deadline = login_deadline(peer, settings);
  return deadline && *deadline <= now;
}

}  // namespace nb::management
