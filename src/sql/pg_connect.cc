#include "sql/pg_connect.h"

#include <libpq-fe.h>

#include <algorithm>

namespace nb::sql {

void drop_notices(PGconn* connection) {
  PQsetNoticeReceiver(
      connection, [](void*, const PGresult*) {}, nullptr);
}

PgKeywords pg_keywords(const Dsn& dsn, const char* application_name) {
  PgKeywords out;
  const auto add = [&](const char* name, const char* value) {
    out.names.push_back(name);
    out.values.push_back(value);
  };
  const auto given = [&](std::string_view name) {
    return std::any_of(dsn.parameters.begin(), dsn.parameters.end(),
                       [&](const auto& item) { return item.first == name; });
  };
  for (const auto& [name, value] : dsn.parameters) add(name.c_str(), value.c_str());
  // The secret goes into the library's memory and nowhere else.
  if (!dsn.password.empty()) add("password", dsn.password.reveal().data());
  add("client_encoding", "UTF8");
  if (!given("application_name")) add("application_name", application_name);
  // A host that vanished without a word is noticed within about 15 s, also while we wait.
  if (!given("keepalives_idle")) add("keepalives_idle", "5");
  if (!given("keepalives_interval")) add("keepalives_interval", "3");
  if (!given("keepalives_count")) add("keepalives_count", "3");
  if (!given("tcp_user_timeout")) add("tcp_user_timeout", "15000");
  // Only the primary will do, also behind a single name that a failover moves: a standby, which is
  // a little behind, would say of a new peer that nobody registered it.
  if (!given("target_session_attrs")) add("target_session_attrs", "read-write");
  out.names.push_back(nullptr);
  out.values.push_back(nullptr);
  return out;
}

}  // namespace nb::sql
