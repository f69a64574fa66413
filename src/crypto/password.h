// Passwords of local users at rest: argon2id for new ones, bcrypt of existing installations read.
#pragma once

#include "base/result.h"
#include "base/secret.h"

#include <string>
#include <string_view>

namespace nb::crypto {

/// argon2id, 19 MiB, 2 passes, as a PHC string. Some 30 ms: not on a loop.
/// Errors   kResourceExhausted: no memory.
Result<std::string> hash_password(const Secret& password);
/// argon2id, or bcrypt ($2a$, $2b$, $2y$; cost 4..14). False for everything it does not know, for
/// passwords with a NUL, and for bcrypt beyond 72 bytes, which bcrypt would cut off.
[[nodiscard]] bool verify_password(std::string_view stored, const Secret& password);
/// Verifies, but hash_password() would make something stronger: store that instead.
[[nodiscard]] bool password_outdated(std::string_view stored);
/// verify_password() knows the form (not: a plain password).
[[nodiscard]] bool is_password_hash(std::string_view text);

}  // namespace nb::crypto
