// Rows that no official server could have written: what is wrong with them and what it means.
// The server itself skips them or reads them as empty, so that an account works on.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "crypto/field_cipher.h"
#include "sql/database.h"

#include <cstddef>
#include <string>
#include <vector>

namespace nb::management {

struct Finding {
  std::string table;
  std::string id;  // of the row
  std::string what;
  std::string meaning;
};

struct Diagnosis {
  std::vector<Finding> findings;
  /// More were found than are listed.
  bool cut = false;
};

/// Examines the whole main database in one consistent read; writes nothing. The schema must be up
/// to date. `cipher`: as the store has it. Lists at most `limit` findings.
Result<Diagnosis> examine(sql::Database& database, const crypto::FieldCipher* cipher,
                          crypto::RandomSource& random, std::size_t limit, Instant deadline);

}  // namespace nb::management
