// DNS names as the API takes them.
// Source   contract/network-map.md §4.4, rest-api.md §7.10–§7.12.
#pragma once

#include "base/result.h"
#include "management/domain/allocation.h"

#include <string>
#include <string_view>

namespace nb::management {

enum class Wildcard : bool { kForbidden, kAllowed };  // a leading "*."

/// An ASCII name of labels with letters, digits, '-' and '_', the last one without a leading '_'.
[[nodiscard]] bool is_domain_name(std::string_view name, Wildcard wildcard);

/// `domain` is `parent` or lies below it, both in the same spelling. Nothing lies below "".
[[nodiscard]] bool is_below(std::string_view domain, std::string_view parent);

/// The name in ASCII and lower case; a leading "*." stays.
/// Errors   kInvalidArgument: a label that IDNA can not express.
[[nodiscard]] Result<std::string> ascii_domain(std::string_view name, const ToAsciiFn& to_ascii);

}  // namespace nb::management
