// Which commits of SQLite outlast a power cut.
#include "sql/database.h"
#include "sql/test_database.h"
#include "sql/test_disk.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace nb::sql {
namespace {

namespace fs = std::filesystem;
using test::soon;

constexpr RunOptions kRelaxed{.durability = Durability::kRelaxed};

class SqliteDisk : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(run({}, "CREATE TABLE t (id bigint NOT NULL PRIMARY KEY)")); }

  Result<> run(const RunOptions& options, std::string statement) {
    return database_->run_blocking<void>(
        soon(), options, [statement = std::move(statement)](Session& s) -> Result<> {
          NB_TRY(s.exec(statement));
          return {};
        });
  }
  Result<> insert(const RunOptions& options, int id) {
    return run(options, "INSERT INTO t (id) VALUES (" + std::to_string(id) + ")");
  }

  static std::vector<std::int64_t> rows(const std::string& file) {
    auto dsn = Dsn::sqlite(file);
    auto database = Database::open(*std::move(dsn), {}, Logger());
    EXPECT_TRUE(database);
    const auto found = (*database)->run_blocking<std::vector<std::int64_t>>(
        soon(), {.read_only = true}, [](Session& s) -> Result<std::vector<std::int64_t>> {
          NB_LET(const Rows read, s.query("SELECT id FROM t ORDER BY id"));
          std::vector<std::int64_t> out;
          for (std::size_t i = 0; i < read.size(); ++i) out.push_back(read[i].integer(0));
          return out;
        });
    EXPECT_TRUE(found) << found.error().text;
    return found ? *found : std::vector<std::int64_t>{-1};
  }
  std::vector<std::int64_t> rows_after_power_cut() const {
    nb::test::TempDir elsewhere;
    test::disk().after_power_cut(file_, elsewhere);
    return rows(elsewhere / file_.filename().string());
  }
  std::vector<std::int64_t> rows_after_death() const {
    nb::test::TempDir elsewhere;
    test::Disk::after_death(file_, elsewhere);
    return rows(elsewhere / file_.filename().string());
  }

  test::TestDatabase fixture_{Engine::kSqlite};
  fs::path file_ = fixture_.dsn().file;
  std::unique_ptr<Database> database_ = fixture_.open();
};

using Ids = std::vector<std::int64_t>;

TEST_F(SqliteDisk, APowerCutLeavesEverythingUpToTheLastCommitOfFullDurability) {
  ASSERT_TRUE(insert({}, 1));
  ASSERT_TRUE(insert(kRelaxed, 2));
  ASSERT_TRUE(insert(kRelaxed, 3));
  EXPECT_EQ(rows_after_power_cut(), (Ids{1}));
  EXPECT_EQ(rows_after_death(), (Ids{1, 2, 3}));
  ASSERT_TRUE(insert({}, 4));
  EXPECT_EQ(rows_after_power_cut(), (Ids{1, 2, 3, 4}));
  ASSERT_TRUE(insert(kRelaxed, 5));
  EXPECT_EQ(rows_after_power_cut(), (Ids{1, 2, 3, 4}));
}

TEST_F(SqliteDisk, ALoneStatementIsOfFullDurability) {
  ASSERT_TRUE(insert(kRelaxed, 1));
  ASSERT_TRUE(insert({.single_statement = true}, 2));
  EXPECT_EQ(rows_after_power_cut(), (Ids{1, 2}));
}

TEST_F(SqliteDisk, WhatRequiresFullDurabilityIsDoneOnceAndHasIt) {
  int runs = 0;
  const auto done =
      database_->run_blocking<int>(soon(), {.durability = Durability::kRelaxed, .attempts_max = 1},
                                   [&runs](Session& s) -> Result<int> {
                                     ++runs;
                                     NB_TRY(s.exec("INSERT INTO t (id) VALUES (1)"));
                                     NB_TRY(s.require_full_durability());
                                     return 7;
                                   });
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(*done, 7);
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(rows_after_power_cut(), (Ids{1}));
}

TEST_F(SqliteDisk, RunningAgainWithFullDurabilityIsNoAttempt) {
  int runs = 0;
  const auto done = database_->run_blocking<void>(
      soon(), {.durability = Durability::kRelaxed, .attempts_max = 2},
      [&runs](Session& s) -> Result<> {
        // The second run finds no room for the table, so that there has to be a third.
        NB_TRY(
            s.script(++runs == 2 ? "PRAGMA max_page_count = 1" : "PRAGMA max_page_count = 1000"));
        NB_TRY(s.require_full_durability());
        NB_TRY(s.script("CREATE TABLE more (id bigint)"));
        NB_TRY(s.exec("INSERT INTO t (id) VALUES (1)"));
        return {};
      });
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(rows_after_power_cut(), (Ids{1}));
}

TEST_F(SqliteDisk, WhatRequiresFullDurabilityHasItAlsoIfTheWorkGoesOnRegardless) {
  const auto done = database_->run_blocking<void>(soon(), kRelaxed, [](Session& s) -> Result<> {
    NB_TRY(s.exec("INSERT INTO t (id) VALUES (1)"));
    ignore(s.require_full_durability(), "as a careless caller would");
    return {};
  });
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(rows_after_power_cut(), (Ids{1}));
}

TEST_F(SqliteDisk, ATransactionOfFullDurabilityIsToldNothing) {
  int runs = 0;
  ASSERT_TRUE(database_->run_blocking<void>(soon(), {}, [&runs](Session& s) {
    ++runs;
    return s.require_full_durability();
  }));
  EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace nb::sql
