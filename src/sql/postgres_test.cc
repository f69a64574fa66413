// What only PostgreSQL can do to us: restarts, cut connections, notifications.
#include "base/task_group.h"
#include "sql/listener.h"
#include "sql/test_database.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <thread>

namespace nb::sql {
namespace {

using namespace std::chrono_literals;
using nb::test::eventually;
using test::soon;

Result<> select_one(Database& database, std::chrono::milliseconds limit = 10s) {
  return database.run_blocking<void>(soon(limit), {.read_only = true},
                                     [](Session& session) -> Result<> {
                                       NB_TRY(session.query("SELECT 1"));
                                       return {};
                                     });
}

TEST(PostgresTest, DeadlockIsResolvedByTryingAgain) {
  const test::TestDatabase fixture(Engine::kPostgres);
  const auto database = fixture.open();
  ASSERT_TRUE(database->run_blocking<void>(soon(), {}, [](Session& s) {
    return s.script(
        "CREATE TABLE t (id integer PRIMARY KEY, n integer);"
        "INSERT INTO t VALUES (1, 0), (2, 0)");
  }));
  std::atomic<int> meeting{0};
  const auto cross = [&](int first, int second) {
    return database->run_blocking<void>(
        soon(), {}, [&, first, second](Session& session) -> Result<> {
          NB_TRY(session.exec("UPDATE t SET n = n + 1 WHERE id = $1", {first}));
          ++meeting;
          const bool met = eventually([&] { return meeting >= 2; });
          if (!met) return fail(Code::kInternal, "never met");
          NB_TRY(session.exec("UPDATE t SET n = n + 1 WHERE id = $1", {second}));
          return {};
        });
  };
  Result<> other;
  std::thread thread([&] { other = cross(2, 1); });
  const auto mine = cross(1, 2);
  thread.join();
  EXPECT_TRUE(mine) << mine.error().text;
  EXPECT_TRUE(other) << other.error().text;
  EXPECT_EQ(test::postgres().psql("SELECT string_agg(n::text, ',') FROM t", fixture.name()), "2,2");
}

TEST(PostgresTest, CutConnectionsAreReplacedWithoutTheCallerNoticing) {
  const test::TestDatabase fixture(Engine::kPostgres);
  const auto database = fixture.open();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(select_one(*database));
    test::postgres().break_connections();
    const auto done = select_one(*database);
    ASSERT_TRUE(done) << done.error().text;
  }
}

TEST(PostgresTest, ConnectionsWithoutWorkAreGivenBackAndOpenedAgain) {
  const test::TestDatabase fixture(Engine::kPostgres);
  DatabaseOptions options;
  options.workers = 4;
  options.connection_idle_max = 100ms;
  const auto database = fixture.open(options);
  const auto open_now = [&] {
    return test::postgres().psql("SELECT count(*) FROM pg_stat_activity WHERE datname = '" +
                                 fixture.name() + "' AND pid <> pg_backend_pid()");
  };
  ASSERT_TRUE(select_one(*database));
  EXPECT_TRUE(eventually([&] { return open_now() == "0"; })) << open_now();
  const auto again = select_one(*database);
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_TRUE(eventually([&] { return open_now() == "0"; })) << open_now();
}

TEST(PostgresTest, AConnectionAtWorkIsNotIdleHoweverLongThatTakes) {
  const test::TestDatabase fixture(Engine::kPostgres);
  DatabaseOptions options;
  options.workers = 4;
  options.connection_idle_max = 10ms;
  const auto database = fixture.open(options);
  const auto slow = database->run_blocking<void>(soon(), {}, [](Session& session) -> Result<> {
    NB_TRY(session.query("SELECT pg_sleep(0.3)"));
    NB_TRY(session.query("SELECT 1"));
    return {};
  });
  EXPECT_TRUE(slow) << slow.error().text;
}

TEST(PostgresTest, ARestartIsUnavailableForAWhileAndThenHeals) {
  nb::test::PostgresServer server;
  auto dsn = Dsn::postgres(server.dsn());
  ASSERT_TRUE(dsn);
  auto database = Database::open(*std::move(dsn), {}, {});
  ASSERT_TRUE(database);
  ASSERT_TRUE(select_one(**database));
  server.stop();
  const auto away = select_one(**database);
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().code, Code::kUnavailable) << away.error().text;
  server.start();
  EXPECT_TRUE(eventually([&] { return select_one(**database).has_value(); }));
}

TEST(PostgresTest, AFrozenServerCostsNoMoreThanTheDeadline) {
  nb::test::PostgresServer server;
  auto dsn = Dsn::postgres(server.dsn());
  ASSERT_TRUE(dsn);
  DatabaseOptions options;
  options.workers = 1;
  auto database = Database::open(*std::move(dsn), options, {});
  ASSERT_TRUE(database);
  ASSERT_TRUE(select_one(**database));
  const std::string pid =
      server.psql("SELECT pid FROM pg_stat_activity WHERE application_name = 'netbird'");
  ASSERT_FALSE(pid.empty());
  ::kill(std::stoi(pid), SIGSTOP);
  const Instant start = std::chrono::steady_clock::now();
  const auto done = select_one(**database, 500ms);
  EXPECT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kDeadlineExceeded) << done.error().text;
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  ::kill(std::stoi(pid), SIGCONT);
  EXPECT_TRUE(eventually([&] { return select_one(**database).has_value(); }));
}

TEST(PostgresTest, AServerThatTakesNoWritesIsNotReadFromEither) {  // management-grpc.md §4
  const test::TestDatabase fixture(Engine::kPostgres);
  const auto alter = "ALTER DATABASE " + fixture.name();
  test::postgres().psql(alter + " SET default_transaction_read_only = on");
  const auto database = fixture.open();
  const auto refused = select_one(*database);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable) << refused.error().text;
  test::postgres().psql(alter + " RESET default_transaction_read_only");
  EXPECT_TRUE(select_one(*database));
}

TEST(PostgresTest, ErrorsNeverShowThePassword) {
  auto dsn = Dsn::postgres("host=127.0.0.1 port=1 user=netbird password=hunter2x dbname=netbird");
  ASSERT_TRUE(dsn);
  auto database = Database::open(*std::move(dsn), {}, {});
  ASSERT_TRUE(database);
  const auto done = select_one(**database, 2s);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kUnavailable);
  EXPECT_EQ(done.error().text.find("hunter2x"), std::string::npos) << done.error().text;
}

TEST(PostgresTest, StalePlansArePreparedAnewAfterASchemaChange) {
  const test::TestDatabase fixture(Engine::kPostgres);
  DatabaseOptions options;
  options.workers = 1;
  const auto database = fixture.open(options);
  const auto columns = [&] {
    return database->run_blocking<std::size_t>(
        soon(), {.read_only = true}, [](Session& session) -> Result<std::size_t> {
          NB_LET(const Rows rows, session.query("SELECT * FROM t"));
          return rows.columns();
        });
  };
  test::postgres().psql("CREATE TABLE t (a integer)", fixture.name());
  ASSERT_EQ(*columns(), 1U);
  test::postgres().psql("ALTER TABLE t ADD COLUMN b integer", fixture.name());
  const auto after = columns();
  ASSERT_TRUE(after) << after.error().text;
  EXPECT_EQ(*after, 2U);
}

TEST(PostgresTest, ANotificationIsDeliveredOnCommitOnlyAndALostConnectionIsAGap) {
  const test::TestDatabase fixture(Engine::kPostgres);
  const auto database = fixture.open();
  boost::asio::io_context loop;
  std::vector<std::string> heard;
  int gaps = 0;
  Listener listener(fixture.dsn(), {.channels = {"nb_test"}},
                    {.on_notify =
                         [&](std::string_view channel, std::string_view payload) {
                           heard.push_back(std::string(channel) + ":" + std::string(payload));
                         },
                     .on_gap = [&] { ++gaps; }},
                    {});
  TaskGroup tasks(loop.get_executor());
  tasks.spawn(listener.run());
  const auto until = [&](const std::function<bool()>& condition) {
    return eventually([&] {
      loop.run_for(5ms);
      loop.restart();
      return condition();
    });
  };
  ASSERT_TRUE(until([&] { return gaps == 1; }));
  EXPECT_TRUE(listener.connected());
  // Administrators tell connections apart by this.
  EXPECT_EQ(test::postgres().psql("SELECT count(*) FROM pg_stat_activity WHERE datname = '" +
                                      fixture.name() + "' AND application_name = 'netbird-listen'",
                                  "postgres"),
            "1");
  const auto say = [&](const char* text, bool commit) {
    return database->run_blocking<void>(soon(), {}, [text, commit](Session& session) -> Result<> {
      NB_TRY(session.notify("nb_test", text));
      if (!commit) return fail(Code::kNotFound, "rolled back");
      return {};
    });
  };
  EXPECT_FALSE(say("never", false));
  EXPECT_TRUE(say("first", true));
  ASSERT_TRUE(until([&] { return !heard.empty(); }));
  EXPECT_EQ(heard, std::vector<std::string>{"nb_test:first"});
  test::postgres().break_connections();
  ASSERT_TRUE(until([&] { return gaps == 2; }));
  EXPECT_TRUE(say("second", true));
  ASSERT_TRUE(until([&] { return heard.size() == 2; }));
  EXPECT_EQ(heard.back(), "nb_test:second");
  boost::asio::co_spawn(loop, tasks.stop(), [](std::exception_ptr) {});
  EXPECT_TRUE(until([&] { return tasks.size() == 0; }));
}

}  // namespace
}  // namespace nb::sql
