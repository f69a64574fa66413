// JSON from strangers: bounded, and without the ambiguity of duplicate names.
#pragma once

#include "base/result.h"

#include <boost/json/fwd.hpp>

#include <cstddef>
#include <string_view>

namespace nb {

struct JsonLimits {
  std::size_t bytes_max = 256 * 1024;
  std::size_t depth_max = 16;
};

/// RFC 8259 text: one value, valid UTF-8, no comments, no trailing commas.
/// Errors   kInvalidArgument: malformed, too long, too deep, a number beyond the range of double,
///          or an object that names a member twice (parsers differ in which one they take). The
///          text does not repeat the input.
Result<boost::json::value> parse_strict_json(std::string_view text, const JsonLimits& limits = {});

}  // namespace nb
