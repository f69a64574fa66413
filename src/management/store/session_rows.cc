#include "management/store/session_rows.h"

#include <boost/json.hpp>

namespace nb::management::work {

std::string_view session_rows(const sql::Session& session) {
  return session.postgres() ? "(SELECT value->>0 AS id, CAST(value->>1 AS bigint) AS epoch FROM "
                              "json_array_elements(CAST($1 AS json))) d"
                            : "(SELECT json_extract(value, '$[0]') AS id, json_extract(value, "
                              "'$[1]') AS epoch FROM json_each($1)) d";
}

std::string session_list(const std::vector<OpenSession>& sessions) {
  boost::json::array list;
  list.reserve(sessions.size());
  for (const OpenSession& at : sessions)
    list.push_back(boost::json::array{at.peer.value(), at.epoch});
  return boost::json::serialize(list);
}

}  // namespace nb::management::work
