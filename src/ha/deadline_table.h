// Rules of deadlines, pure: one sorted set, id -> due time in ms. redis/deadlines.cc does the same.
//
// Claiming an item moves its due time to the end of the lease, so that an item whose claimer dies
// becomes due again by itself, and no second set can get out of step. The moved time is the
// claim's token: whoever adds the item anew, or claims it again, changes it.
#pragma once

#include "ha/deadlines.h"

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace nb::ha {

class DeadlineTable {
 public:
  std::size_t add(const std::vector<Deadline>& items, AddMode mode);
  std::size_t remove(const std::vector<std::string>& ids);
  std::vector<DueItem> claim_due(std::size_t limit, std::chrono::milliseconds lease, DueMs now);
  bool ack(const DueItem& item);
  bool give_back(const DueItem& item, DueMs now);
  [[nodiscard]] std::optional<DueMs> next() const;
  [[nodiscard]] std::size_t count() const { return due.size(); }

  std::map<std::string, DueMs> due;
};

/// Errors   kInvalidArgument: id not of 1..256 bytes, due outside 0..2^53.
[[nodiscard]] Result<> check(const std::vector<Deadline>& items);
[[nodiscard]] Result<> check_claim(std::size_t limit, std::chrono::milliseconds lease);

}  // namespace nb::ha
