#include "management/store/doctor.h"

#include "base/text.h"
#include "management/domain/network.h"
#include "management/store/constraints.h"
#include "management/store/doctor_rules.h"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace nb::management {
namespace {

using doctor::Sheet;
using sql::Session;

/// Rows that a query finds: id, and what else is worth saying.
Result<> structure(Session& session, Sheet& sheet) {
  for (const doctor::Structure& rule : doctor::structures()) {
    NB_LET(const sql::Rows rows,
           session.query(fmt::format("{} LIMIT $1", rule.query), {sheet.query_limit()}));
    for (std::size_t i = 0; i < rows.size(); ++i)
      sheet.add({std::string(rule.table), rows[i].string(0),
                 fmt::format("{} {}", rule.what, rows[i].text(1)), std::string(rule.meaning)});
  }
  return {};
}

Result<> unknown_accounts(Session& session, Sheet& sheet) {
  for (const std::string_view table : doctor::account_tables()) {
    NB_LET(
        const sql::Rows rows,
        session.query(fmt::format("SELECT t.id, t.account_id FROM {} t WHERE NOT EXISTS (SELECT 1 "
                                  "FROM accounts a WHERE a.id = t.account_id) ORDER BY t.id "
                                  "LIMIT $1",
                                  table),
                      {sheet.query_limit()}));
    for (std::size_t i = 0; i < rows.size(); ++i)
      sheet.add({std::string(table), rows[i].string(0),
                 fmt::format("unknown account '{}'", rows[i].text(1)),
                 "belongs to nobody; never read"});
  }
  return {};
}

/// Upstream's server on PostgreSQL does not load an account that has such a row.
Result<> nulls(Session& session, Sheet& sheet) {
  for (const doctor::NotNull& rule : doctor::not_null()) {
    std::string_view rest = rule.columns;
    while (!rest.empty()) {
      const auto blank = rest.find(' ');
      const std::string_view column = rest.substr(0, blank);
      rest = blank == rest.npos ? std::string_view{} : rest.substr(blank + 1);
      NB_LET(
          const sql::Rows rows,
          session.query(fmt::format("SELECT id FROM {} WHERE \"{}\" IS NULL ORDER BY id LIMIT $1",
                                    rule.table, column),
                        {sheet.query_limit()}));
      for (std::size_t i = 0; i < rows.size(); ++i)
        sheet.add({std::string(rule.table), rows[i].string(0), fmt::format("{} is NULL", column),
                   "read as empty here; an official server on PostgreSQL refuses the account"});
    }
  }
  return {};
}

Result<> texts(Session& session, Sheet& sheet) {
  for (const doctor::Encoded& rule : doctor::encoded()) {
    NB_LET(const sql::Rows rows,
           session.query(fmt::format("SELECT id, \"{0}\" FROM {1} WHERE \"{0}\" IS NOT NULL AND "
                                     "\"{0}\" <> '' ORDER BY id",
                                     rule.column, rule.table)));
    for (std::size_t i = 0; i < rows.size() && !sheet.full(); ++i) {
      columns::Damage damage;
      rule.read(rows[i].text(1), damage);
      if (damage.fields > 0)
        sheet.add({std::string(rule.table), rows[i].string(0),
                   fmt::format("{} is damaged", rule.column), std::string(rule.meaning)});
    }
  }
  return {};
}

struct TextTable {
  std::vector<std::string> columns;
  std::string key;  // expression
};

/// All tables and columns of an SQLite file: each column may hold a text.
Result<std::map<std::string, TextTable>> text_tables(Session& session) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT m.name, c.name, c.pk FROM sqlite_master m JOIN "
                       "pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE "
                       "'sqlite_%' ORDER BY m.name, c.cid"));
  std::map<std::string, TextTable> out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    TextTable& table = out[rows[i].string(0)];
    table.columns.push_back(rows[i].string(1));
    if (rows[i].integer(2) == 0) continue;
    if (!table.key.empty()) table.key += " || ' ' || ";
    table.key += fmt::format("\"{}\"", rows[i].text(1));
  }
  for (auto& [name, table] : out)
    if (table.key.empty()) table.key = "rowid";
  return out;
}

/// PostgreSQL takes no such text.
Result<> encodings(Session& session, Sheet& sheet) {
  if (session.postgres()) return {};
  NB_LET(const auto tables, text_tables(session));
  for (const auto& [name, table] : tables)
    for (const std::string& column : table.columns) {
      NB_LET(const sql::Rows rows,
             session.query(fmt::format("SELECT {0}, \"{1}\" FROM \"{2}\" WHERE typeof(\"{1}\") = "
                                       "'text' AND \"{1}\" GLOB '*[^' || char(1) || '-' || "
                                       "char(127) || ']*' ORDER BY 1",
                                       table.key, column, name)));
      for (std::size_t i = 0; i < rows.size() && !sheet.full(); ++i) {
        if (is_utf8(rows[i].text(1))) continue;
        sheet.add({name, sql::RowReader(rows[i]).string(), fmt::format("{} is not UTF-8", column),
                   "each byte that belongs to no character is read as U+FFFD"});
      }
    }
  return {};
}

Result<> values(Session& session, Sheet& sheet) {
  for (const doctor::Value& rule : doctor::values()) {
    NB_LET(const sql::Rows rows,
           session.query(fmt::format("SELECT id, CAST(\"{0}\" AS text) FROM {1} WHERE \"{0}\" IS "
                                     "NOT NULL ORDER BY id",
                                     rule.column, rule.table)));
    for (std::size_t i = 0; i < rows.size() && !sheet.full(); ++i)
      if (const std::string_view text = rows[i].text(1); !text.empty() && !rule.fine(text))
        sheet.add({std::string(rule.table), rows[i].string(0),
                   fmt::format("{} makes no sense: {}", rule.column, text),
                   std::string(rule.meaning)});
  }
  return {};
}

/// "account id" of everything in a table, for look-ups.
Result<std::set<std::string>> known(Session& session, std::string_view table) {
  NB_LET(const sql::Rows rows, session.query(fmt::format("SELECT account_id, id FROM {}", table)));
  std::set<std::string> out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.insert(fmt::format("{} {}", rows[i].text(0), rows[i].text(1)));
  return out;
}

Result<> lists(Session& session, Sheet& sheet) {
  NB_LET(const auto groups, known(session, "groups"));
  NB_LET(const auto checks, known(session, "posture_checks"));
  NB_LET(const auto users, known(session, "users"));
  for (const doctor::IdList& rule : doctor::id_lists()) {
    const auto& there = rule.of == "groups" ? groups : rule.of == "users" ? users : checks;
    NB_LET(const sql::Rows rows, session.query(rule.query));
    for (std::size_t i = 0; i < rows.size() && !sheet.full(); ++i) {
      columns::Damage damage;  // said elsewhere
      for (const std::string& id : rule.read(rows[i].text(2), damage))
        if (!there.contains(fmt::format("{} {}", rows[i].text(1), id)))
          sheet.add({std::string(rule.table), rows[i].string(0),
                     fmt::format("{} names '{}', which is not there", rule.column, id),
                     "ignored here; an official server may crash on it"});
    }
  }
  return {};
}

/// Peers and network resources that rules and groups name.
Result<> resources(Session& session, Sheet& sheet) {
  NB_LET(const auto peers, known(session, "peers"));
  NB_LET(const auto others, known(session, "network_resources"));
  for (const doctor::ResourceList& rule : doctor::resource_lists()) {
    NB_LET(const sql::Rows rows, session.query(rule.query));
    for (std::size_t i = 0; i < rows.size() && !sheet.full(); ++i) {
      columns::Damage damage;  // said elsewhere
      for (const Resource& resource : rule.read(rows[i].text(2), damage)) {
        const auto& there = resource.type == kResourcePeer ? peers : others;
        if (!resource.is_set() ||
            there.contains(fmt::format("{} {}", rows[i].text(1), resource.id)))
          continue;
        sheet.add({std::string(rule.table), rows[i].string(0),
                   fmt::format("{} names '{}', which is not there", rule.column, resource.id),
                   "stands for nobody"});
      }
    }
  }
  return {};
}

Result<> uniqueness(Session& session, Sheet& sheet) {
  NB_LET(const auto missing, constraints::missing(session));
  for (const constraints::Unique& unique : constraints::all()) {
    if (std::find(missing.begin(), missing.end(), unique.name) == missing.end()) continue;
    sheet.add({std::string(unique.table), std::string(unique.name), "unique index is not there",
               fmt::format("nothing guarantees {}; made at the next start when the rows allow it",
                           unique.invariant)});
    NB_LET(const auto rows,
           constraints::breaches(session, unique, static_cast<std::size_t>(sheet.query_limit())));
    for (const constraints::Breach& row : rows)
      sheet.add({std::string(unique.table), row.id,
                 fmt::format("{}: '{}' more than once", unique.columns, row.value),
                 fmt::format("breaks {}", unique.invariant)});
  }
  return {};
}

Result<> secrets(Session& session, Sheet& sheet, const FieldCodec& codec) {
  if (!codec.has_key()) return {};
  NB_LET(const sql::Rows rows, session.query("SELECT id, name, email FROM users ORDER BY id"));
  for (std::size_t i = 0; i < rows.size() && !sheet.full(); ++i)
    for (const auto& [column, name] : {std::pair{1, "name"}, std::pair{2, "email"}}) {
      const std::string_view stored = rows[i].text(static_cast<std::size_t>(column));
      if (stored.empty() || codec.open(stored, {"users", name, rows[i].text(0)})) continue;
      sheet.add(
          {"users", rows[i].string(0),
           looks_sealed(stored) ? fmt::format("{} does not open with this key", name)
                                : fmt::format("{} is not encrypted", name),
           looks_sealed(stored) ? "shown empty" : "shown as it is; encrypted when next written"});
    }
  return {};
}

}  // namespace

Result<Diagnosis> examine(sql::Database& database, const crypto::FieldCipher* cipher,
                          crypto::RandomSource& random, std::size_t limit, Instant deadline) {
  const auto codec = std::make_shared<const FieldCodec>(cipher, random);
  return database.run_blocking<Diagnosis>(
      deadline, {.isolation = sql::Isolation::kRepeatableRead, .read_only = true, .bulk = true},
      [codec, limit](Session& session) -> Result<Diagnosis> {
        Sheet sheet(limit);
        NB_TRY(structure(session, sheet));
        NB_TRY(unknown_accounts(session, sheet));
        NB_TRY(uniqueness(session, sheet));
        NB_TRY(nulls(session, sheet));
        NB_TRY(texts(session, sheet));
        NB_TRY(encodings(session, sheet));
        NB_TRY(values(session, sheet));
        NB_TRY(lists(session, sheet));
        NB_TRY(resources(session, sheet));
        NB_TRY(secrets(session, sheet, *codec));
        return sheet.take();
      });
}

}  // namespace nb::management
