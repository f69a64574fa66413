// Kinds of refusal that have no gRPC code of their own, by the code that carries them.
#pragma once

#include "base/result.h"

namespace nb {

/// HTTP 400: the request can not be served in the state of things, as the API's clients expect it
/// (contract/rest-api.md "direct errors"). Texts are shown as they are.
inline constexpr Code kBadRequest = Code::kOutOfRange;

}  // namespace nb
