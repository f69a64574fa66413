// Text from agents that may go into a database.
#pragma once

#include <string>
#include <string_view>

namespace nb::management::grpc {

/// Well-formed UTF-8 without a zero byte, which PostgreSQL has no place for.
[[nodiscard]] bool is_storable(std::string_view text);

/// The longest storable text of at most `most` bytes from the front; zero bytes become blanks.
/// Empty when the front is no UTF-8 at all.
[[nodiscard]] std::string storable_prefix(std::string_view text, std::size_t most);

}  // namespace nb::management::grpc
