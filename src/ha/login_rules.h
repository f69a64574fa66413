// Rules of the login filter, pure; redis/login_filter.cc says the same in Lua and is compared with
// this by a property test.
#pragma once

#include "ha/login_filter.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::ha {

/// What is remembered of one peer. Times are ms since 1970 by the store's clock.
struct LoginState {
  std::uint64_t hash = 0;      // newest allowed description
  std::int64_t last_seen = 0;  // newest recorded attempt
  std::int64_t banned_until = 0;
  int ban_level = 0;
  std::int64_t meta_start = 0;  // when the meta window began
  int meta_changes = 0;
  std::vector<std::int64_t> attempts;  // with `hash`, within the window, oldest first, bounded

  friend bool operator==(const LoginState&, const LoginState&) = default;
};

/// Text as stored: "1|<hash hex>|<last>|<until>|<level>|<meta start>|<changes>|<t>,<t>…"
[[nodiscard]] std::string encode(const LoginState& state);
/// Empty for anything that encode() did not make; it is then as if never seen.
[[nodiscard]] std::optional<LoginState> parse_login_state(std::string_view text);

/// Whether the attempt would be allowed.
[[nodiscard]] LoginVerdict judge(const LoginFilterConfig& config,
                                 const std::optional<LoginState>& state, std::uint64_t hash,
                                 std::int64_t now);
/// The state after an allowed attempt; what it leads to (a ban) hits the next one.
[[nodiscard]] LoginState record(const LoginFilterConfig& config, std::optional<LoginState> state,
                                std::uint64_t hash, std::int64_t now);
/// Nothing of it matters any more.
[[nodiscard]] bool expired(const LoginFilterConfig& config, const LoginState& state,
                           std::int64_t now);

class LoginTable {
 public:
  LoginVerdict check(const LoginFilterConfig& config, const LoginAttempt& attempt,
                     std::int64_t now) const;
  LoginVerdict check_and_add(const LoginFilterConfig& config, const LoginAttempt& attempt,
                             std::int64_t now);
  std::map<std::string, std::string> states;  // peer -> encoded

 private:
  void sweep(const LoginFilterConfig& config, std::int64_t now);
  std::string swept_to_;
};

}  // namespace nb::ha
