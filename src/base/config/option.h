// A row of the configuration: everything about one setting except its default, which is the member
// initialiser of the struct it fills.
#pragma once

#include "base/result.h"
#include "base/secret.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace nb::config {

/// Whether SIGHUP can change a setting, or only a restart.
enum class Reload : std::uint8_t { kRestart, kLive };

/// The closed set of value types. Durations are written Go style: `1h30m`, `800ms`.
template <template <class> class Wrap>
using AnyOf = std::variant<
    Wrap<bool>, Wrap<std::string>, Wrap<Secret>, Wrap<std::uint16_t>, Wrap<std::int32_t>,
    Wrap<std::uint32_t>, Wrap<std::int64_t>, Wrap<std::uint64_t>, Wrap<std::chrono::nanoseconds>,
    Wrap<std::chrono::milliseconds>, Wrap<std::chrono::seconds>, Wrap<std::vector<std::string>>,
    Wrap<std::vector<std::uint16_t>>, Wrap<std::optional<std::int32_t>>, Wrap<std::optional<bool>>>;

template <class S>
struct MemberOf {
  template <class T>
  using Pointer = T S::*;
};
template <class S>
using Member = AnyOf<MemberOf<S>::template Pointer>;

/// Extra check of a value (of each element of a list). The error's text must not repeat the value.
using ValueCheck = Result<> (*)(std::string_view value);

using Redact = std::string (*)(std::string_view value);

/// One setting of struct S. At least one of flag, env and key is set.
template <class S>
struct Option {
  std::string_view flag{};  ///< long name without dashes; empty: no flag
  char letter = 0;          ///< short flag
  /// Canonical variable; empty: NB_ + flag in upper case, "-": none.
  std::string_view env{};
  /// Other names of the variable, weaker than the canonical one, best first.
  std::array<std::string_view, 3> aliases{};
  /// Path in the config file, "HA.RedisAddress"; keys match case-insensitively.
  std::string_view key{};
  Member<S> member;
  /// Bounds; both 0: none. Numbers: the value; durations: milliseconds; strings: length; lists:
  /// number of elements.
  std::int64_t min = 0;
  std::int64_t max = 0;
  /// Closed set of values, "console|syslog"; compared without regard to case.
  std::string_view allowed{};
  ValueCheck check = nullptr;
  /// For secrets that are addresses: what may be shown of the value. Null: nothing.
  Redact redact = nullptr;
  bool bare_number = false;  ///< a duration may be a number in the member's own unit
  /// A variable's value that is not allowed is a warning, and the default stays: for variables with
  /// which upstream starts whatever they hold.
  bool lenient = false;
  Reload reload = Reload::kRestart;
  bool hidden = false;              ///< accepted without effect: not in --help, but in the docs
  bool file_before_alias = false;   ///< the file's value wins over an alias variable
  std::string_view default_text{};  ///< shown instead of the default when that depends on others
  std::string_view help{};          ///< one line, lower case, no full stop
};

/// An address or DSN without its password; "(set)" where that cannot be told apart.
std::string redact_address(std::string_view value);

/// Ready-made checks.
Result<> check_cidr(std::string_view value);            // address or prefix
Result<> check_host_port(std::string_view value);       // host:port, port 1..65535
Result<> check_listen_address(std::string_view value);  // [host]:port
Result<> check_redis_address(std::string_view value);   // host:port or redis[s]://…
Result<> check_key_prefix(std::string_view value);      // printable ASCII, <= 128 bytes
Result<> check_domain(std::string_view value);          // DNS name, no wildcard, <= 192 bytes
Result<> check_base64_key32(std::string_view value);    // base64 of 32 bytes

}  // namespace nb::config
