// Host names beyond ASCII, through libidn2.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

namespace nb::management {

/// The ASCII form of one label ("bücher" → "xn--bcher-kva"), lower case.
/// Errors   kInvalidArgument: not UTF-8, or a text IDNA can not express.
Result<std::string> idna_to_ascii(std::string_view label);

/// A domain name for people; what can not be shown so stays as it is.
[[nodiscard]] std::string idna_to_unicode(const std::string& domain);

}  // namespace nb::management
