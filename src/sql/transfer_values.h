// What the values of a transfer become in PostgreSQL, and how both sides are compared.
#pragma once

#include "sql/types.h"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nb::sql::values {

enum class Kind : std::uint8_t { kText, kBool, kInt, kReal, kTime, kBytes };

struct Column {
  std::string name;
  std::string cast;  // of its parameters
  Kind kind = Kind::kText;
};

/// SQLite's declared type, in lower case, in PostgreSQL's words.
[[nodiscard]] std::string target_type(std::string_view type);
/// `type`: PostgreSQL's, of an existing column.
[[nodiscard]] Column column_of(std::string name, std::string_view type);

/// A value in the form in which both sides are compared; nothing: NULL.
/// Shape    changed: set when the value is not kept as it is in the source, else left alone.
[[nodiscard]] std::optional<std::string> canonical(const Row& row, std::size_t at, Kind kind,
                                                   bool& changed);

/// Sum over rows, so that their order does not matter: it differs between engines.
class Checksum {
 public:
  void add(std::span<const std::optional<std::string>> values);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::int64_t rows() const { return rows_; }

 private:
  std::array<std::uint64_t, 2> sums_{};
  std::int64_t rows_ = 0;
};

}  // namespace nb::sql::values
