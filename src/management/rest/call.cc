#include "management/rest/call.h"

#include "base/text.h"

#include <algorithm>

namespace nb::management::rest {

std::optional<std::string> Call::argument(std::string_view name) const {
  std::string_view rest = query;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const auto equals = std::min(pair.find('='), pair.size());
    const auto key = percent_decode(pair.substr(0, equals), {.plus_is_blank = true});
    if (key != name) continue;
    return percent_decode(pair.substr(std::min(equals + 1, pair.size())), {.plus_is_blank = true});
  }
  return {};
}

}  // namespace nb::management::rest
