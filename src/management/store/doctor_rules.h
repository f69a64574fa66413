// What the doctor knows of upstream's tables, as lists. Private to store/.
#pragma once

#include "management/store/doctor.h"
#include "management/store/field_codec.h"
#include "management/store/json_columns.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::management::doctor {

/// Findings up to a limit.
class Sheet {
 public:
  explicit Sheet(std::size_t limit) : limit_(limit) {}
  void add(Finding finding) {
    if (full())
      out_.cut = true;
    else
      out_.findings.push_back(std::move(finding));
  }
  [[nodiscard]] bool full() const { return out_.findings.size() >= limit_; }
  /// One more than fits, so that a cut is noticed.
  [[nodiscard]] std::int64_t query_limit() const { return static_cast<std::int64_t>(limit_) + 1; }
  [[nodiscard]] Diagnosis take() { return std::move(out_); }

 private:
  const std::size_t limit_;
  Diagnosis out_;
};

struct Structure {
  std::string_view table;
  std::string_view what;
  std::string_view meaning;
  std::string_view query;  // id, detail
};
std::span<const Structure> structures();

/// Tables with id and account_id.
std::span<const std::string_view> account_tables();

struct NotNull {
  std::string_view table;
  std::string_view columns;  // separated by blanks
};
std::span<const NotNull> not_null();

/// A text column with something structured in it.
struct Encoded {
  std::string_view table;
  std::string_view column;
  void (*read)(std::string_view text, columns::Damage& damage);
  std::string_view meaning;
};
std::span<const Encoded> encoded();

/// A column whose values official servers take from a set.
struct Value {
  std::string_view table;
  std::string_view column;
  bool (*fine)(std::string_view text);
  std::string_view meaning;
};
std::span<const Value> values();

/// A text column with a list of ids.
struct IdList {
  std::string_view table;
  std::string_view column;
  std::string_view of;     // "groups", "posture_checks" or "users"
  std::string_view query;  // id, account_id, list
  std::vector<std::string> (*read)(std::string_view text,
                                   columns::Damage& damage) = &columns::read_strings;
};
std::span<const IdList> id_lists();

/// A text column with peers and network resources.
struct ResourceList {
  std::string_view table;
  std::string_view column;
  std::vector<Resource> (*read)(std::string_view text, columns::Damage& damage);
  std::string_view query;  // id, account_id, text
};
std::span<const ResourceList> resource_lists();

}  // namespace nb::management::doctor
