// The order in which rows came to be, which decides between rules that contradict each other.
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

namespace nb::netmap {

/// Positions of `table` (sorted by id) by order, then id.
template <class Table>
[[nodiscard]] std::vector<std::size_t> by_order(const Table& table) {
  std::vector<std::size_t> positions(table.size());
  std::iota(positions.begin(), positions.end(), std::size_t{0});
  std::ranges::stable_sort(positions, {},
                           [&](std::size_t position) { return table[position].order; });
  return positions;
}

}  // namespace nb::netmap
