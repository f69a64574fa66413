// How the units of work of the stores over SQL run. Private to store/.
#pragma once

#include "sql/database.h"

namespace nb::management {

inline constexpr sql::RunOptions kRead{.read_only = true, .single_statement = true};
/// Several statements, each of which sees what has been committed before it.
inline constexpr sql::RunOptions kReadEach{.read_only = true};
/// Several statements, which see one state.
inline constexpr sql::RunOptions kReadMany{.isolation = sql::Isolation::kRepeatableRead,
                                           .read_only = true};
inline constexpr sql::RunOptions kReadBulk{
    .isolation = sql::Isolation::kRepeatableRead, .read_only = true, .bulk = true};
inline constexpr sql::RunOptions kWrite{};
inline constexpr sql::RunOptions kWriteOne{.single_statement = true};
/// For who is connected. That is true only while this machine runs: after a power cut nobody is,
/// and each heartbeat takes what was marked before it to the disk (decision 0128).
inline constexpr sql::RunOptions kMark{.durability = sql::Durability::kRelaxed};

}  // namespace nb::management
