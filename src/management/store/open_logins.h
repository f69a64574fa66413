// Logins at the identity provider whose user is being made, or was deleted. Private to store/.
//
// The provider has a database of its own, so that no transaction spans a login and its user. A row
// here says that the login may have no user: it is written before the login is made and with the
// transaction that deletes the user, and goes with the transaction that makes the user and after
// the login's end. Rows that stay are the work of somebody who died between the two; take() hands
// them to whoever finishes it. So it is with the sessions of a user who is blocked.
// Source   contract/auth-idp.md §9.2; docs/decisions/0136-logins-and-users.md
#pragma once

#include "management/store/identity_store.h"
#include "management/store/store_work.h"

#include <chrono>
#include <cstddef>
#include <vector>

namespace nb::management::work::open_logins {

Result<> open(Session& session, const UserId& id);
/// In the transaction that makes the user.
/// Errors   kFailedPrecondition: somebody has begun to take the login back.
Result<> close(Session& session, const UserId& id);
/// In the transaction that blocks the user: his sessions are to end, the login stays.
Result<> open_sessions(Session& session, const UserId& id);
/// The login is gone, or its sessions are.
Result<> forget(Session& session, const OpenLogin& login);
Result<bool> is_open(Session& session, const UserId& id);
/// Those older than `age` that have no user, and sessions, oldest first: from now on nobody can
/// make such a user. They are handed out again after `age`, should the caller die. Forgets those
/// that have one.
Result<std::vector<OpenLogin>> take(Session& session, std::chrono::milliseconds age,
                                    std::size_t limit);

}  // namespace nb::management::work::open_logins
