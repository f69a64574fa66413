#include "management/grpc/text.h"

#include "base/text.h"

#include <algorithm>

namespace nb::management::grpc {

bool is_storable(std::string_view text) {
  return is_utf8(text) && text.find('\0') == std::string_view::npos;
}

std::string storable_prefix(std::string_view text, std::size_t most) {
  std::size_t end = 0;
  for (;;) {
    const std::size_t size = utf8_length(text.substr(end));
    if (size == 0 || end + size > most) break;
    end += size;
  }
  std::string out(text.substr(0, end));
  std::ranges::replace(out, '\0', ' ');
  return out;
}

}  // namespace nb::management::grpc
