// Version and revision this binary was built from.
#pragma once

#include <string_view>

namespace nb {
[[nodiscard]] std::string_view build_version();
[[nodiscard]] std::string_view build_revision();
}  // namespace nb
