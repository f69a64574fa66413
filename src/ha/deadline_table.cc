#include "ha/deadline_table.h"

#include <algorithm>
#include <tuple>

namespace nb::ha {
using namespace std::chrono_literals;

std::size_t DeadlineTable::add(const std::vector<Deadline>& items, AddMode mode) {
  std::size_t added = 0;
  for (const auto& item : items) {
    const auto [it, fresh] = due.try_emplace(item.id, item.due);
    if (fresh) {
      ++added;
    } else if (mode == AddMode::kReplace) {
      it->second = item.due;
    }
  }
  return added;
}

std::size_t DeadlineTable::remove(const std::vector<std::string>& ids) {
  std::size_t removed = 0;
  for (const auto& id : ids) removed += due.erase(id);
  return removed;
}

std::vector<DueItem> DeadlineTable::claim_due(std::size_t limit, std::chrono::milliseconds lease,
                                              DueMs now) {
  std::vector<std::pair<DueMs, std::string>> ready;
  for (const auto& [id, at] : due) {
    if (at <= now) ready.emplace_back(at, id);
  }
  std::sort(ready.begin(), ready.end());
  if (ready.size() > limit) ready.resize(limit);
  std::vector<DueItem> claimed;
  for (const auto& [at, id] : ready) {
    due[id] = now + lease.count();
    claimed.push_back({id, now + lease.count()});
  }
  return claimed;
}

bool DeadlineTable::ack(const DueItem& item) {
  const auto it = due.find(item.id);
  if (it == due.end() || it->second != item.lease_until) return false;
  due.erase(it);
  return true;
}

bool DeadlineTable::give_back(const DueItem& item, DueMs now) {
  const auto it = due.find(item.id);
  if (it == due.end() || it->second != item.lease_until) return false;
  it->second = now;
  return true;
}

std::optional<DueMs> DeadlineTable::next() const {
  const auto it = std::min_element(
      due.begin(), due.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (it == due.end()) return std::nullopt;
  return it->second;
}

Result<> check(const std::vector<Deadline>& items) {
  for (const auto& item : items) {
    if (item.id.empty() || item.id.size() > 256) {
      return fail(Code::kInvalidArgument, "deadline id of {} bytes: must be 1..256",
                  item.id.size());
    }
    if (item.due < 0 || item.due >= (DueMs{1} << 53)) {
      return fail(Code::kInvalidArgument, "deadline {}: outside 0..2^53", item.due);
    }
  }
  return {};
}

Result<> check_claim(std::size_t limit, std::chrono::milliseconds lease) {
  if (limit < 1 || limit > 1000) {
    return fail(Code::kInvalidArgument, "claiming {} items: must be 1..1000", limit);
  }
  if (lease < 1ms || lease > 24h) {
    return fail(Code::kInvalidArgument, "lease of {} ms: outside 1 ms..24 h", lease.count());
  }
  return {};
}

}  // namespace nb::ha
