// What instances say of themselves beside their lease, on both engines.
#include "management/store/instance_rows.h"

#include "management/store/test_example.h"

#include <gtest/gtest.h>

namespace nb::management {
namespace {

using namespace test;
using namespace std::chrono_literals;

class InstanceRowsTest : public testing::TestWithParam<sql::Engine> {
 protected:
  void SetUp() override { ASSERT_TRUE(instance_.prepare()); }
  void beat(const std::string& id, std::int64_t incarnation, std::chrono::milliseconds ttl = 60s) {
    ASSERT_TRUE(get(instance_.store->heartbeat(soon(), InstanceId(id), incarnation, ttl)));
  }
  std::vector<ListedInstance> list() {
    auto rows = get(rows_->list(soon()));
    EXPECT_TRUE(rows) << rows.error().text;
    return rows ? rows->instances : std::vector<ListedInstance>{};
  }
  Result<> tell(const std::string& id, std::int64_t incarnation, std::string facts) {
    return get(rows_->tell(soon(), InstanceId(id), incarnation, std::move(facts)));
  }
  /// Whether it is told to drain.
  bool ordered(const std::string& id, std::int64_t incarnation) {
    const auto answer = get(rows_->drain_ordered(soon(), InstanceId(id), incarnation));
    EXPECT_TRUE(answer) << answer.error().text;
    return answer && *answer;
  }

  sql::test::TestDatabase fixture_{GetParam()};
  Instance instance_{fixture_};
  std::unique_ptr<InstanceRows> rows_ = make_sql_instance_rows(*instance_.database);
};

TEST_P(InstanceRowsTest, FactsStandBesideTheLease) {
  beat("a", 7);
  beat("b", 8);
  ASSERT_TRUE(tell("a", 7, "version=1"));
  EXPECT_FALSE(ordered("a", 7));
  const auto seen = list();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].id, "a");
  EXPECT_EQ(seen[0].incarnation, 7);
  EXPECT_TRUE(seen[0].alive());
  EXPECT_EQ(seen[0].facts, "version=1");
  EXPECT_EQ(seen[1].facts, "");  // as rows of older versions
  beat("a", 7);                  // a heartbeat keeps them
  EXPECT_EQ(list()[0].facts, "version=1");
}

TEST_P(InstanceRowsTest, ANewProcessHasToldNothingYet) {
  beat("a", 7);
  ASSERT_TRUE(tell("a", 7, "state=drained"));
  beat("a", 9);
  EXPECT_EQ(list()[0].facts, "");
}

TEST_P(InstanceRowsTest, AnOlderProcessSaysNothingOfItsSuccessor) {
  beat("a", 7);
  beat("a", 9);
  const auto told = tell("a", 7, "state=draining");
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().code, Code::kAborted);
  EXPECT_EQ(list()[0].facts, "");
}

TEST_P(InstanceRowsTest, AnOrderToDrainEndsWithTheProcess) {
  beat("a", 7);
  ASSERT_TRUE(get(rows_->order_drain(soon(), InstanceId("a"), 7)));
  EXPECT_TRUE(list()[0].drain_ordered);
  EXPECT_TRUE(ordered("a", 7));
  EXPECT_TRUE(ordered("a", 7));  // it stands
  beat("a", 9);
  EXPECT_FALSE(list()[0].drain_ordered);
  EXPECT_FALSE(ordered("a", 9));
}

TEST_P(InstanceRowsTest, NobodyOrdersTheDead) {
  const auto unknown = get(rows_->order_drain(soon(), InstanceId("a"), 7));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kNotFound);
  beat("a", 7);
  ASSERT_TRUE(get(instance_.store->retire(soon(), InstanceId("a"), 7)));
  EXPECT_TRUE(list().empty());  // it said good-bye
  EXPECT_FALSE(get(rows_->order_drain(soon(), InstanceId("a"), 7)));
}

TEST_P(InstanceRowsTest, ADatabaseOfAnOlderVersionIsRead) {
  beat("a", 7);
  instance_.sql(
      "ALTER TABLE nb_instances DROP COLUMN facts;"
      "ALTER TABLE nb_instances DROP COLUMN drain_incarnation");
  const auto seen = list();
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].id, "a");
  EXPECT_TRUE(seen[0].alive());
  EXPECT_FALSE(seen[0].drain_ordered);
}

INSTANTIATE_TEST_SUITE_P(Engines, InstanceRowsTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& p) {
                           return p.param == sql::Engine::kSqlite ? "sqlite" : "postgres";
                         });

}  // namespace
}  // namespace nb::management
