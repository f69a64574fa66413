// ETags of lists that are made of tables: known before the tables are read.
//
// A tag tells until when it holds (0: for ever) and a digest of everything that the answer is made
// of: the stamp of the rows, who asks for what, and this program. So any instance can tell whether
// a client still has the answer, and none has to remember what it gave to whom.
// Source   RFC 9110 §8.8, §13.1.2; docs/decisions/0124-stamps-of-lists.md
#pragma once

#include "management/rest/call.h"

#include <optional>
#include <string>
#include <string_view>

namespace nb::management::rest {

class ListTag {
 public:
  /// `program`: what of the server itself shows in answers, its version first of all.
  ListTag(const Call& call, std::string_view program);

  /// With its quotes. `changes_at`: when the list becomes another one without any row's doing.
  [[nodiscard]] std::string of(std::string_view stamp, std::optional<WallTime> changes_at) const;
  /// The tag among those of the request's If-None-Match that still stands for the rows; empty:
  /// none.
  [[nodiscard]] std::string known(std::string_view stamp, WallTime now) const;

 private:
  [[nodiscard]] std::string digest(std::string_view stamp) const;

  std::string asked_;
  std::string if_none_match_;
};

}  // namespace nb::management::rest
