// Values that go into and come out of SQL statements, the same for both engines.
#pragma once

#include "base/clock.h"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::sql {

enum class Engine : std::uint8_t { kSqlite, kPostgres };

/// One parameter. Text is borrowed for the call when made from a string_view, so that binding
/// copies nothing.
class Param {
 public:
  enum class Kind : std::uint8_t { kNull, kInt, kBool, kReal, kText, kBlob };

  Param() = default;
  Param(std::nullptr_t) {}                                        // NOLINT: implicit on purpose
  Param(bool value) : kind_(Kind::kBool), int_(value ? 1 : 0) {}  // NOLINT
  Param(std::int64_t value) : kind_(Kind::kInt), int_(value) {}   // NOLINT
  Param(int value) : kind_(Kind::kInt), int_(value) {}            // NOLINT
  Param(std::uint64_t value)                                      // NOLINT
      : kind_(Kind::kInt), int_(static_cast<std::int64_t>(value)) {}
  Param(double value) : kind_(Kind::kReal), real_(value) {}              // NOLINT
  Param(std::string_view value) : kind_(Kind::kText), view_(value) {}    // NOLINT
  Param(const char* value) : kind_(Kind::kText), view_(value) {}         // NOLINT
  Param(const std::string& value) : kind_(Kind::kText), view_(value) {}  // NOLINT
  Param(std::string&& value)
      : kind_(Kind::kText), owned_(std::move(value)), is_owned_(true) {}  // NOLINT
  /// Microseconds for PostgreSQL, nanoseconds as upstream writes them for SQLite.
  Param(WallTime time);                        // NOLINT
  Param(const std::optional<WallTime>& time);  // NOLINT
  static Param blob(std::string_view bytes);

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] bool is_null() const { return kind_ == Kind::kNull; }
  [[nodiscard]] std::int64_t integer() const { return int_; }
  [[nodiscard]] double real() const { return real_; }
  [[nodiscard]] std::string_view text() const {
    return is_owned_ ? std::string_view(owned_) : view_;
  }

 private:
  Kind kind_ = Kind::kNull;
  std::int64_t int_ = 0;
  double real_ = 0;
  std::string_view view_;
  std::string owned_;
  bool is_owned_ = false;
};

using Params = std::span<const Param>;

/// "2026-11-22 10:34:25.029526158+00:00", the form upstream writes into SQLite; PostgreSQL reads
/// it.
[[nodiscard]] std::string format_time(WallTime time);
/// Every form found in databases: 0 to 9 fraction digits, 'T' or blank, with or without a zone
/// (none: UTC). Nothing for unparsable text and for times outside 1678..2261 (Go's zero time).
[[nodiscard]] std::optional<WallTime> parse_time(std::string_view text);

class Rows;

/// One row; borrows its Rows. NULL and unparsable values read as empty, zero or false, because
/// upstream databases hold them (contract/schema/README.md); ask null() where it matters.
class Row {
 public:
  Row(const Rows& rows, std::size_t index) : rows_(&rows), index_(index) {}
  [[nodiscard]] bool null(std::size_t column) const;
  [[nodiscard]] std::string_view text(std::size_t column) const;
  [[nodiscard]] std::string string(std::size_t column) const { return std::string(text(column)); }
  [[nodiscard]] std::int64_t integer(std::size_t column) const;
  [[nodiscard]] bool boolean(std::size_t column) const;
  [[nodiscard]] std::optional<WallTime> time(std::size_t column) const;

 private:
  const Rows* rows_;
  std::size_t index_;
};

/// Reads the columns of a row from left to right.
class RowReader {
 public:
  explicit RowReader(Row row, std::size_t first = 0) : row_(row), next_(first) {}
  /// Always UTF-8, which SQLite does not ask of its texts: what is none reads as U+FFFD.
  [[nodiscard]] std::string string();
  [[nodiscard]] std::string_view text() { return row_.text(next_++); }
  [[nodiscard]] std::int64_t integer() { return row_.integer(next_++); }
  [[nodiscard]] bool boolean() { return row_.boolean(next_++); }
  [[nodiscard]] std::optional<WallTime> time() { return row_.time(next_++); }
  [[nodiscard]] std::size_t position() const { return next_; }

 private:
  Row row_;
  std::size_t next_;
};

/// The whole answer of a statement, in one block of memory.
class Rows {
 public:
  [[nodiscard]] std::size_t size() const { return columns_ == 0 ? 0 : cells_.size() / columns_; }
  [[nodiscard]] bool empty() const { return cells_.empty(); }
  [[nodiscard]] std::size_t columns() const { return columns_; }
  [[nodiscard]] Row operator[](std::size_t index) const { return Row(*this, index); }
  /// Rows written by an INSERT, UPDATE or DELETE.
  [[nodiscard]] std::int64_t affected() const { return affected_; }

  // For the drivers.
  void set_columns(std::size_t columns) { columns_ = columns; }
  void set_affected(std::int64_t affected) { affected_ = affected; }
  void reserve(std::size_t rows) { cells_.reserve(rows * columns_); }
  void add_null() { cells_.push_back({0, kNull}); }
  void add_text(std::string_view text) {
    cells_.push_back({bytes_.size(), text.size()});
    bytes_.append(text);
  }

 private:
  friend class Row;
  static constexpr std::size_t kNull = static_cast<std::size_t>(-1);
  struct Cell {
    std::size_t offset;
    std::size_t size;
  };
  std::size_t columns_ = 0;
  std::int64_t affected_ = 0;
  std::string bytes_;
  std::vector<Cell> cells_;
};

}  // namespace nb::sql
