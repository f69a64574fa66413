// Kinds of refusal that have no gRPC code of their own, by the code or codes that carry them.
#pragma once

#include "base/result.h"

namespace nb {

/// HTTP 400: the request can not be served in the state of things, as the API's clients expect it
/// (contract/rest-api.md "direct errors"). Texts are shown as they are.
inline constexpr Code kBadRequest = Code::kOutOfRange;

/// Of a database or provider: says nothing about who asks or what for; the same call may work
/// later. Not for what a limit of the caller's own refuses, which is kResourceExhausted as well.
[[nodiscard]] constexpr bool is_outage(Code code) {
  return code == Code::kUnavailable || code == Code::kDeadlineExceeded || code == Code::kAborted ||
         code == Code::kCancelled || code == Code::kResourceExhausted;
}

}  // namespace nb
