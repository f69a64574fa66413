// api/openapi.yaml, compiled in.
#pragma once

#include <string_view>

namespace nb::management::rest {

[[nodiscard]] std::string_view openapi_text();

}  // namespace nb::management::rest
