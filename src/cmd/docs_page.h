// docs/configuration.md, made from the tables of all binaries.
#pragma once

#include <string>

namespace nb::cmd {
[[nodiscard]] std::string configuration_page();
}  // namespace nb::cmd
