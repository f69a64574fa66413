// What we write is what upstream writes: each row of the example databases, read and written again,
// has the same text in every column.
#include "management/store/rows.h"
#include "management/store/test_example.h"

#include <functional>

namespace nb::management {
namespace {

using namespace test;
using columns::Damage;

/// A table with the writer of its rows; the first `compared` values are those of `select`, in
/// order.
struct Table {
  const char* name;
  std::string select;
  std::function<rows::Write(sql::RowReader&, Damage&)> rewrite;
  std::size_t secret_tail = 0;  // encrypted with a fresh nonce each time
};

std::vector<Table> tables(const FieldCodec& codec) {
  using namespace rows;
  return {
      {"accounts a", account_columns(),
       [](auto& r, auto& d) { return insert_account(read_account(r, d)); }},
      {"peers p", peer_columns(), [](auto& r, auto& d) { return insert_peer(read_peer(r, d)); }},
      {"users u", user_columns(),
       [&codec](auto& r, auto& d) { return insert_user(read_user(r, codec, d), codec); }, 2},
      {"groups g", group_columns(),
       [](auto& r, auto& d) { return insert_group(read_group(r, d)); }},
      {"policies o", policy_columns(),
       [](auto& r, auto& d) { return insert_policy(read_policy(r, d), false); }},
      {"policy_rules r", rule_columns(),
       [](auto& r, auto& d) { return insert_rule(read_rule(r, d)); }},
      {"setup_keys k", setup_key_columns(),
       [](auto& r, auto& d) { return insert_setup_key(read_setup_key(r, d)); }},
      {"posture_checks c", posture_check_columns(),
       [](auto& r, auto& d) { return insert_posture_check(read_posture_check(r, d)); }},
      {"routes t", route_columns(),
       [](auto& r, auto& d) { return insert_route(read_route(r, d)); }},
      {"networks n", network_columns(),
       [](auto& r, auto& d) { return insert_network(read_network(r, d)); }},
      {"network_routers w", router_columns(),
       [](auto& r, auto& d) { return insert_router(read_router(r, d)); }},
      {"network_resources e", resource_columns(),
       [](auto& r, auto& d) { return insert_resource(read_resource(r, d)); }},
      {"name_server_groups s", name_server_group_columns(),
       [](auto& r, auto& d) { return insert_name_server_group(read_name_server_group(r, d)); }},
      {"zones z", zone_columns(), [](auto& r, auto& d) { return insert_zone(read_zone(r, d)); }},
      {"records d", record_columns(),
       [](auto& r, auto& d) { return insert_record(read_record(r, d)); }},
  };
}

/// NULL, null and the empty list or object are one thing to every reader.
bool both_empty(std::string_view a, std::string_view b) {
  const auto empty = [](std::string_view text) {
    return text.empty() || text == "null" || text == "[]" || text == "{}";
  };
  return empty(a) && empty(b);
}

void expect_same(const sql::Row& row, std::size_t column, const sql::Param& written,
                 const std::string& where) {
  using Kind = sql::Param::Kind;
  const std::string_view stored = row.text(column);
  switch (written.kind()) {
    case Kind::kInt:
      EXPECT_EQ(row.integer(column), written.integer()) << where;
      return;
    case Kind::kBool:
      EXPECT_EQ(row.boolean(column), written.integer() != 0) << where;
      return;
    case Kind::kText:
    case Kind::kNull: {
      if (both_empty(stored, written.text()) || stored == written.text()) return;
      const auto time = sql::parse_time(stored);
      EXPECT_TRUE(time && sql::parse_time(written.text()) == time)
          << where << ": stored " << stored << ", written " << written.text();
      return;
    }
    default:
      FAIL() << where;
  }
}

class EncodingTest : public testing::TestWithParam<sql::Engine> {};

TEST_P(EncodingTest, RowsWrittenByUsAreThoseOfUpstream) {
  const sql::test::TestDatabase fixture(GetParam());
  load_example(fixture);
  const Instance instance(fixture);
  const FieldCodec codec(&example_cipher(), random_source());
  for (const Table& table : tables(codec)) {
    const std::string text = "SELECT " + table.select + " FROM " + table.name;
    const auto rows = instance.database->run_blocking<sql::Rows>(
        soon(), {.read_only = true}, [&](sql::Session& session) { return session.query(text); });
    ASSERT_TRUE(rows) << text << ": " << rows.error().text;
    ASSERT_GT(rows->size(), 0U) << table.name;
    for (std::size_t i = 0; i < rows->size(); ++i) {
      sql::RowReader reader((*rows)[i]);
      Damage damage;
      const rows::Write write = table.rewrite(reader, damage);
      EXPECT_EQ(damage.fields, 0U) << table.name << " row " << i;
      ASSERT_GE(write.values.size(), rows->columns());
      for (std::size_t c = 0; c + table.secret_tail < rows->columns(); ++c)
        expect_same(
            (*rows)[i], c, write.values[c],
            std::string(table.name) + " row " + std::to_string(i) + " column " + std::to_string(c));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, EncodingTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& p) {
                           return p.param == sql::Engine::kPostgres ? "Postgres" : "Sqlite";
                         });

}  // namespace
}  // namespace nb::management
