#include "idp/throttle.h"

#include "base/ip.h"

#include <algorithm>

namespace nb::idp {
namespace {

using namespace std::chrono_literals;
constexpr std::int64_t kAddressMax = 100;
constexpr auto kAddressLock = 15min;
constexpr std::int64_t kFree = 5;  // failures of an account without delay
constexpr auto kDelayMost = 4'000ms;
constexpr std::int64_t kGuessesMax = 10;
constexpr auto kGuessLock = 10min;

}  // namespace

std::chrono::minutes pair_lock(std::int64_t failures) {
  if (failures < 5 || failures % 5 != 0) return 0min;
  if (failures == 5) return 5min;
  return failures == 10 ? 15min : 60min;
}

// Order of rows: account, address, pair.
ThrottleVerdict throttle_verdict(const std::vector<ThrottleRow>& rows, Millis now) {
  ThrottleVerdict verdict;
  if (rows.size() != 3) return verdict;
  verdict.locked = rows[1].until > now || rows[2].until > now;
  const std::int64_t over = rows[0].failures - kFree;
  if (over >= 0)
    verdict.delay = std::min<std::chrono::milliseconds>(
        kDelayMost, 250ms * (1LL << std::min<std::int64_t>(over, 5)));
  return verdict;
}

std::string address_group(std::string_view ip) {
  const auto address = IpAddress::parse(ip);
  if (!address) return "unknown";
  if (address->is_v4()) return address->text();
  const auto prefix = IpPrefix::parse(address->text() + "/64");
  return prefix ? prefix->text() : address->text();
}

std::vector<std::string> Throttle::names(const std::string& account, const std::string& ip) {
  const std::string group = address_group(ip);
  return {"a:" + account, "i:" + group, "p:" + account + "|" + group};
}

Task<ThrottleVerdict> Throttle::check(Instant deadline, std::string account, std::string ip) {
  Millis now = 0;
  NB_CO_LET(const std::vector<ThrottleRow> rows,
            co_await store_.throttle(deadline, names(account, ip), now));
  co_return throttle_verdict(rows, now);
}

Task<void> Throttle::failed(Instant deadline, std::string account, std::string ip) {
  const std::vector<std::string> all = names(account, ip);
  NB_CO_LET(const std::vector<ThrottleRow> rows, co_await store_.throttle_failure(deadline, all));
  if (rows.size() != 3) co_return Result<>();
  if (const auto lock = pair_lock(rows[2].failures); lock != 0min)
    NB_CO_TRY(co_await store_.set_throttle(deadline, all[2], to_millis(lock)));
  if (rows[1].failures >= kAddressMax)
    NB_CO_TRY(co_await store_.set_throttle(deadline, all[1], to_millis(kAddressLock)));
  co_return Result<>();
}

Task<void> Throttle::passed(Instant deadline, std::string account, std::string ip) {
  for (const auto& name : names(account, ip))
    if (!name.starts_with("i:")) NB_CO_TRY(co_await store_.throttle_success(deadline, name));
  co_return Result<>();
}

Task<bool> Throttle::code_guess_allowed(Instant deadline, std::string ip, bool count) {
  const std::vector<std::string> name(1, "u:" + address_group(ip));
  Millis now = 0;
  NB_CO_LET(std::vector<ThrottleRow> rows, co_await store_.throttle(deadline, name, now));
  if (rows.front().until > now) co_return false;
  if (!count) co_return true;
  NB_CO_LET(rows, co_await store_.throttle_failure(deadline, name));
  if (rows.front().failures < kGuessesMax) co_return true;
  NB_CO_TRY(co_await store_.set_throttle(deadline, name.front(), to_millis(kGuessLock)));
  co_return true;
}

}  // namespace nb::idp
