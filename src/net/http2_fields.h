// What RFC 9113 wants of the fields of a request before anybody reads them (§8.2, §8.3).
#pragma once

#include "net/header_block.h"

#include <cstdint>
#include <string_view>

namespace nb::net::http2 {

/// Of lower-case letters and the other characters of a token, perhaps behind a colon.
[[nodiscard]] bool well_formed_name(std::string_view name);
/// Without control characters. White space at the ends, which RFC 9113 §8.2.1 forbids, is let
/// through as Go's servers do.
[[nodiscard]] bool well_formed_value(std::string_view value);

struct RequestRules {
  bool well_formed = false;
  std::int64_t content_length = -1;  // bytes; -1: not told
};
[[nodiscard]] RequestRules check_request(const HeaderBlock& headers);
[[nodiscard]] bool well_formed_trailers(const HeaderBlock& trailers);

}  // namespace nb::net::http2
