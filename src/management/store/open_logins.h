// Logins at the identity provider whose user is being made, or was deleted. Private to store/.
//
// The provider has a database of its own, so that no transaction spans a login and its user. A row
// here says that the login may have no user: it is written before the login is made and with the
// transaction that deletes the user, and goes with the transaction that makes the user and after
// the login's end. Rows that stay are the work of somebody who died between the two; take() hands
// them to whoever finishes it.
// Source   contract/auth-idp.md §9.2; docs/decisions/0136-logins-and-users.md
#pragma once

#include "management/store/store_work.h"

#include <chrono>
#include <cstddef>
#include <vector>

namespace nb::management::work::open_logins {

Result<> open(Session& session, const UserId& id);
/// In the transaction that makes the user.
/// Errors   kFailedPrecondition: somebody has begun to take the login back.
Result<> close(Session& session, const UserId& id);
/// The login is gone.
Result<> forget(Session& session, const UserId& id);
Result<bool> is_open(Session& session, const UserId& id);
/// Those older than `age` that have no user, oldest first: from now on nobody can make the user.
/// They are handed out again after `age`, should the caller die. Forgets those that have one.
Result<std::vector<UserId>> take(Session& session, std::chrono::milliseconds age,
                                 std::size_t limit);

}  // namespace nb::management::work::open_logins
