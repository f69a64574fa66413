// The same promises on SQLite and on a real PostgreSQL.
#include "sql/database.h"

#include "sql/migration.h"
#include "sql/test_database.h"
#include "sql/worker_pool.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <thread>

namespace nb::sql {
namespace {

using namespace std::chrono_literals;
using test::soon;

Result<std::int64_t> count_rows(Database& database) {
  return database.run_blocking<std::int64_t>(
      soon(), {.read_only = true}, [](Session& session) -> Result<std::int64_t> {
        NB_LET(const Rows rows, session.query("SELECT COUNT(*) FROM t"));
        return rows[0].integer(0);
      });
}

class DatabaseTest : public testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    database_ = fixture_.open();
    const auto made = database_->run_blocking<void>(soon(), {}, [](Session& session) {
      return session.script(
          "CREATE TABLE t (id bigint NOT NULL PRIMARY KEY, name text, flag boolean, at timestamp);"
          "CREATE UNIQUE INDEX t_name ON t (name);"
          "CREATE TABLE child (id bigint PRIMARY KEY, t_id bigint REFERENCES t (id))");
    });
    ASSERT_TRUE(made) << made.error().text;
  }
  Result<> exec(const char* statement) {
    return database_->run_blocking<void>(soon(), {},
                                         [statement](Session& s) { return s.script(statement); });
  }
  test::TestDatabase fixture_{GetParam()};
  std::unique_ptr<Database> database_;
};

TEST_P(DatabaseTest, ValuesOfAllKindsComeBackAsTheyWent) {
  const WallTime time = std::chrono::sys_days(std::chrono::year(2026) / 5 / 4) + 3h + 123456us;
  const auto rows =
      database_->run_blocking<Rows>(soon(), {}, [time](Session& session) -> Result<Rows> {
        NB_TRY(session.exec("INSERT INTO t (id, name, flag, at) VALUES ($1, $2, $3, $4)",
                            {std::int64_t{9'000'000'000}, "naïve 'quote'", true, time}));
        NB_TRY(session.exec("INSERT INTO t (id, name, flag, at) VALUES ($1, $2, $3, $4)",
                            {2, nullptr, nullptr, nullptr}));
        return session.query("SELECT id, name, flag, at FROM t ORDER BY id DESC");
      });
  ASSERT_TRUE(rows) << rows.error().text;
  ASSERT_EQ(rows->size(), 2U);
  RowReader row((*rows)[0]);
  EXPECT_EQ(row.integer(), 9'000'000'000);
  EXPECT_EQ(row.text(), "naïve 'quote'");
  EXPECT_TRUE(row.boolean());
  EXPECT_EQ(row.time(), time);
  EXPECT_TRUE((*rows)[1].null(1));
  EXPECT_TRUE((*rows)[1].null(3));
}

TEST_P(DatabaseTest, AnErrorOfTheWorkRollsEverythingBack) {
  const auto done = database_->run_blocking<void>(soon(), {}, [](Session& session) -> Result<> {
    NB_TRY(session.exec("INSERT INTO t (id) VALUES (1)"));
    return fail(Code::kNotFound, "changed my mind");
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error(), fail(Code::kNotFound, "changed my mind"));
  EXPECT_EQ(*count_rows(*database_), 0);
}

TEST_P(DatabaseTest, UniqueViolationNamesItsConstraint) {
  ASSERT_TRUE(exec("INSERT INTO t (id, name) VALUES (1, 'a')"));
  const auto constraint =
      database_->run_blocking<std::string>(soon(), {}, [](Session& session) -> Result<std::string> {
        const auto twice = session.exec("INSERT INTO t (id, name) VALUES (2, 'a')");
        if (twice || twice.error().code != Code::kAlreadyExists)
          return fail(Code::kInternal, "expected a violation");
        if (session.violation().kind != Violation::Kind::kUnique)
          return fail(Code::kInternal, "wrong kind");
        return fail(Code::kOutOfRange, "{}", session.violation().constraint);
      });
  ASSERT_FALSE(constraint);
  EXPECT_EQ(constraint.error().text, GetParam() == Engine::kPostgres ? "t_name" : "t.name");
}

TEST_P(DatabaseTest, ForeignKeysAreEnforced) {
  const auto done = exec("INSERT INTO child (id, t_id) VALUES (1, 77)");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kFailedPrecondition);
}

TEST_P(DatabaseTest, ReadOnlyWorkCannotWrite) {
  const auto done = database_->run_blocking<void>(
      soon(), {.read_only = true},
      [](Session& session) { return session.script("INSERT INTO t (id) VALUES (1)"); });
  EXPECT_FALSE(done);
  EXPECT_EQ(*count_rows(*database_), 0);
}

TEST_P(DatabaseTest, ALongStatementEndsAtTheDeadline) {
  const Instant start = std::chrono::steady_clock::now();
  const char* statement = GetParam() == Engine::kPostgres
                              ? "SELECT pg_sleep(60)"
                              : "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                                "SELECT COUNT(*) FROM n";
  const auto done = database_->run_blocking<Rows>(
      start + 300ms, {.read_only = true},
      [statement](Session& session) { return session.query(statement); });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kDeadlineExceeded) << done.error().text;
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  EXPECT_TRUE(count_rows(*database_));  // and the connection serves on
}

TEST_P(DatabaseTest, ConcurrentIncrementsAreNeverLost) {
  ASSERT_TRUE(exec("INSERT INTO t (id, name) VALUES (0, '0')"));
  constexpr int kThreads = 8;
  constexpr int kRounds = 25;
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([this, &failures] {
      for (int r = 0; r < kRounds; ++r) {
        // Read, then write: only retries after serialization failures make the sum right.
        const auto done = database_->run_blocking<void>(
            soon(), {.isolation = Isolation::kSerializable, .attempts_max = 1'000},
            [](Session& session) -> Result<> {
              NB_LET(const Rows rows, session.query("SELECT name FROM t WHERE id = 0"));
              const std::string next = std::to_string(rows[0].integer(0) + 1);
              NB_TRY(session.exec("UPDATE t SET name = $1 WHERE id = 0", {next}));
              return {};
            });
        if (!done) ++failures;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  const auto rows = database_->run_blocking<Rows>(soon(), {.read_only = true}, [](Session& s) {
    return s.query("SELECT name FROM t WHERE id = 0");
  });
  EXPECT_EQ((*rows)[0].integer(0), kThreads * kRounds);
}

TEST_P(DatabaseTest, AnswersComeOnTheCallersExecutor) {
  boost::asio::io_context loop;
  std::thread::id seen;
  Result<int> answer;
  boost::asio::co_spawn(
      loop,
      [](Database* database, std::thread::id* where,
         Result<int>* out) -> boost::asio::awaitable<void> {
        std::function<Result<int>(Session&)> work = [](Session&) -> Result<int> { return 5; };
        *out = co_await database->run<int>(soon(), {}, std::move(work));
        *where = std::this_thread::get_id();
      }(database_.get(), &seen, &answer),
      [](std::exception_ptr) {});
  loop.run();
  EXPECT_EQ(seen, std::this_thread::get_id());
  ASSERT_TRUE(answer);
  EXPECT_EQ(*answer, 5);
}

TEST_P(DatabaseTest, AFullQueueRefusesAtOnceAndWaitingWorkEndsAtItsDeadline) {
  DatabaseOptions options;
  options.workers = 1;
  options.queue_max = 2;
  const auto small = fixture_.open(options);
  std::promise<void> release;
  const auto gate = release.get_future().share();
  std::atomic<bool> started{false};
  std::thread holder([&] {
    const auto done = small->run_blocking<void>(soon(), {}, [gate, &started](Session&) -> Result<> {
      started = true;
      gate.wait();
      return {};
    });
    EXPECT_TRUE(done) << done.error().text;
  });
  ASSERT_TRUE(nb::test::eventually([&] { return started.load(); }));
  // Submitted one after the other from one thread: two wait, the third finds the queue full.
  boost::asio::io_context loop;
  std::vector<Code> codes;
  for (int i = 0; i < 3; ++i)
    boost::asio::co_spawn(
        loop,
        [](Database* database, std::vector<Code>* out) -> boost::asio::awaitable<void> {
          std::function<Result<>(Session&)> work = [](Session&) -> Result<> { return {}; };
          const auto done = co_await database->run<void>(soon(300ms), {}, std::move(work));
          out->push_back(done ? Code::kOk : done.error().code);
        }(small.get(), &codes),
        [](std::exception_ptr) {});
  loop.run();
  // The waiting ones ended at their deadline although the only worker was never free.
  EXPECT_EQ(codes, (std::vector<Code>{Code::kResourceExhausted, Code::kDeadlineExceeded,
                                      Code::kDeadlineExceeded}));
  release.set_value();
  holder.join();
}

TEST_P(DatabaseTest, WaitingWorkOfASoonerDeadlineEndsBeforeThatInFrontOfIt) {
  DatabaseOptions options;
  options.workers = 1;
  const auto small = fixture_.open(options);
  std::promise<void> release;
  const auto gate = release.get_future().share();
  std::atomic<bool> started{false};
  boost::asio::io_context loop;
  std::vector<std::pair<int, Code>> ended;
  const auto ask = [&](int number, std::chrono::milliseconds within,
                       std::function<Result<>(Session&)> work) {
    boost::asio::co_spawn(
        loop,
        [](Database* database, int n, Instant until, std::function<Result<>(Session&)> what,
           std::vector<std::pair<int, Code>>* out) -> boost::asio::awaitable<void> {
          const auto done = co_await database->run<void>(until, {}, std::move(what));
          out->emplace_back(n, done ? Code::kOk : done.error().code);
        }(small.get(), number, soon(within), std::move(work), &ended),
        [](std::exception_ptr) {});
  };
  ask(0, 60s, [gate, &started](Session&) -> Result<> {
    started = true;
    gate.wait();
    return {};
  });
  loop.poll();
  ASSERT_TRUE(nb::test::eventually([&] { return started.load(); }));
  ask(1, 50s, [](Session&) -> Result<> { return {}; });
  ask(2, 200ms, [](Session&) -> Result<> { return {}; });
  const Instant limit = soon(20s);
  while (ended.empty() && std::chrono::steady_clock::now() < limit) loop.run_one_for(1s);
  EXPECT_EQ(ended, (std::vector<std::pair<int, Code>>{{2, Code::kDeadlineExceeded}}));
  release.set_value();
  loop.restart();
  loop.run();
  EXPECT_EQ(ended.size(), 3U);
}

TEST_P(DatabaseTest, CancellingTheCallerEndsTheWork) {
  boost::asio::io_context loop;
  boost::asio::cancellation_signal signal;
  Result<Rows> answer;
  const char* statement = GetParam() == Engine::kPostgres
                              ? "SELECT pg_sleep(60)"
                              : "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                                "SELECT COUNT(*) FROM n";
  const Instant start = std::chrono::steady_clock::now();
  boost::asio::co_spawn(
      loop,
      [](Database* database, const char* text, Result<Rows>* out) -> boost::asio::awaitable<void> {
        co_await boost::asio::this_coro::throw_if_cancelled(false);
        std::function<Result<Rows>(Session&)> work = [text](Session& s) { return s.query(text); };
        *out = co_await database->run<Rows>(soon(), {.read_only = true}, std::move(work));
      }(database_.get(), statement, &answer),
      boost::asio::bind_cancellation_slot(signal.slot(), [](std::exception_ptr) {}));
  boost::asio::steady_timer timer(loop, 100ms);
  timer.async_wait([&](auto) { signal.emit(boost::asio::cancellation_type::terminal); });
  loop.run();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kCancelled) << answer.error().text;
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
}

Migration table_migration(int version, const std::string& table) {
  return {version, "make " + table, [table](Session& session, MigrationReport& report) -> Result<> {
            report.push_back(table);
            return session.script("CREATE TABLE " + table + " (id integer)");
          }};
}

TEST_P(DatabaseTest, MigrationsRunOnceAlsoWhenInstancesRace) {
  const std::vector<Migration> migrations = {table_migration(1, "m1"), table_migration(2, "m2"),
                                             table_migration(3, "m3")};
  const auto before = check_migrations(*database_, {"test", migrations}, soon());
  ASSERT_TRUE(before) << before.error().text;
  EXPECT_EQ(before->applied, 0);
  EXPECT_EQ(before->pending.size(), 3U);
  std::atomic<std::size_t> applied{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      const auto other = fixture_.open();
      const auto report = migrate(*other, {"test", migrations}, soon(), {});
      ASSERT_TRUE(report) << report.error().text;
      applied += report->size();
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(applied, 3U);
  EXPECT_EQ(check_migrations(*database_, {"test", migrations}, soon())->pending.size(), 0U);
}

TEST_P(DatabaseTest, AFailedMigrationLeavesNothingAndNamesItself) {
  const std::vector<Migration> migrations = {
      table_migration(1, "m1"), {2, "broken", [](Session& session, MigrationReport&) -> Result<> {
                                   NB_TRY(session.script("CREATE TABLE half (id integer)"));
                                   return session.script("CREATE TABLE half (id integer)");
                                 }}};
  const auto report = migrate(*database_, {"test", migrations}, soon(), {});
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().text.find("migration test/2 'broken'"), std::string::npos);
  EXPECT_EQ(check_migrations(*database_, {"test", migrations}, soon())->applied, 1);
  EXPECT_FALSE(exec("INSERT INTO half (id) VALUES (1)"));
}

TEST(SqliteWithoutAName, ReadsAsAnEmptyDatabaseAndMakesNoFile) {
  const nb::test::TempDir folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  Dsn dsn;
  dsn.engine = Engine::kSqlite;
  const auto database = Database::open(dsn, {}, Logger());
  ASSERT_TRUE(database) << database.error().text;
  const MigrationSet set{"c", {{1, "first", {}}}};
  const auto state = check_migrations(**database, set, soon());
  std::filesystem::current_path(before);
  ASSERT_TRUE(state) << state.error().text;
  EXPECT_EQ(state->applied, 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

/// Work of relaxed durability that waits while other such work runs.
class CompanyTest : public testing::Test {
 protected:
  static constexpr RunOptions kMark{.durability = Durability::kRelaxed};
  using Work = std::function<Result<>(Session&)>;

  void SetUp() override {
    const auto made = database_->run_blocking<void>(soon(), {}, [](Session& session) {
      return session.script(
          "CREATE TABLE t (id bigint NOT NULL PRIMARY KEY); CREATE TABLE child (t_id bigint "
          "REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)");
    });
    ASSERT_TRUE(made) << made.error().text;
  }
  void TearDown() override {
    loop_.run();
    database_->stop();
  }
  static Work insert(int id) {
    return [id](Session& s) -> Result<> {
      NB_TRY(s.exec("INSERT INTO t (id) VALUES ($1)", {id}));
      return {};
    };
  }
  /// The answer comes once loop_ has run.
  void start(Work work, Result<>& out, const RunOptions& options = kMark,
             Instant deadline = soon()) {
    boost::asio::co_spawn(
        loop_,
        [](Database* database, Instant by, RunOptions how, Work what,
           Result<>* result) -> boost::asio::awaitable<void> {
          *result = co_await database->run<void>(by, how, std::move(what));
        }(database_.get(), deadline, options, std::move(work), &out),
        boost::asio::detached);
  }
  /// Runs `host` while `guests` wait in their order.
  void together(Work host, std::vector<std::pair<Work, RunOptions>> guests) {
    loop_.restart();
    results_.assign(guests.size() + 1, Result<>(fail(Code::kInternal, "not run")));
    std::promise<void> begun;
    std::promise<void> go;
    auto going = go.get_future().share();
    bool first = true;
    start(
        [&, host = std::move(host)](Session& s) -> Result<> {
          if (std::exchange(first, false)) {
            begun.set_value();
            going.wait();
          }
          return host(s);
        },
        results_[0]);
    loop_.poll();
    begun.get_future().wait();
    for (std::size_t i = 0; i < guests.size(); ++i)
      start(std::move(guests[i].first), results_[i + 1], guests[i].second);
    loop_.poll();
    go.set_value();
    loop_.restart();
    loop_.run();
  }
  std::vector<std::int64_t> ids() {
    const auto rows = database_->run_blocking<Rows>(soon(), {.read_only = true}, [](Session& s) {
      return s.query("SELECT id FROM t ORDER BY id");
    });
    std::vector<std::int64_t> out;
    for (std::size_t i = 0; i < rows->size(); ++i) out.push_back((*rows)[i].integer(0));
    return out;
  }

  using Ids = std::vector<std::int64_t>;
  test::TestDatabase fixture_{Engine::kSqlite};
  std::unique_ptr<Database> database_ = fixture_.open();
  boost::asio::io_context loop_;
  std::vector<Result<>> results_;
};

TEST_F(CompanyTest, WhatWaitsIsDoneInOneTransaction) {
  int commits = 0;
  const auto count = [this, &commits](Session& s) -> Result<> {
    // Others see what has been committed.
    const auto seen = count_rows(*database_);
    EXPECT_TRUE(seen);
    commits += seen && *seen > 0 ? 1 : 0;
    NB_TRY(s.exec("INSERT INTO t (id) SELECT MAX(id) + 1 FROM t"));
    return {};
  };
  together(insert(1), {{count, kMark}, {count, kMark}});
  for (const auto& result : results_) EXPECT_TRUE(result) << result.error().text;
  EXPECT_EQ(commits, 0);
  EXPECT_EQ(ids(), (Ids{1, 2, 3}));
}

TEST_F(CompanyTest, WhoFailsTakesBackOnlyItsOwn) {
  int runs = 0;
  const Work refused = [&runs](Session& s) -> Result<> {
    ++runs;
    NB_TRY(s.exec("INSERT INTO t (id) VALUES (7)"));
    return fail(Code::kNotFound, "decided");
  };
  together(insert(1), {{refused, kMark}, {insert(1), kMark}, {insert(2), kMark}});
  EXPECT_TRUE(results_[0]);
  ASSERT_FALSE(results_[1]);
  EXPECT_EQ(results_[1].error(), (Error{Code::kNotFound, "decided"}));
  EXPECT_EQ(runs, 1);
  ASSERT_FALSE(results_[2]);
  EXPECT_EQ(results_[2].error().code, Code::kAlreadyExists);
  EXPECT_TRUE(results_[3]);
  EXPECT_EQ(ids(), (Ids{1, 2}));
}

TEST_F(CompanyTest, WhatBreaksTheTransactionHarmsNobodyElse) {
  const Work orphan = [](Session& s) -> Result<> {  // noticed by the COMMIT
    NB_TRY(s.exec("INSERT INTO child (t_id) VALUES (99)"));
    return {};
  };
  const Work gone = [](Session& s) -> Result<> {
    NB_TRY(s.exec("INSERT INTO t (id) VALUES (8)"));
    NB_TRY(s.script("ROLLBACK"));
    return fail(Code::kInternal, "as a full disk would do");
  };
  together(insert(1), {{insert(2), kMark}, {orphan, kMark}, {insert(3), kMark}});
  EXPECT_TRUE(results_[0]);
  EXPECT_TRUE(results_[1]);
  EXPECT_FALSE(results_[2]);
  EXPECT_TRUE(results_[3]);
  EXPECT_EQ(ids(), (Ids{1, 2, 3}));
  together(insert(4), {{insert(5), kMark}, {gone, kMark}, {insert(6), kMark}});
  EXPECT_TRUE(results_[0]);
  EXPECT_TRUE(results_[1]);
  EXPECT_FALSE(results_[2]);
  EXPECT_TRUE(results_[3]);
  EXPECT_EQ(ids(), (Ids{1, 2, 3, 4, 5, 6}));
}

TEST_F(CompanyTest, WhatMustLastRunsByItself) {
  int runs = 0;
  const Work lasting = [&runs](Session& s) -> Result<> {
    ++runs;
    NB_TRY(s.exec("INSERT INTO t (id) VALUES (2)"));
    return s.require_full_durability();
  };
  together(insert(1), {{lasting, kMark}, {insert(3), kMark}});
  for (const auto& result : results_) EXPECT_TRUE(result) << result.error().text;
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(ids(), (Ids{1, 2, 3}));
}

TEST_F(CompanyTest, WorkOfAnotherKindKeepsItsTurn) {
  std::vector<int> order;
  const auto note = [&order](int number) {
    return [&order, number](Session&) -> Result<> {
      order.push_back(number);
      return {};
    };
  };
  together(note(1), {{note(2), kMark}, {note(3), {}}, {note(4), kMark}});
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
}

TEST(FinishAll, ThoseOfOneHomeAreToldInTheirOrderByOneMessage) {
  boost::asio::io_context here;
  boost::asio::io_context there;
  std::vector<int> told;
  std::vector<Ended> ended;
  const auto add = [&](int number, boost::asio::any_io_executor home) {
    auto job = std::make_shared<Job>();
    job->home = std::move(home);
    job->finish = [&told, number](const Result<>& result) {
      told.push_back(result ? number : -number);
    };
    ended.push_back(
        {std::move(job), number == 3 ? Result<>(fail(Code::kAborted, "3")) : Result<>()});
  };
  add(1, here.get_executor());
  add(2, there.get_executor());
  add(3, here.get_executor());
  add(4, {});
  add(5, here.get_executor());
  finish_all(std::move(ended));
  EXPECT_EQ(told, (std::vector<int>{4})) << "without a home: at once";
  EXPECT_EQ(here.poll(), 1U);
  EXPECT_EQ(told, (std::vector<int>{4, 1, -3, 5}));
  EXPECT_EQ(there.poll(), 1U);
  EXPECT_EQ(told, (std::vector<int>{4, 1, -3, 5, 2}));
}

INSTANTIATE_TEST_SUITE_P(Engines, DatabaseTest, testing::Values(Engine::kSqlite, Engine::kPostgres),
                         [](const auto& p) {
                           return p.param == Engine::kPostgres ? "Postgres" : "Sqlite";
                         });

}  // namespace
}  // namespace nb::sql
