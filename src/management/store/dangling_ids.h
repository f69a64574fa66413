// Ids in an account's objects of what is not there. Private to store/.
#pragma once

#include "management/domain/account_snapshot.h"

#include <cstddef>
#include <string_view>
#include <vector>

namespace nb::management::work {

struct DanglingIds {
  std::string_view in;  // table that holds them
  std::size_t count = 0;
};

/// Maps are calculated as if they were not listed. Tables without any are left out.
std::vector<DanglingIds> dangling_ids(const AccountSnapshot& account);

}  // namespace nb::management::work
