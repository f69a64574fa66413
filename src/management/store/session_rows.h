// Sessions as rows of a statement. Private to store/.
#pragma once

#include "management/store/store.h"
#include "sql/session.h"

#include <string>
#include <string_view>
#include <vector>

namespace nb::management::work {

/// "… FROM {session_rows} d", with d.id and d.epoch, from the session_list() in parameter 1.
std::string_view session_rows(const sql::Session& session);
std::string session_list(const std::vector<OpenSession>& sessions);

}  // namespace nb::management::work
