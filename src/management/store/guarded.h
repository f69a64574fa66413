// Around every unit of work: what a driver reports must not pass for an answer. Private to store/.
#pragma once

#include "management/store/store_work.h"

#include <functional>
#include <memory>
#include <utility>

namespace nb::management::work {

/// A constraint that a statement did not expect to break is our mistake; its text, which names
/// tables, must not pass for an answer to an agent.
template <class T, class Fn>
std::function<Result<T>(Session&)> guarded(std::shared_ptr<const Context> context, Fn fn) {
  return [context = std::move(context), fn = std::move(fn)](Session& session) -> Result<T> {
    Result<T> result = fn(session, *context);
    if (result || !session.reported(result.error())) return result;
    const Code code = result.error().code;
    if (code == Code::kAlreadyExists || code == Code::kFailedPrecondition)
      return Result<T>(fail(Code::kInternal, "{}", result.error().text));
    return result;
  };
}

}  // namespace nb::management::work
