// Whether work that failed may have done anything.
#pragma once

#include "base/result.h"

namespace nb::sql {

/// The work ended in the queue, or before it: it was never run, and never will be.
[[nodiscard]] bool never_began(const Error& error);

}  // namespace nb::sql
