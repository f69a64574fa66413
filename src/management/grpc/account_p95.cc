#include "management/grpc/account_p95.h"

#include <algorithm>
#include <vector>

namespace nb::management::grpc {

void AccountP95::observe(std::string_view account, double value, Instant now) {
  const std::lock_guard lock(mutex_);
  if (flushed_ == Instant{}) flushed_ = now;
  // Calls come with every login and stream: who makes one pays for the minute.
  if (now >= flushed_ + kFlush) flush(now);
  auto known = calls_.find(std::string(account));
  if (known == calls_.end()) {
    if (calls_.size() >= kAccountsMax) return;
    known = calls_.emplace(account, std::deque<Call>()).first;
  }
  auto& calls = known->second;
  calls.push_back({now, value});
  if (calls.size() > kCallsMax) calls.pop_front();
}

void AccountP95::flush(Instant now) {
  flushed_ = now;
  std::vector<double> values;
  for (auto account = calls_.begin(); account != calls_.end();) {
    auto& calls = account->second;
    while (!calls.empty() && calls.front().at + kWindow < now) calls.pop_front();
    if (calls.empty()) {
      account = calls_.erase(account);
      continue;
    }
    values.clear();
    for (const Call& call : calls) values.push_back(call.value);
    const auto at =
        values.begin() + static_cast<std::ptrdiff_t>((values.size() * 95 + 99) / 100) - 1;
    std::nth_element(values.begin(), at, values.end());
    out_.observe(*at);
    ++account;
  }
}

}  // namespace nb::management::grpc
