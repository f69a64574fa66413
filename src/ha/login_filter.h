// LoginFilter: damps peers that reconnect in a loop or flap between descriptions of themselves.
#pragma once

#include "base/result.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace nb::ha {

/// contract/management-grpc.md §8.3. The defaults are upstream's numbers.
struct LoginFilterConfig {
  int reconnects_max = 30;                       // more within the window is a ban
  std::chrono::milliseconds window{5 * 60'000};  // sliding
  std::chrono::milliseconds ban{10 * 60'000};    // doubled with each further ban
  int ban_level_max = 8;                         // 10 min * 2^7 is the longest
  std::chrono::milliseconds calm{20 * 60'000};   // without a sync: ban level back to none
  int meta_changes_max = 5;                      // counter starts at 1 with the first sight
  std::chrono::milliseconds meta_window{5 * 60'000};
};

struct LoginAttempt {
  std::string peer;             // public key
  std::uint64_t meta_hash = 0;  // FNV-1a 64 over what §8.3 lists
};

struct LoginVerdict {
  enum class Kind : std::uint8_t { kAllowed, kBanned, kMetaFlap };
  Kind kind = Kind::kAllowed;
  std::chrono::milliseconds retry_after{0};  // refusals: how long it will be refused at least
  [[nodiscard]] bool allowed() const { return kind == Kind::kAllowed; }
  friend bool operator==(const LoginVerdict&, const LoginVerdict&) = default;
};

/// Shared by all instances; atomic per peer. Callers decide whether a refusal is enforced
/// (NB_BLOCK_SAME_PEERS), and answer RESOURCE_EXHAUSTED then.
/// Failure  fails open: with the store away every attempt is allowed and `filter_errors` counts.
class LoginFilter {
 public:
  virtual ~LoginFilter() = default;
  /// Would this attempt be allowed now? Records nothing. For Login.
  virtual boost::asio::awaitable<LoginVerdict> check(LoginAttempt attempt) = 0;
  /// Judges the attempt and records it if it is allowed, in one atomic step. For Sync.
  virtual boost::asio::awaitable<LoginVerdict> check_and_add(LoginAttempt attempt) = 0;
};

}  // namespace nb::ha
