// Internationalised domain names in their ASCII form.
// Source   RFC 3492; no mapping and no normalisation, as the official server does for resources.
#pragma once

#include <string>
#include <string_view>

namespace nb::netmap {

/// Each label that is not ASCII as "xn--…", the whole in lower case (of ASCII). Text that is no
/// UTF-8 stays as it is.
[[nodiscard]] std::string ascii_domain(std::string_view domain);

}  // namespace nb::netmap
