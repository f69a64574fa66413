// What all commands share that make a service. Private to store/.
#pragma once

#include "management/domain/service.h"
#include "management/store/edits/account_edit.h"

namespace nb::management::work {

/// Checks, completes and stores a new one, and says that it changed; the event is the caller's.
/// Errors   SaveService's.
Result<> add_service(AccountEdit& edit, Service& service);

}  // namespace nb::management::work
